"""Reductions, arg-reductions, cumulative sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import FLOATS, Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_REDUCED = {"float32": 80.0, "float16": 7.0, "int32": 5.0, "int64": 7.0, "float64": 2.0, "bool": 1.0, "uint8": 0.5}
_AXES_ARE_INPUT = {"ReduceSum": 13}
_AXES_ARE_INPUT_ELSE = 18
_OF_INTEGERS = {"ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"}
_POSITIVE = {"ReduceLogSum", "ReduceProd"}


@generator("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", weight=56, precision=Precision.ARITHMETIC)
@generator("ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", weight=40, precision=Precision.ARITHMETIC)
@generator("ReduceLogSum", "ReduceLogSumExp", weight=40, precision=Precision.APPROXIMATE)
def reduce(draw: Draw) -> None:
    """Axes as an attribute or an operand, absent, negative, several; `keepdims` each way; `noop_with_empty_axes`."""
    dtype = draw.dtype(_REDUCED if draw.op in _OF_INTEGERS else FLOATS)
    shape = draw.shape()
    values = draw.uniform(shape, 0.3, 1.9, dtype) if draw.op in _POSITIVE else draw.normal(shape, dtype)
    inputs = [draw.input(values, "data")]
    attributes = draw.attributes(keepdims=(0, 1, 0))
    axes = _axes(draw, len(shape))
    if draw.opset < _AXES_ARE_INPUT.get(draw.op, _AXES_ARE_INPUT_ELSE):
        draw.emit(*inputs, **attributes, axes=axes)
        return
    if axes is not None:
        inputs.append(draw.integers(axes, "axes", constant=0.99))
    attributes |= _noop(draw, axes)
    draw.emit(*inputs, **attributes)


def _axes(draw: Draw, rank: int) -> list[int] | None:
    negative = 0.45 if draw.opset >= 11 else 0.0  # noqa: PLR2004 - negative axes since opset 11
    form = draw.weighted({"last": 4.0, "image": 2.0, "any": 4.0, "absent": 1.5, "all": 0.5})
    if form == "absent":
        return None
    if form == "last":
        return [-1] if draw.chance(negative) else [rank - 1]
    if form == "image" and rank == 4:  # noqa: PLR2004 - global pooling of [N, C, H, W]
        return [-2, -1] if draw.chance(negative) else [2, 3]
    if form == "all":
        return list(range(rank))
    return draw.axes(rank, 2, negative=negative)


def _noop(draw: Draw, axes: list[int] | None) -> dict[str, int]:
    if draw.chance(0.1 if axes is not None else 0.25):
        return {"noop_with_empty_axes": draw.pick((0, 1)) if axes is None else 0}
    return {}


@generator("ArgMax", "ArgMin", weight=44, precision=Precision.EXACT)
def arg_reduce(draw: Draw) -> None:
    """Well separated values, or small integers with ties: the first wins, unless `select_last_index`."""
    dtype = draw.dtype({"float32": 80.0, "float16": 6.0, "int32": 8.0, "uint8": 1.0, "int64": 2.0, "float64": 1.0})
    shape = draw.shape(1, 4)
    last = draw.version >= 12 and draw.chance(0.07)  # noqa: PLR2004 - select_last_index since 12
    ties = last or draw.chance(0.2)
    values = draw.uniform(shape, 0, 1, "int64").astype(dtype) if ties else draw.distinct(shape, dtype)
    attributes: dict[str, Any] = draw.attributes(keepdims=(0, 1, 0))
    if not draw.chance(0.2):
        attributes["axis"] = draw.axis(len(shape), negative=0.4 if draw.opset >= 11 else 0.0)  # noqa: PLR2004
    if last:
        attributes["select_last_index"] = 1
    elif draw.version >= 12 and draw.chance(0.25):  # noqa: PLR2004 - as above
        attributes["select_last_index"] = 0
    draw.emit(draw.input(values, "data"), **attributes)


@generator("CumSum", weight=26, precision=Precision.ARITHMETIC)
@generator("CumProd", weight=4, precision=Precision.ARITHMETIC)
def cumulative(draw: Draw) -> None:
    """The axis a constant scalar (PyTorch) or `[1]`, rarely a runtime value; exclusive and reverse each way."""
    dtype = draw.dtype({"float32": 70.0, "int64": 20.0, "int32": 8.0, "float64": 2.0})
    shape = draw.shape(1, 4)
    values = draw.normal(shape, dtype) if draw.op == "CumSum" else draw.uniform(shape, 1, 2, dtype)
    kind = np.int64 if draw.chance(0.8) else np.int32
    axis = np.array(draw.axis(len(shape)), kind)
    flags = draw.attributes(0.5, exclusive=(0, 1), reverse=(0, 1))
    draw.emit(draw.input(values), draw.operand(axis, "axis", constant=0.95), **flags)


@generator("Softmax", "LogSoftmax", weight=60, precision=Precision.APPROXIMATE)
@generator("Hardmax", weight=8, precision=Precision.EXACT)
def softmax(draw: Draw) -> None:
    """Below opset 13 the default axis is 1 and trailing axes are taken together; from then on -1 and one axis."""
    dtype = draw.dtype(FLOATS)
    shape = draw.shape(1 if draw.version >= 13 else 2, 5)  # noqa: PLR2004 - the default axis is 1 below
    if draw.op == "Hardmax":
        values = draw.distinct(shape, dtype)
    else:
        values = draw.normal(shape, dtype, draw.weighted({1.0: 6.0, 5.0: 2.0, 20.0: 1.0}))
    axis: int | None = None
    if not draw.chance(0.2):
        axis = draw.axis(len(shape), negative=0.4 if draw.opset >= 11 else 0.0)  # noqa: PLR2004
    draw.emit(draw.input(values), axis=axis)
