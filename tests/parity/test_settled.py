"""Outputs that no number reaches are known as such; all others are not."""

from __future__ import annotations

import pytest
from onnx import ModelProto, parser

from mnncompat.parity import compare_models
from mnncompat.parity.settled import is_settled


def _model(text: str, opset: int = 18) -> ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> graph {text}')


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("(float[2,0] x) => (float[2,1] y) <int64[1] a = {1}> { y = ReduceMax(x, a) }", True),
        ("(float[2,0] x, int64[1] a) => (float[M,N] y) { y = ReduceLogSum(x, a) }", True),
        ("(float[2,3] x) => (float[2] y) { s = Shape(x) f = Cast<to=1>(s) z = Log(f) y = Neg(z) }", True),
        ("(float[2,3] x) => (float[2,1] y) <int64[1] a = {1}> { y = ReduceMax(x, a) }", False),
        (
            "(float[2,0] x, float[2,1] z) => (float[2,1] y) <int64[1] a = {1}> { m = ReduceMax(x, a) y = Add(m, z) }",
            False,
        ),
        ("(float[2,0] x) => (float[2] y) { y = RandomNormal<shape=[2]>() }", False),
    ],
)
def test_what_reaches_an_output(text: str, *, settled: bool) -> None:
    assert is_settled(_model(text), "y") is settled


def test_infinite_outputs_of_nothing_are_proven_and_others_are_not() -> None:
    nothing = _model("(float[2,0] x) => (float[2,1] y) <int64[1] a = {1}> { y = ReduceMax(x, a) }")
    other = _model("(float[2,0] x) => (float[2,1] y) <int64[1] a = {1}> { m = ReduceMax(x, a) y = Neg(m) }")
    assert compare_models(nothing, nothing).passed
    assert not compare_models(nothing, other).passed
    infinite = _model("(float[2,3] x) => (float[2,3] y) <float z = {0.0}> { a = Abs(x) b = Exp(a) y = Div(b, z) }")
    assert not compare_models(infinite, infinite).passed
