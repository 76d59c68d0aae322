"""Pools of every form are computed by MNN after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto
from remedied import Arrays, assert_remedied, one_node, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

OPSETS = {"MaxPool": (11, 13, 22), "AveragePool": (11, 19, 22), "LpPool": (11, 18, 22)}


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@st.composite
def windows(draw: st.DrawFn, axes: int, *, dilated: bool, rounds: bool) -> tuple[list[int], dict[str, Any]]:
    """Sizes, and attributes of a pool that ONNX Runtime takes: no window of nothing but padding."""

    def each(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes))

    kernel, sizes = each(1, 3), each(5, 7)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": draw(st.sampled_from([None, each(1, 3)]))}
    if dilated and draw(st.booleans()):
        attributes["dilations"] = each(1, 2)
    mode = draw(st.sampled_from(["pads", "none", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if mode == "pads":
        attributes["pads"] = [draw(st.integers(0, min(size - 1, 1))) for size in kernel * 2]
    elif mode != "none":
        strides = attributes["strides"] or [1] * axes
        fits = all(size >= stride for size, stride in zip(kernel, strides, strict=True))
        assume(mode == "VALID" or ("dilations" not in attributes and fits))  # ONNX Runtime refuses the others
        attributes["auto_pad"] = mode
    if rounds and not mode.startswith("SAME"):
        attributes["ceil_mode"] = draw(st.sampled_from([None, 0, 1]))
    return sizes, attributes


@st.composite
def pools(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    op = draw(st.sampled_from(["MaxPool", "AveragePool", "LpPool"]))
    opset, axes = draw(st.sampled_from(OPSETS[op])), draw(st.integers(1, 3))
    recent = opset >= 18 or op == "MaxPool"
    rounds = op == "MaxPool" or opset >= 19  # before, ONNX Runtime averages over what rounding up adds
    sizes, attributes = draw(windows(axes, dilated=recent and (op != "AveragePool" or opset >= 19), rounds=rounds))
    if op == "AveragePool":
        attributes["count_include_pad"] = draw(st.sampled_from([None, 0, 1]))
    if op == "LpPool":
        attributes["p"] = draw(st.sampled_from([None, 1, 3]))
    x = random([draw(st.integers(1, 2)), draw(st.sampled_from([1, 3, 5])), *sizes])
    return one_node(op, {"x": x}, opset=opset, **attributes)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pools())
def test_pool_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_indices_are_right(prober: Prober, data: st.DataObject) -> None:
    sizes, attributes = data.draw(windows(data.draw(st.integers(1, 3)), dilated=True, rounds=True))
    assume("auto_pad" not in attributes)
    if len(sizes) == 2:
        attributes["storage_order"] = data.draw(st.sampled_from([None, 1]))
    x = random([data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3)), *sizes])
    model, feeds = one_node("MaxPool", {"x": x}, opset=13, outputs=[TensorProto.FLOAT, TensorProto.INT64], **attributes)
    assert_remedied(model, prober, feeds)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5), (2, 5, 2, 4, 3)])
def test_global_pool_is_right(prober: Prober, op: str, shape: tuple[int, ...]) -> None:
    model, feeds = one_node(op, {"x": random(shape)}, opset=13)
    assert_remedied(model, prober, feeds)
