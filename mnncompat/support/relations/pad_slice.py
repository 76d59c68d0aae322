"""Relations of Pad, Slice and other operators that move data: which axes, how far, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.protos import Dim
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PADS_SINCE = 11  # from this opset on, they are an operand

_BOUNDS_SINCE = 10

_BLOCKS = 3


def filled_blocks(shape: Sequence[Dim], padded: Iterable[int]) -> bool:
    """True if MNN fills everything that a padding of these axes adds.

    Args:
        shape: Shape of the operand; a dynamic size counts as more than one.
        padded: Axes with pads.
    """
    blocks: list[bool] = []
    chosen = set(padded)
    for axis, size in enumerate(shape):
        if axis in chosen:
            blocks.append(True)
        elif size != 1 and (not blocks or blocks[-1]):
            blocks.append(False)
    return not any(blocks[:-_BLOCKS])


@relation(
    holds="(float[2,2,2,2] x) => (float[3,2,3,2] y) <int64[8] p = {1, 0, 1, 0, 0, 0, 0, 0}> { y = Pad(x, p) }",
    fails="(float[2,2,2,2] x) => (float[2,2,2,3] y) <int64[8] p = {0, 0, 0, 1, 0, 0, 0, 0}> { y = Pad(x, p) }",
)
def padded_axes_exceed_three_blocks(facts: NodeFacts) -> bool | None:
    """A Pad pads axes before the last three blocks of axes, which MNN does not fill.

    A block is a padded axis, or a run of other axes that hold more than one element.
    """
    shape = facts.shape(facts.node.input[0])
    pads = _pads(facts)
    if shape is None or pads is None or pads.size != 2 * len(shape) or facts.operand(3) is not None:
        return None
    return not filled_blocks(shape, np.flatnonzero(pads.reshape(2, -1).any(0)).tolist())


_PADS_ARE_OPERAND = 11


@relation(
    holds="(float[3] x) => (float[3] y) <int64[2] p = {-1, 1}> { y = Pad(x, p) }",
    fails="(float[3] x) => (float[4] y) <int64[2] p = {-1, 2}> { y = Pad(x, p) }",
)
def pads_crop_input(facts: NodeFacts) -> bool | None:
    """A Pad has negative pads, which remove elements, and MNN does not.

    It does where zeros are added somewhere, no value is stated, and no axis gets as many as it loses.
    """
    pads = _pads(facts)
    if pads is None or (pads >= 0).all():
        return None if pads is None else False
    fills_zeros = facts.attribute("mode") in (None, "constant") and facts.operand(2) is None
    if not fills_zeros or facts.view.opset < _PADS_ARE_OPERAND:
        return True
    both = pads.reshape(2, -1)
    return bool((pads <= 0).all() or (both.any(0) & (both.sum(0) == 0)).any())


@relation(
    holds=(
        "(float[3,4] x) => (float[4,5] y) <int64[4] p = {1, 0, 0, 1}, float v = {2.0}, int64[2] a = {0, -1}> { y "
        "= Pad(x, p, v, a) }"
    ),
    fails=(
        "(float[3,4] x) => (float[4,5] y) <int64[4] p = {1, 0, 0, 1}, float v = {2.0}, int64[2] a = {1, 0}> { y ="
        " Pad(x, p, v, a) }"
    ),
    opset=18,
)
def pad_axes_list_all_in_order(facts: NodeFacts) -> bool | None:
    """The constant axes of a Pad (input 3) are all axes of input 0, in order."""
    name, rank = facts.operand(3), facts.rank(facts.node.input[0])
    axes = None if name is None else facts.numbers_through_casts(name)
    if axes is None or rank is None:
        return None
    return [int(axis) % max(rank, 1) for axis in axes] == list(range(rank))


def _pads(facts: NodeFacts) -> NDArray[Any] | None:
    """Pads that are stored, or computed from stored values: torch's exporter reorders them by operators."""
    if facts.opset < _PADS_SINCE:
        return np.asarray(facts.attribute("pads") or ())
    name = facts.node.input[1]
    return facts.constant_value(name)


class _Bound(NamedTuple):
    """Bounds of a Slice along one axis; the size is None if it is dynamic."""

    start: int
    end: int
    step: int
    size: int | None


def _bounds(facts: NodeFacts) -> Iterator[_Bound] | None:
    """Constant bounds of a Slice; None if they are computed, or the rank is unknown."""
    shape = facts.shape(facts.node.input[0])
    if shape is None:
        return None
    parts: list[list[int]] = []
    for position, name in enumerate(("starts", "ends", "axes", "steps"), start=1):
        operand = facts.operand(position)
        if facts.opset < _BOUNDS_SINCE:
            values = facts.attribute(name)
        elif operand is None:
            values = None
        else:
            found = facts.numbers_through_casts(operand)
            values = None if found is None else [*found]
            if values is None or not all(map(isfinite, values)):
                return None
        default = range(len(parts[0])) if name == "axes" else [1] * len(parts[0]) if parts else []
        parts.append([int(each) for each in (default if values is None else values)])
    sizes = [shape[axis] for axis in parts[2]]
    return (
        _Bound(start, end, step, size if isinstance(size, int) else None)
        for start, end, step, size in zip(parts[0], parts[1], parts[3], sizes, strict=True)
    )


@relation(
    holds=(
        "(float[5] x) => (float[N] y) <int64[1] s = {4}, int64[1] e = {2}, int64[1] a = {0}, int64[1] t = {-1}> {"
        " y = Slice(x, s, e, a, t) }"
    ),
    fails=(
        "(float[5] x) => (float[N] y) <int64[1] s = {4}, int64[1] e = {0}, int64[1] a = {0}, int64[1] t = {-1}> {"
        " y = Slice(x, s, e, a, t) }"
    ),
)
def reversed_slice_ends_above_rank(facts: NodeFacts) -> bool | None:
    """A Slice with a negative step ends at a position above the tensor's rank, which MNN uses as the limit."""
    bounds, rank = _bounds(facts), facts.rank(facts.node.input[0])
    if bounds is None or rank is None:
        return None
    return any(each.step < 0 and _ends_above(each, rank) for each in bounds)


def _ends_above(bound: _Bound, rank: int) -> bool:
    if bound.size is None:
        return bound.end > rank
    start, end = (each + bound.size if each < 0 else each for each in (bound.start, bound.end))
    return min(start, bound.size - 1) > end > rank


@relation(
    holds=(
        "(float[5] x) => (float[N] y) <int64[1] s = {-7}, int64[1] e = {4}, int64[1] a = {0}, int64[1] t = {1}> {"
        " y = Slice(x, s, e, a, t) }"
    ),
    fails=(
        "(float[5] x) => (float[N] y) <int64[1] s = {-3}, int64[1] e = {4}, int64[1] a = {0}, int64[1] t = {1}> {"
        " y = Slice(x, s, e, a, t) }"
    ),
)
def slice_starts_far_before_data(facts: NodeFacts) -> bool | None:
    """A Slice with a positive step starts before the first element, and not by a multiple of the size."""
    bounds = _bounds(facts)
    if bounds is None:
        return None
    return any(each.size and each.step > 0 and each.start < -each.size and each.start % each.size for each in bounds)


@relation(
    holds=(
        "(float[2,2,2,2] x) => (float[2,2,2,2] y) <int64[1] s = {-1}, int64[1] e = {-3}, int64[1] a = {3}, "
        "int64[1] t = {-1}> { y = Slice(x, s, e, a, t) }"
    ),
    fails=(
        "(float[1,2,2,2] x) => (float[1,2,2,2] y) <int64[1] s = {-1}, int64[1] e = {-3}, int64[1] a = {3}, "
        "int64[1] t = {-1}> { y = Slice(x, s, e, a, t) }"
    ),
)
def slice_has_axes_before_last_three(facts: NodeFacts) -> bool | None:
    """The result has more than one element along axes before the last three; a dynamic size counts as more than one."""
    shape = facts.shape(facts.node.output[0])
    return None if shape is None else any(dim != 1 for dim in shape[: max(len(shape) - 3, 0)])


@relation(
    holds="() => (float[0] y) <int64[1] s = {0}> { y = ConstantOfShape(s) }",
    fails="() => (float[2] y) <int64[1] s = {2}> { y = ConstantOfShape(s) }",
)
def result_has_no_elements(facts: NodeFacts) -> bool:
    """The result is known to have no elements."""
    return facts.elements(facts.node.output[0]) == 0
