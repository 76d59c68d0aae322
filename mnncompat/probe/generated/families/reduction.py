"""Reductions, arg-reductions, cumulative sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import FLOATS, Sample

_REDUCED = {"float32": 80.0, "float16": 7.0, "int32": 5.0, "int64": 7.0, "float64": 2.0, "bool": 1.0, "uint8": 0.5}
_AXES_ARE_INPUT = {"ReduceSum": 13}
_AXES_ARE_INPUT_ELSE = 18
_OF_INTEGERS = {"ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"}
_POSITIVE = {"ReduceLogSum", "ReduceProd"}


@generator("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", weight=56, precision=Precision.ARITHMETIC)
@generator("ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", weight=40, precision=Precision.ARITHMETIC)
@generator("ReduceLogSum", "ReduceLogSumExp", weight=40, precision=Precision.APPROXIMATE)
def reduce(sample: Sample) -> None:
    """Axes as an attribute or an operand, absent, negative, several; `keepdims` each way; `noop_with_empty_axes`."""
    dtype = sample.dtype(_REDUCED if sample.op in _OF_INTEGERS else FLOATS)
    shape = sample.shape()
    values = sample.uniform(shape, 0.3, 1.9, dtype) if sample.op in _POSITIVE else sample.normal(shape, dtype)
    inputs = [sample.input(values, "data")]
    attributes = sample.attributes(keepdims=(0, 1, 0))
    axes = _axes(sample, len(shape))
    if sample.opset < _AXES_ARE_INPUT.get(sample.op, _AXES_ARE_INPUT_ELSE):
        sample.emit(*inputs, **attributes, axes=axes)
        return
    if axes is not None:
        inputs.append(sample.integers(axes, "axes", constant=0.99))
    attributes |= _noop(sample, axes)
    sample.emit(*inputs, **attributes)


def _axes(sample: Sample, rank: int) -> list[int] | None:
    negative = 0.45 if sample.opset >= 11 else 0.0  # noqa: PLR2004 - negative axes since opset 11
    form = sample.weighted({"last": 4.0, "image": 2.0, "any": 4.0, "absent": 1.5, "all": 0.5})
    if form == "absent":
        return None
    if form == "last":
        return [-1] if sample.chance(negative) else [rank - 1]
    if form == "image" and rank == 4:  # noqa: PLR2004 - global pooling of [N, C, H, W]
        return [-2, -1] if sample.chance(negative) else [2, 3]
    if form == "all":
        return list(range(rank))
    return sample.axes(rank, 2, negative=negative)


def _noop(sample: Sample, axes: list[int] | None) -> dict[str, int]:
    if sample.chance(0.1 if axes is not None else 0.25):
        return {"noop_with_empty_axes": sample.pick((0, 1)) if axes is None else 0}
    return {}


@generator("ArgMax", "ArgMin", weight=44, precision=Precision.EXACT)
def arg_reduce(sample: Sample) -> None:
    """Well separated values, or small integers with ties: the first wins, unless `select_last_index`."""
    dtype = sample.dtype({"float32": 80.0, "float16": 6.0, "int32": 8.0, "uint8": 1.0, "int64": 2.0, "float64": 1.0})
    shape = sample.shape(1, 4)
    last = sample.version >= 12 and sample.chance(0.07)  # noqa: PLR2004 - select_last_index since 12
    ties = last or sample.chance(0.2)
    values = sample.uniform(shape, 0, 1, "int64").astype(dtype) if ties else sample.distinct(shape, dtype)
    attributes: dict[str, Any] = sample.attributes(keepdims=(0, 1, 0))
    if not sample.chance(0.2):
        attributes["axis"] = sample.axis(len(shape), negative=0.4 if sample.opset >= 11 else 0.0)  # noqa: PLR2004
    if last:
        attributes["select_last_index"] = 1
    elif sample.version >= 12 and sample.chance(0.25):  # noqa: PLR2004 - as above
        attributes["select_last_index"] = 0
    sample.emit(sample.input(values, "data"), **attributes)


@generator("CumSum", weight=26, precision=Precision.ARITHMETIC)
@generator("CumProd", weight=4, precision=Precision.ARITHMETIC)
def cumulative(sample: Sample) -> None:
    """The axis a constant scalar (PyTorch) or `[1]`, rarely a runtime value; exclusive and reverse each way."""
    dtype = sample.dtype({"float32": 70.0, "int64": 20.0, "int32": 8.0, "float64": 2.0})
    shape = sample.shape(1, 4)
    values = sample.normal(shape, dtype) if sample.op == "CumSum" else sample.uniform(shape, 1, 2, dtype)
    kind = np.int64 if sample.chance(0.8) else np.int32
    axis = np.array(sample.axis(len(shape)), kind)
    flags = sample.attributes(0.5, exclusive=(0, 1), reverse=(0, 1))
    sample.emit(sample.input(values), sample.operand(axis, "axis", constant=0.95), **flags)


@generator("Softmax", "LogSoftmax", weight=60, precision=Precision.APPROXIMATE)
@generator("Hardmax", weight=8, precision=Precision.EXACT)
def softmax(sample: Sample) -> None:
    """Below opset 13 the default axis is 1 and trailing axes are taken together; from then on -1 and one axis."""
    dtype = sample.dtype(FLOATS)
    shape = sample.shape(1 if sample.version >= 13 else 2, 5)  # noqa: PLR2004 - the default axis is 1 below
    if sample.op == "Hardmax":
        values = sample.distinct(shape, dtype)
    else:
        values = sample.normal(shape, dtype, sample.weighted({1.0: 6.0, 5.0: 2.0, 20.0: 1.0}))
    axis: int | None = None
    if not sample.chance(0.2):
        axis = sample.axis(len(shape), negative=0.4 if sample.opset >= 11 else 0.0)  # noqa: PLR2004
    sample.emit(sample.input(values), axis=axis)
