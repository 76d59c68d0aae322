"""The absolute part of a default tolerance follows the output, down to what functions are computed to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from mnncompat.cli import main
from mnncompat.parity import FLOAT32, FP16_WEIGHTS
from mnncompat.parity.output_scale import RESOLUTION, coarse_outputs, fitted

if TYPE_CHECKING:
    from pathlib import Path


def of_size(size: float, dtype: type = np.float32) -> np.ndarray:
    return np.full((2, 3), size, dtype)


@pytest.mark.parametrize(
    ("sizes", "atol"),
    [((1.0,), 1e-6), ((1e-3, 1.0), 1e-6), ((1e-3,), 1e-6), ((1e-6, 1e-9), 1e-9), ((0.0,), 1e-6), ((1e-6, 0.0), 1e-9)],
)
def test_it_is_a_share_of_the_largest_draw(sizes: tuple[float, ...], atol: float) -> None:
    assert fitted(FLOAT32, [of_size(each) for each in sizes]).atol == pytest.approx(atol, rel=1e-3)


def test_it_has_limits() -> None:
    assert fitted(FLOAT32, [of_size(1e-7)], is_coarse=True).atol == RESOLUTION
    assert fitted(FLOAT32, [of_size(1e-37)]).atol == np.finfo(np.float32).tiny
    assert fitted(FLOAT32, [of_size(1e-6, np.float16)]).atol == pytest.approx(1.2e-7, rel=0.01)
    assert fitted(FP16_WEIGHTS, [of_size(1e-6)]).atol == pytest.approx(1e-9)
    assert fitted(FLOAT32, [np.array([np.nan, np.inf], np.float32)]).atol == FLOAT32.atol
    assert fitted(FLOAT32, [np.array([3])]).atol == FLOAT32.atol


@pytest.mark.parametrize(
    ("nodes", "is_coarse"),
    [
        ("y = Sigmoid(x)", True),
        ("s = Sigmoid(x) y = Mul(x, s)", True),
        ("s = Tanh(x) t = Transpose(s) y = Neg(t)", True),
        ("s = Sigmoid(x) y = Sub(one, s)", True),
        ("s = Sigmoid(x) y = Mul(s, one)", False),
        ("s = Sigmoid(x) y = MatMul(s, s)", False),
        ("y = Softmax(x)", False),
    ],
)
def test_functions_that_saturate_are_coarse(nodes: str, is_coarse: bool) -> None:  # noqa: FBT001 - a table
    head = '<ir_version: 8, opset_import: ["": 17]> g (float[3,3] x) => (float[3,3] y) <float one = {1.0}>'
    text = f"{head} {{ {nodes} }}"
    assert coarse_outputs(parser.parse_model(text), ["y"]) == ({"y"} if is_coarse else set())


def test_a_relative_tolerance_of_the_command_line_follows_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, gain in (("right", 1e-8), ("wrong", 1.01e-8)):
        text = f"g (float[2,8] x) => (float[2,8] y) <float w = {{{gain}}}> {{ a = MatMul(x, m) y = Mul(a, w) }}"
        model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text}')
        model.graph.initializer.append(numpy_helper.from_array(np.eye(8, dtype=np.float32) + 0.1, "m"))
        onnx.save(model, f"{name}.onnx")
    assert main(["convert", "right.onnx", "-o", "right.mnn", "-q", "--tolerance", "1e-3"]) == 0
    assert main(["verify", "wrong.onnx", "right.mnn", "--tolerance", "1e-3", "--save-data", "data"]) == 1
    assert main(["verify", "wrong.onnx", "right.mnn", "--tolerance", "2e-2"]) == 0
    capsys.readouterr()
    for tolerance, status in (("1e-3", 1), ("2e-2", 0)):
        assert main(["verify", "--load-data", "data", "--tolerance", tolerance]) == status
    assert "NOT equal" in capsys.readouterr().out
