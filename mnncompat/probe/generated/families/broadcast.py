"""Pairs of shapes that broadcast, in the forms that models contain."""

from __future__ import annotations

from mnncompat.probe.generated.sample import Sample

Shape = tuple[int, ...]

_FORMS = {
    "same": 30.0,
    "scalar": 16.0,
    "one": 8.0,
    "last": 10.0,
    "trailing": 6.0,
    "channel": 9.0,
    "batched channel": 5.0,
    "leading ones": 5.0,
    "middle ones": 6.0,
    "both": 3.0,
    "unit rank": 2.0,
}
_SWAPPED = 0.15


def broadcast_pair(sample: Sample) -> tuple[Shape, Shape]:
    """Two shapes; the left one is the larger, but for one in seven.

    Forms of the right one: the same; a scalar of rank 0; `[1]`; the last dimension; trailing dimensions; a channel
    `[C, 1, 1]` or `[1, C, 1, 1]`; ones in front; ones in the middle; ones in both operands; all ones.
    """
    shape = sample.shape()
    left, right = shape, _second(sample, shape, sample.weighted(_FORMS))
    if sample.chance(0.03):  # both of rank 0: what loop counters and sizes are
        left = right = ()
    elif left != right and len(shape) > 1 and sample.chance(0.05):
        axis = sample.integer(0, len(shape) - 1)
        left = (*shape[:axis], 1, *shape[axis + 1 :])
    return (right, left) if sample.chance(_SWAPPED) else (left, right)


def _second(sample: Sample, shape: Shape, form: str) -> Shape:
    rank = len(shape)
    channel = (shape[1], *(1,) * (rank - 2)) if rank > 2 else shape[-1:]  # noqa: PLR2004 - [N, C, ...]
    plain = {
        "same": shape,
        "scalar": (),
        "one": (1,),
        "last": shape[-1:],
        "trailing": shape[sample.integer(0, rank - 1) :],
        "channel": channel,
        "batched channel": (1,) * (rank - len(channel)) + channel,
        "unit rank": (1,) * rank,
    }
    if form in plain:
        return plain[form]
    if form == "leading ones":
        ones = sample.integer(1, rank)
        return (1,) * ones + shape[ones:]
    axis = sample.integer(0, rank - 1)
    return (*shape[:axis], 1, *shape[axis + 1 :])
