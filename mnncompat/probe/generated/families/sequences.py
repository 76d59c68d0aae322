"""Sequences, from their making to the tensor that comes out: what `torch.split` and lists of tensors become."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

_MOVED = {"float32": 8.0, "int64": 1.5, "float16": 0.7, "int32": 0.5}


def _position(sample: Sample, count: int) -> str:
    position = sample.integer(-count, count - 1) if sample.chance(0.25) else sample.integer(0, count - 1)
    return sample.constant(np.array(position), "position")


def _members(sample: Sample, count: int) -> list[str]:
    shape = sample.shape(1, 3)
    dtype = sample.weighted(_MOVED)
    return [sample.operand(sample.normal(shape, dtype), "x", constant=0.1 if index else 0.0) for index in range(count)]


def _joined(sample: Sample, sequence: str) -> None:
    stacked = sample.chance(0.4)
    sample.node("ConcatFromSequence", [sequence], axis=0, new_axis=1 if stacked else sample.pick((None, 0)))


@generator("SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase", weight=12, precision=Precision.EXACT)
@generator("ConcatFromSequence", weight=16, precision=Precision.EXACT)
@generator("SequenceLength", weight=8, precision=Precision.EXACT)
def from_members(sample: Sample) -> None:
    """Construct, then insert, erase, count, pick or join."""
    count = sample.integer(2, 4)
    members = _members(sample, count)
    (sequence,) = sample.node("SequenceConstruct", members)
    if sample.op == "SequenceInsert":
        where = [_position(sample, count)] if sample.chance(0.5) else []
        (sequence,) = sample.emit(sequence, members[0], *where)
        count += 1
    elif sample.op == "SequenceErase":
        (sequence,) = sample.emit(sequence, *([_position(sample, count)] if sample.chance(0.6) else []))
        count -= 1
    if sample.op == "SequenceLength":
        sample.emit(sequence)
    elif sample.op == "SequenceAt" or (sample.op != "ConcatFromSequence" and sample.chance(0.4)):
        sample.node("SequenceAt", [sequence, _position(sample, count)])
    else:
        _joined(sample, sequence)


@generator("SequenceEmpty", weight=8, precision=Precision.EXACT)
def from_nothing(sample: Sample) -> None:
    """An empty list that members are appended to."""
    (sequence,) = sample.emit()
    shape = sample.shape(1, 3)
    for _ in range(sample.integer(1, 3)):
        (sequence,) = sample.node("SequenceInsert", [sequence, sample.input(sample.normal(shape))])
    _joined(sample, sequence)


@generator("SplitToSequence", weight=20, precision=Precision.EXACT)
def split_to_sequence(sample: Sample) -> None:
    """Sizes one for all, one each, or none (single slices, kept or squeezed); then a pick or a join."""
    shape = list(sample.shape(1, 4, least=2))
    axis = sample.axis(len(shape), negative=0.3)
    form = sample.weighted({"each": 4.0, "one": 3.0, "none": 3.0})
    count = sample.integer(2, 4)
    sizes = [sample.integer(1, 3)] * count if form != "each" else [sample.integer(1, 3) for _ in range(count)]
    shape[axis] = sum(sizes) if form != "none" else count
    inputs = [sample.input(sample.normal(shape, sample.weighted(_MOVED)))]
    if form != "none":
        inputs.append(sample.constant(np.array(sizes if form == "each" else sizes[0]), "split"))
    keepdims = sample.pick((None, 0, 1)) if form == "none" else None
    (sequence,) = sample.emit(*inputs, axis=axis, keepdims=keepdims)
    if sample.chance(0.6):
        sample.node("SequenceAt", [sequence, _position(sample, count)])
    else:
        sample.node("ConcatFromSequence", [sequence], axis=axis if form != "none" or keepdims != 0 else 0)
