"""Comparisons and selection."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.families.binary import emit_pair
from mnncompat.probe.generated.families.broadcast import broadcast_pair
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

_COMPARED = {"float32": 60.0, "int64": 18.0, "int32": 10.0, "float16": 8.0, "float64": 2.0, "uint8": 1.0, "bool": 3.0}
_CHOSEN = {"float32": 68.0, "int64": 14.0, "float16": 8.0, "int32": 5.0, "bool": 3.0, "uint8": 1.0, "float64": 1.0}
_MASK = -1e4


@generator("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", weight=32, precision=Precision.EXACT)
def compare(sample: Sample) -> None:
    """Values of both signs, with ties; against a positive constant at times."""
    dtype = sample.dtype(_COMPARED)
    left, right = broadcast_pair(sample)
    one, other = sample.uniform(left, -4, 4, dtype), sample.uniform(right, -4, 4, dtype)
    if dtype.kind == "f" and (sample.op == "Equal" or sample.chance(0.4)):
        one, other = (np.asarray(np.rint(each) + 0.0).astype(dtype) for each in (one, other))  # no negative zeros
    if dtype.kind != "b" and sample.chance(0.2):
        threshold = np.full(right, sample.pick((0, 1, 2)), dtype)
        sample.emit(sample.input(one, "a"), sample.constant(threshold, "threshold"))
        return
    emit_pair(sample, one, other)


@generator("Where", weight=50, precision=Precision.EXACT)
def where(sample: Sample) -> None:
    """The condition a runtime value; attention masks choose between scores and one large negative number."""
    dtype = sample.dtype(_CHOSEN, 1)
    left, right = broadcast_pair(sample)
    condition = sample.weighted({np.broadcast_shapes(left, right): 6.0, left: 2.0, right: 2.0, (1,): 0.5})
    mask = np.array(_MASK if sample.chance(0.3) else 0).astype(dtype)
    chosen = mask if right == () and dtype.kind != "u" else sample.normal(right, dtype)
    pair = [sample.input(sample.normal(left, dtype), "x"), sample.operand(chosen, "y", constant=0.5)]
    first = sample.operand(sample.normal(condition, "bool"), "condition", constant=0.1)
    sample.emit(first, *(reversed(pair) if sample.chance(0.4) else pair))
