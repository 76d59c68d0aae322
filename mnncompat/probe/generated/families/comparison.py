"""Comparisons and selection."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.families.binary import emit_pair
from mnncompat.probe.generated.families.broadcast import broadcast_pair
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_COMPARED = {"float32": 60.0, "int64": 18.0, "int32": 10.0, "float16": 8.0, "float64": 2.0, "uint8": 1.0, "bool": 3.0}
_CHOSEN = {"float32": 68.0, "int64": 14.0, "float16": 8.0, "int32": 5.0, "bool": 3.0, "uint8": 1.0, "float64": 1.0}
_MASK = -1e4


@generator("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", weight=32, precision=Precision.EXACT)
def compare(draw: Draw) -> None:
    """Values of both signs, with ties; against a positive constant at times."""
    dtype = draw.dtype(_COMPARED)
    left, right = broadcast_pair(draw)
    one, other = draw.uniform(left, -4, 4, dtype), draw.uniform(right, -4, 4, dtype)
    if dtype.kind == "f" and (draw.op == "Equal" or draw.chance(0.4)):
        one, other = (np.asarray(np.rint(each) + 0.0).astype(dtype) for each in (one, other))  # no negative zeros
    if dtype.kind != "b" and draw.chance(0.2):
        threshold = np.full(right, draw.pick((0, 1, 2)), dtype)
        draw.emit(draw.input(one, "a"), draw.constant(threshold, "threshold"))
        return
    emit_pair(draw, one, other)


@generator("Where", weight=50, precision=Precision.EXACT)
def where(draw: Draw) -> None:
    """The condition a runtime value; attention masks choose between scores and one large negative number."""
    dtype = draw.dtype(_CHOSEN, 1)
    left, right = broadcast_pair(draw)
    condition = draw.weighted({np.broadcast_shapes(left, right): 6.0, left: 2.0, right: 2.0, (1,): 0.5})
    mask = np.array(_MASK if draw.chance(0.3) else 0).astype(dtype)
    chosen = mask if right == () and dtype.kind != "u" else draw.normal(right, dtype)
    pair = [draw.input(draw.normal(left, dtype), "x"), draw.operand(chosen, "y", constant=0.5)]
    first = draw.operand(draw.normal(condition, "bool"), "condition", constant=0.1)
    draw.emit(first, *(reversed(pair) if draw.chance(0.4) else pair))
