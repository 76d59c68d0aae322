"""Random nodes at whose parameters ONNX Runtime would end the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.parity.stated_noise import with_stated_noise
from mnncompat.results.failures import Failure

X = np.ones((2, 3), np.float32)
HEADER = '<ir_version: 9, opset_import: ["" : 17, "my" : 1]>\ng (float[2,3] x) => (float[2,3] y)'
FUNCTION = '<opset_import: ["" : 17], domain: "my">\nnoisy <spread> (v) => (w)'


def model_of(body: str, function: str = "") -> onnx.ModelProto:
    model: onnx.ModelProto = parser.parse_model(f"{HEADER} {{ {body} }}\n{function}")
    return model


@pytest.mark.parametrize(
    ("body", "function", "value"),
    [
        ("n = RandomNormal<shape = [2,3], scale = 0.0, mean = 2.5>() y = Add(x, n)", "", 3.5),
        ("n = RandomNormalLike<scale = 0.0>(x) y = Add(x, n)", "", 1.0),
        (
            """c = Constant<value = bool {1}>() y = If(c)<
            then_branch = t () => (float[2,3] p) { n = RandomNormalLike<scale = 0.0, mean = -1.0>(x) p = Add(x, n) },
            else_branch = e () => (float[2,3] q) { q = Identity(x) }>""",
            "",
            0.0,
        ),
        (
            "y = my.noisy<spread = 0.0>(x)",
            f"{FUNCTION} {{ n = RandomNormalLike<mean = 4.0, scale: float = @spread>(v) w = Add(v, n) }}",
            5.0,
        ),
    ],
)
def test_a_spread_of_nothing_is_the_mean(body: str, function: str, value: float, tmp_path: Path) -> None:
    model = model_of(body, function)
    before = model.SerializeToString()
    onnx.save(model, tmp_path / "model.onnx")
    for given in (model, before, tmp_path / "model.onnx"):
        found = OnnxRuntimeRunner(given).run([{"x": X}])
        assert not isinstance(found, Failure), found.message
        assert np.array_equal(found[0]["y"], np.full((2, 3), value, np.float32))
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("RandomNormalLike<scale = -1.0>(x)", "its scale is -1"),
        ("RandomUniform<shape = [2,3], low = 2.0>()", "low 2 is above high 1"),
    ],
)
def test_what_has_no_meaning_is_refused(node: str, words: str) -> None:
    found = OnnxRuntimeRunner(model_of(f"n = {node} y = Add(x, n)")).run([{"x": X}])
    assert isinstance(found, Failure)
    assert words in found.message


@pytest.mark.parametrize("node", ["RandomNormalLike(x)", "RandomUniformLike<low = 1.0>(x)", "Relu(x)"])
def test_nothing_else_is_changed(node: str) -> None:
    assert with_stated_noise(model_of(f"n = {node} y = Add(x, n)")) is None
