"""Reductions of every form are computed by MNN after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto
from remedied import Arrays, assert_remedied, one_node, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")
COMPOSED = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@st.composite
def reductions(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """A reduction of any opset, with its axes as attribute, constant, input, an empty list, or none."""
    op = draw(st.sampled_from(COMPOSED + PLAIN))
    opset = draw(st.sampled_from([11, 13, 18, 20]))
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    x = np.abs(random(shape)) + np.float32(0.5) if op == "ReduceLogSum" else random(shape)
    axes = draw(st.lists(st.integers(0, len(shape) - 1), unique=True, max_size=len(shape)))
    axes = [axis - len(shape) if draw(st.booleans()) else axis for axis in axes]
    attributes: dict[str, Any] = {"keepdims": draw(st.sampled_from([None, 0, 1]))}
    if opset < (13 if op == "ReduceSum" else 18):
        return one_node(op, {"x": x}, opset=opset, axes=axes or None, **attributes)
    attributes["noop_with_empty_axes"] = draw(st.sampled_from([None, 0, 1]))
    operand = None if not axes and draw(st.booleans()) else np.asarray(axes, np.int64)
    constants = ["axes"] if operand is not None and draw(st.booleans()) else []
    return one_node(op, {"x": x, "axes": operand}, opset=opset, constants=constants, **attributes)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reductions())
def test_reduction_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_index_of_an_extreme_is_right(prober: Prober, op: str, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    dtype = data.draw(st.sampled_from([np.float32, np.int32, np.int64, np.uint8, np.int8]))
    x = (random(shape, dtype) // dtype(50)).astype(dtype)
    model, feeds = one_node(
        op,
        {"x": x},
        opset=data.draw(st.sampled_from([12, 13, 18])),
        outputs=[TensorProto.INT64],
        axis=data.draw(st.integers(-len(shape), len(shape) - 1)),
        keepdims=data.draw(st.sampled_from([None, 0, 1])),
        select_last_index=data.draw(st.sampled_from([None, 0, 1])),
    )
    assert_remedied(model, prober, feeds)
