"""A file that cuts values which the original does not cut is noticed, whatever the rank of the input."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

from mnncompat.parity import compare_models

SHAPES = ("1,8", "4,9", "2,5,16", "1,3,32,32")
BOUNDS = (80.0, 100.0, 200.0)


def model_of(text: str) -> onnx.ModelProto:
    model: onnx.ModelProto = parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\ng {text}')
    return model


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("seed", range(5))
def test_a_bound_that_the_original_does_not_have(shape: str, bound: float, seed: int) -> None:
    original = model_of(f"(float[{shape}] x) => (float[{shape}] y) <float k = {{0.5}}> {{ y = Mul(x, k) }}")
    cut = model_of(
        f"""(float[{shape}] x) => (float[{shape}] y)
        <float k = {{0.5}}, float a = {{-{bound}}}, float b = {{{bound}}}> {{ c = Clip(x, a, b) y = Mul(c, k) }}"""
    )
    assert compare_models(original, original, seed=seed).passed
    assert not compare_models(original, cut, seed=seed).passed


@pytest.mark.parametrize("op", ["Min", "Max", "Greater"])
@pytest.mark.parametrize("shape", ["1,8", "2,3,7"])
def test_a_threshold_that_is_another_one(op: str, shape: str) -> None:
    bodies = {"Min": "y = Min(x, k)", "Max": "y = Max(x, k)", "Greater": "c = Greater(x, k) y = Where(c, x, k)"}
    text = "(float[SHAPE] x) => (float[SHAPE] y) <float k = {NUMBER}> { BODY }".replace("SHAPE", shape)
    right, wrong = (model_of(text.replace("BODY", bodies[op]).replace("NUMBER", each)) for each in ("300.0", "310.0"))
    assert compare_models(right, right).passed
    assert not compare_models(right, wrong).passed


def test_ids_beyond_a_clip_are_cut_by_both() -> None:
    text = """(int64[1,12] x, float[40,4] t) => (float[1,12,4] y) <int64 a = {0}, int64 b = {30}> { BODY }"""
    right = model_of(text.replace("BODY", "i = Clip(x, a, b) y = Gather(t, i)"))
    wrong = model_of(text.replace("BODY", "i = Max(x, a) y = Gather(t, i)"))
    assert compare_models(right, right).passed
    assert not compare_models(right, wrong).passed
