"""Inputs on which classes move that something clips in every draw."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.parity.power.clipped_classes import goal_of
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mnncompat.parity.power.clipped_classes import FlatClasses
    from mnncompat.parity.power.faulty_model import FaultyModel
    from mnncompat.parity.power.input_search import InputSearch

    Arrays = dict[str, np.ndarray]

_MOST_DRAWS = 4
"""Draws that are added for the sake of classes."""
_MOST_AIMS = 6


class ClassSearch:
    """Adds draws on which classes move that no other draw shows: first those that aim at classes, then other scales.

    Args:
        search: Proposes inputs.
        faulty: The model.
        left: Gives the classes that no draw shows, nor further outputs.
        add: Adds a draw: inputs and outputs.
    """

    def __init__(
        self,
        search: InputSearch,
        faulty: FaultyModel,
        left: Callable[[Sequence[Mapping[str, np.ndarray]]], list[FlatClasses]],
        add: Callable[[Arrays, Arrays], None],
    ) -> None:
        self._search = search
        self._faulty = faulty
        self._left = left
        self._add = add

    def run(self, outputs: Mapping[str, np.ndarray]) -> None:
        """Search until every class moves, time is over, or enough draws were added.

        Args:
            outputs: Of the first draw.
        """
        left, added = self._left(()), 0
        for arrays in self._proposals(outputs) if left else ():
            found = self._outputs(arrays)
            after = left if found is None else self._left([found])
            if found is not None and _count(after) < _count(left):
                self._add(arrays, found)
                left, added = after, added + 1
            if not left or added == _MOST_DRAWS or time.process_time() > self._search.deadline:
                return

    def _proposals(self, outputs: Mapping[str, np.ndarray]) -> Iterator[Arrays]:
        """Inputs to try; those that aim at classes aim at what is left when they are asked for."""
        for attempt in range(_MOST_AIMS if self._search.is_free else 0):
            left = self._left(())
            aim = left[attempt % len(left)]
            if attempt >= len(left):  # together they may contradict each other
                aim = aim._replace(indices=(aim.indices[attempt % len(aim.indices)],))
            goal = goal_of(aim, self._faulty.saturating.get(aim.output), outputs)
            if goal is not None:
                yield self._search.alive(goal)
        yield from self._search.proposals(())

    def _outputs(self, arrays: Arrays) -> Arrays | None:
        """What the model gives; None if that is not finite."""
        found = self._search.run(arrays)
        if isinstance(found, Failure):
            return None
        own = {name: found[name] for name in self._faulty.outputs}
        return own if all(np.isfinite(each).all() for each in own.values() if each.dtype.kind == "f") else None


def _count(classes: Sequence[FlatClasses]) -> int:
    return sum(len(each.indices) for each in classes)
