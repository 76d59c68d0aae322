"""Pairs of shapes that broadcast, in the forms that models contain."""

from __future__ import annotations

from mnncompat.probe.generated.draw import Draw

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


def broadcast_pair(draw: Draw) -> tuple[Shape, Shape]:
    """Two shapes; the left one is the larger, but for one in seven.

    Forms of the right one: the same; a scalar of rank 0; `[1]`; the last dimension; trailing dimensions; a channel
    `[C, 1, 1]` or `[1, C, 1, 1]`; ones in front; ones in the middle; ones in both operands; all ones.
    """
    shape = draw.shape()
    left, right = shape, _second(draw, shape, draw.weighted(_FORMS))
    if draw.chance(0.03):  # both of rank 0: what loop counters and sizes are
        left = right = ()
    elif left != right and len(shape) > 1 and draw.chance(0.05):
        axis = draw.integer(0, len(shape) - 1)
        left = (*shape[:axis], 1, *shape[axis + 1 :])
    return (right, left) if draw.chance(_SWAPPED) else (left, right)


def _second(draw: Draw, shape: Shape, form: str) -> Shape:
    rank = len(shape)
    channel = (shape[1], *(1,) * (rank - 2)) if rank > 2 else shape[-1:]  # noqa: PLR2004 - [N, C, ...]
    plain = {
        "same": shape,
        "scalar": (),
        "one": (1,),
        "last": shape[-1:],
        "trailing": shape[draw.integer(0, rank - 1) :],
        "channel": channel,
        "batched channel": (1,) * (rank - len(channel)) + channel,
        "unit rank": (1,) * rank,
    }
    if form in plain:
        return plain[form]
    if form == "leading ones":
        ones = draw.integer(1, rank)
        return (1,) * ones + shape[ones:]
    axis = draw.integer(0, rank - 1)
    return (*shape[:axis], 1, *shape[axis + 1 :])
