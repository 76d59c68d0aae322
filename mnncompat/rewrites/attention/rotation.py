"""The rotation of pairs of a head's elements by the angles of their position, as Mul, Sub, Add and Concat."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value


class Turn:
    """A rotation by given angles.

    Args:
        cosine: Broadcastable to the heads, with half as many columns as are turned.
        sine: Like `cosine`.
        turned: How many elements of a head, from its beginning, are turned.
        interleaved: Pairs are neighbours, not an element of either half.
    """

    def __init__(self, cosine: Value, sine: Value, turned: int, *, interleaved: bool) -> None:
        self._cosine, self._sine = cosine, sine
        self._turned = turned
        self._interleaved = interleaved

    def apply(self, new: SubgraphBuilder, value: Value) -> Value:
        """Heads, rank 4 with the elements of a head last, turned.

        Raises:
            NotApplicable: The size of a head is dynamic.
        """
        size, turned = value.dim(3), self._turned
        parts = [turned // 2, turned // 2, size - turned]
        if self._interleaved:
            rest = new.slice(value, [turned], [size], [3])
            one, two = (new.slice(value, [start], [turned], [3], [2]) for start in (0, 1))
        else:
            one, two, rest = [*new.split(value, parts if parts[2] else parts[:2], 3), value][:3]
        real, imaginary = (
            one * self._cosine - two * self._sine,
            one * self._sine + two * self._cosine,
        )
        if self._interleaved:
            pairs = new.concat([new.unsqueeze(each, (4,)) for each in (real, imaginary)], 4)
            halves = [new.reshape(pairs, (0, 0, 0, turned))]
        else:
            halves = [real, imaginary]
        return new.concat([*halves, rest] if parts[2] else halves, 3)
