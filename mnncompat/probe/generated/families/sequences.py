"""Sequences, from their making to the tensor that comes out: what `torch.split` and lists of tensors become."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_MOVED = {"float32": 8.0, "int64": 1.5, "float16": 0.7, "int32": 0.5}


def _position(draw: Draw, count: int) -> str:
    position = draw.integer(-count, count - 1) if draw.chance(0.25) else draw.integer(0, count - 1)
    return draw.constant(np.array(position), "position")


def _members(draw: Draw, count: int) -> list[str]:
    shape = draw.shape(1, 3)
    dtype = draw.weighted(_MOVED)
    return [draw.operand(draw.normal(shape, dtype), "x", constant=0.1 if index else 0.0) for index in range(count)]


def _joined(draw: Draw, sequence: str) -> None:
    stacked = draw.chance(0.4)
    draw.node("ConcatFromSequence", [sequence], axis=0, new_axis=1 if stacked else draw.pick((None, 0)))


@generator("SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase", weight=12, precision=Precision.EXACT)
@generator("ConcatFromSequence", weight=16, precision=Precision.EXACT)
@generator("SequenceLength", weight=8, precision=Precision.EXACT)
def from_members(draw: Draw) -> None:
    """Construct, then insert, erase, count, pick or join."""
    count = draw.integer(2, 4)
    members = _members(draw, count)
    (sequence,) = draw.node("SequenceConstruct", members)
    if draw.op == "SequenceInsert":
        where = [_position(draw, count)] if draw.chance(0.5) else []
        (sequence,) = draw.emit(sequence, members[0], *where)
        count += 1
    elif draw.op == "SequenceErase":
        (sequence,) = draw.emit(sequence, *([_position(draw, count)] if draw.chance(0.6) else []))
        count -= 1
    if draw.op == "SequenceLength":
        draw.emit(sequence)
    elif draw.op == "SequenceAt" or (draw.op != "ConcatFromSequence" and draw.chance(0.4)):
        draw.node("SequenceAt", [sequence, _position(draw, count)])
    else:
        _joined(draw, sequence)


@generator("SequenceEmpty", weight=8, precision=Precision.EXACT)
def from_nothing(draw: Draw) -> None:
    """An empty list that members are appended to."""
    (sequence,) = draw.emit()
    shape = draw.shape(1, 3)
    for _ in range(draw.integer(1, 3)):
        (sequence,) = draw.node("SequenceInsert", [sequence, draw.input(draw.normal(shape))])
    _joined(draw, sequence)


@generator("SplitToSequence", weight=20, precision=Precision.EXACT)
def split_to_sequence(draw: Draw) -> None:
    """Sizes one for all, one each, or none (single slices, kept or squeezed); then a pick or a join."""
    shape = list(draw.shape(1, 4, least=2))
    axis = draw.axis(len(shape), negative=0.3)
    form = draw.weighted({"each": 4.0, "one": 3.0, "none": 3.0})
    count = draw.integer(2, 4)
    sizes = [draw.integer(1, 3)] * count if form != "each" else [draw.integer(1, 3) for _ in range(count)]
    shape[axis] = sum(sizes) if form != "none" else count
    inputs = [draw.input(draw.normal(shape, draw.weighted(_MOVED)))]
    if form != "none":
        inputs.append(draw.constant(np.array(sizes if form == "each" else sizes[0]), "split"))
    keepdims = draw.pick((None, 0, 1)) if form == "none" else None
    (sequence,) = draw.emit(*inputs, axis=axis, keepdims=keepdims)
    if draw.chance(0.6):
        draw.node("SequenceAt", [sequence, _position(draw, count)])
    else:
        draw.node("ConcatFromSequence", [sequence], axis=axis if form != "none" or keepdims != 0 else 0)
