"""The absolute part of a default tolerance follows the output, down to what functions are computed to."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import parser

from mnncompat.parity import FLOAT32, FP16_WEIGHTS
from mnncompat.parity.output_scale import RESOLUTION, coarse_outputs, fitted


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
    assert fitted(FLOAT32, [np.array([np.nan, np.inf], np.float32)]) == FLOAT32
    assert fitted(FLOAT32, [np.array([3])]) == FLOAT32


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
