"""Which of several sizes of a signal show more: those at which nothing inside the model shrinks to one element."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from mnncompat.inference.shape_propagation import Shape
from mnncompat.inference.size_expression import Size, dimension

_MOST_COMPARED = 16
"""Choices of sizes that are compared with one another."""


def telling_first(
    choices: Iterator[dict[str, int]], shapes: Mapping[str, Shape | None], lengths: Collection[str]
) -> Iterator[dict[str, int]]:
    """The same choices; among the first ones those come first at which the fewest computed lengths are 1 or 0.

    One frame of a signal shows little: what is normalised over time is 0.

    Args:
        choices: Sizes of the dynamic dimensions, the preferred ones first.
        shapes: Of all values, as expressions of the dynamic dimensions.
        lengths: The dimensions whose sizes are chosen as those of a sequence or a signal.
    """
    computed = _computed(shapes.values(), frozenset(lengths))
    if computed:
        first = list(islice(choices, _MOST_COMPARED))
        first.sort(key=lambda sizes: sum(_is_lost(each, sizes) for each in computed))
        yield from first
    yield from choices


def _computed(shapes: Iterable[Shape | None], lengths: frozenset[str]) -> list[Size]:
    """Sizes that depend on one of the lengths alone, and are not that length itself."""
    sizes = {size for shape in shapes for size in shape or () if size is not None}
    of_one = ((size, size.dimensions()) for size in sizes if size.number is None)
    return [size for size, names in of_one if len(names) == 1 and names <= lengths and size != dimension(*names)]


def _is_lost(length: Size, sizes: Mapping[str, int]) -> bool:
    """Whether a length is 1 or less."""
    try:
        return length.evaluate(sizes) <= 1
    except (KeyError, ZeroDivisionError):
        return False
