"""Operators that pad, crop, slice, split and rearrange are computed by MNN after `fix`."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto
from remedied import Arrays, assert_remedied, one_node, random

from mnncompat.probe.prober import Prober
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOMY = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = {np.float32: TensorProto.FLOAT, np.int32: TensorProto.INT32, np.int64: TensorProto.INT64}


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@st.composite
def pads(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """Pad of every mode and opset, of some axes or all, that crops here and there."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    opset = draw(st.sampled_from([9, 11, 13, 18, 19, 21]))
    mode = draw(st.sampled_from(["constant", "constant", "reflect", "edge", *(["wrap"] if opset >= 19 else [])]))
    chosen = list(range(len(shape)))
    if opset >= 18 and draw(st.booleans()):
        chosen = draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1, max_size=len(shape)))
    ranges = [st.integers(0, min(shape[axis] - 1, 2) if mode == "reflect" else 2) for axis in chosen]
    amounts = np.array([[draw(each) for each in ranges] for _ in range(2)])
    if mode == "constant" and draw(st.booleans()):
        at = draw(st.integers(0, len(chosen) - 1))
        amounts[:, at] = [-1, 2] if shape[chosen[at]] > 1 else [0, 1]
    value = draw(st.sampled_from([0.0, 1.5, -2.0]))
    x = random(shape)
    if opset < 11:
        stated = value if mode == "constant" else None
        return one_node("Pad", {"x": x}, opset=opset, mode=mode, pads=amounts.reshape(-1).tolist(), value=stated)
    axes = [axis - len(shape) if draw(st.booleans()) else axis for axis in chosen]
    named = opset >= 18 and (len(axes) < len(shape) or draw(st.booleans()))
    if not named:
        amounts = amounts[:, np.argsort(chosen)]
    operands = {
        "x": x,
        "pads": amounts.reshape(-1).astype(np.int64),
        "v": np.asarray(value, np.float32) if mode == "constant" and draw(st.booleans()) else None,
        "axes": np.asarray(axes, np.int64) if named else None,
    }
    while operands and list(operands.values())[-1] is None:
        operands.popitem()
    return one_node(
        "Pad",
        operands,
        opset=opset,
        constants=["pads", *[n for n in ("v", "axes") if operands.get(n) is not None]],
        mode=mode,
    )


@ROOMY
@given(pads())
def test_padding_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@st.composite
def slices(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """Slice of some axes, forwards and backwards, with bounds inside and far outside."""
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    count = draw(st.integers(1, len(shape)))
    axes = list(range(count)) if draw(st.booleans()) else draw(st.permutations(range(len(shape))))[:count]
    bounds = []
    for axis in axes:
        size, step = shape[axis], draw(st.sampled_from([1, 1, 2, -1, -2]))
        first, last = draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))
        start, end = (max(first, last), min(first, last) - 1) if step < 0 else (min(first, last), max(first, last) + 1)
        end = -size - 1 if end < 0 else end
        if draw(st.booleans()):
            start = 100 if step < 0 else -100
        if draw(st.booleans()):
            end = -100 if step < 0 else 100
        start = start - size if 0 <= start < size and draw(st.booleans()) else start
        bounds.append((start, end, step))
    starts, ends, steps = (np.array(each, np.int64) for each in zip(*bounds, strict=True))
    dtype = draw(st.sampled_from(list(KINDS)))
    if (steps == 1).all() and draw(st.booleans()):
        return one_node(
            "Slice",
            {"x": random(shape, dtype)},
            opset=9,
            outputs=[KINDS[dtype]],
            starts=starts.tolist(),
            ends=ends.tolist(),
            axes=axes,
        )
    default = axes == list(range(count)) and draw(st.booleans())
    operands = {
        "x": random(shape, dtype),
        "starts": starts,
        "ends": ends,
        "axes": None if default else np.asarray(axes, np.int64),
        "steps": steps,
    }
    given_ = [name for name, value in operands.items() if name != "x" and value is not None]
    return one_node("Slice", operands, opset=13, constants=given_, outputs=[KINDS[dtype]])


@ROOMY
@given(slices())
def test_slicing_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@settings(ROOMY, max_examples=10)
@given(data=st.data())
def test_splitting_is_right(prober: Prober, data: st.DataObject) -> None:
    size, parts = data.draw(st.integers(2, 9)), data.draw(st.integers(2, 4))
    assume(-(-size // parts) * (parts - 1) < size)
    axis = data.draw(st.sampled_from([0, 1, -1]))
    shape = [2, size] if axis else [size, 2]
    model, feeds = one_node(
        "Split", {"x": random(shape)}, opset=18, outputs=[TensorProto.FLOAT] * parts, axis=axis, num_outputs=parts
    )
    assert_remedied(model, prober, feeds)


@settings(ROOMY, max_examples=10)
@given(data=st.data())
def test_cropping_is_right(prober: Prober, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1, max_size=len(shape)))
    target = np.array([data.draw(st.integers(1, 8)) for _ in axes])
    model, feeds = one_node(
        "CenterCropPad", {"x": random(shape), "shape": target}, opset=18, constants=["shape"], axes=axes
    )
    assert_remedied(model, prober, feeds)


@settings(ROOMY, max_examples=10)
@given(data=st.data())
def test_folding_columns_is_right(prober: Prober, data: st.DataObject) -> None:
    axes = data.draw(st.sampled_from([2, 2, 3]))  # ONNX Runtime misplaces columns with dilations unless there are two

    def each(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(axes)]

    block, strides, dilations, before, behind = each(1, 3), each(1, 3), each(1, 4 - axes), each(0, 1), each(0, 1)
    image = each(5, 7)
    counts = [
        (size + first + last - dilation * (extent - 1) - 1) // stride + 1
        for size, first, last, dilation, extent, stride in zip(
            image, before, behind, dilations, block, strides, strict=True
        )
    ]
    x = random([2, 2 * prod(block), prod(counts)])
    model, feeds = one_node(
        "Col2Im",
        {"x": x, "image": np.array(image), "block": np.array(block)},
        opset=18,
        constants=["image", "block"],
        strides=strides,
        dilations=dilations,
        pads=[*before, *behind],
    )
    assert_remedied(model, prober, feeds)


@settings(ROOMY, max_examples=8)
@given(data=st.data())
def test_cache_update_is_right(prober: Prober, data: st.DataObject) -> None:
    batch, length, count = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 6)), data.draw(st.integers(1, 2))
    between = data.draw(st.lists(st.integers(1, 3), max_size=1))
    mode = data.draw(st.sampled_from([None, "linear", "circular"]))
    highest = length - 1 if mode == "circular" else length - count
    where = np.array([data.draw(st.integers(0, highest)) for _ in range(batch)])
    operands = {
        "cache": random([batch, *between, length, 4]),
        "update": random([batch, *between, count, 4], seed=1),
        "where": where if mode == "circular" or data.draw(st.booleans()) else None,
    }
    constant = ["where"] if operands["where"] is not None and data.draw(st.booleans()) else []
    model, feeds = one_node("TensorScatter", operands, opset=24, constants=constant, mode=mode)
    assert_remedied(model, prober, feeds)


@ROOMY
@given(
    size=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    part=st.tuples(st.none() | st.integers(-6, 6), st.none() | st.integers(-6, 6)),
    opset=st.sampled_from([15, 19, 21]),
    release=st.sampled_from(["3.0.0", "3.2.0", "3.4.1"]),
    dynamic=st.booleans(),
)
def test_part_of_a_shape_is_right(
    prober: Prober, size: list[int], part: tuple[int | None, int | None], opset: int, release: str, *, dynamic: bool
) -> None:
    assume(size[slice(*part)])
    model, feeds = one_node(
        "Shape", {"x": random(size)}, opset=opset, outputs=[TensorProto.INT64], start=part[0], end=part[1]
    )
    if dynamic:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    applied = assert_remedied(model, prober, feeds, target=Target(release))
    assert bool(applied) == (bool(part[0]) or part[1] is not None)
