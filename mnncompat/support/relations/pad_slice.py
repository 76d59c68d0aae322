"""Relations of operators that move data; see `mnncompat.support.relations.catalog`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnncompat.graph.protos import Dim
from mnncompat.inference.constant_folding import fold
from mnncompat.support.node_facts import NodeFacts

_PADS_SINCE = 11  # from this opset on, they are an operand
_BOUNDS_SINCE = 10
_BLOCKS = 3


def filled_blocks(shape: Sequence[Dim], padded: Iterable[int]) -> bool:
    """True if MNN fills everything that a padding of these axes adds.

    Args:
        shape: What is padded; a dynamic size counts as more than one.
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


def pads_before_three_blocks(facts: NodeFacts) -> bool | None:
    """Axes are padded before the last three blocks: each padded axis is a block, and each run of axes between them.

    Runs of a single element do not count.
    """
    shape = facts.shape(facts.node.input[0])
    pads = _pads(facts)
    if shape is None or pads is None or pads.size != 2 * len(shape) or facts.operand(3) is not None:
        return None
    return not filled_blocks(shape, np.flatnonzero(pads.reshape(2, -1).any(0)).tolist())


def crops(facts: NodeFacts) -> bool | None:
    """A Pad has negative pads."""
    pads = _pads(facts)
    return None if pads is None else bool((pads < 0).any())


def _pads(facts: NodeFacts) -> NDArray[Any] | None:
    """Pads that are stored, or computed from what is: torch's exporter reorders them by operators."""
    if facts.opset < _PADS_SINCE:
        return np.asarray(facts.attribute("pads") or ())
    name = facts.node.input[1]
    stored = facts.constant(name)
    return stored if stored is not None else fold(facts.view, name)


class _Bound(NamedTuple):
    """What a Slice says about one axis; the size is None if it is dynamic."""

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
            values = facts.constant(operand)
            if values is None:
                return None
        default = range(len(parts[0])) if name == "axes" else [1] * len(parts[0]) if parts else []
        parts.append([int(each) for each in (default if values is None else values)])
    sizes = [shape[axis] for axis in parts[2]]
    return (
        _Bound(start, end, step, size if isinstance(size, int) else None)
        for start, end, step, size in zip(parts[0], parts[1], parts[3], sizes, strict=True)
    )


def reverses_to_behind_rank(facts: NodeFacts) -> bool | None:
    """A negative step ends at a position above the rank of the tensor, which MNN takes for the limit."""
    bounds, rank = _bounds(facts), facts.rank(facts.node.input[0])
    if bounds is None or rank is None:
        return None
    return any(each.step < 0 and _ends_above(each, rank) for each in bounds)


def _ends_above(bound: _Bound, rank: int) -> bool:
    if bound.size is None:
        return bound.end > rank
    start, end = (each + bound.size if each < 0 else each for each in (bound.start, bound.end))
    return min(start, bound.size - 1) > end > rank


def starts_far_before(facts: NodeFacts) -> bool | None:
    """A slice forwards starts before the beginning, by other than a multiple of the size."""
    bounds = _bounds(facts)
    if bounds is None:
        return None
    return any(each.size and each.step > 0 and each.start < -each.size and each.start % each.size for each in bounds)


def result_is_empty(facts: NodeFacts) -> bool:
    """The result is known to have no elements."""
    return facts.elements(facts.node.output[0]) == 0


MOVEMENT_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {
    function.__name__.replace("_", "-"): function
    for function in (pads_before_three_blocks, crops, reverses_to_behind_rank, starts_far_before, result_is_empty)
}
