"""How many tasks are handed out at once: few enough to keep all workers busy, enough that handing out costs little."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence

_SECONDS = 0.5
"""That a batch should take."""
_MOST_TASKS = 64
_MOST_BYTES = 16 << 20
_OVERLAP = 2
"""Batches for each slot of a worker: one that is done, and one that waits there."""


class Batches:
    """Tasks that are left, and what the next batch of them is.

    Args:
        count: Of the tasks.
        bytes_of: Size of a task's model.
        most: Tasks in a batch; None for as many as make sense.
    """

    def __init__(self, count: int, bytes_of: Callable[[int], int], most: int | None = None) -> None:
        self._most = most or _MOST_TASKS
        self._left = deque(range(count))
        self._alone: set[int] = set()
        self._bytes_of = bytes_of
        self._seconds = self._done = 0.0

    def __len__(self) -> int:
        return len(self._left)

    def next(self, slots: int) -> tuple[int, ...]:
        """Take a batch.

        Args:
            slots: Tasks that all workers together can do at a time.
        """
        size = self._size(slots)
        found, total = [self._left.popleft()], 0
        total += self._bytes_of(found[0])
        while self._left and len(found) < size and found[0] not in self._alone and self._left[0] not in self._alone:
            total += self._bytes_of(self._left[0])
            if total > _MOST_BYTES:
                break
            found.append(self._left.popleft())
        return tuple(found)

    def back(self, tasks: Sequence[int], *, alone: bool = False) -> None:
        """Take tasks back: they come first the next time, one by one if they are to be alone."""
        self._left.extendleft(reversed(tasks))
        if alone:
            self._alone.update(tasks)

    def took(self, seconds: Iterable[float]) -> None:
        """Learn how long tasks took."""
        for each in seconds:
            self._seconds += each
            self._done += 1

    def wanted(self, slots: int) -> int:
        """How many batches should be handed out at a time."""
        return _OVERLAP * max(slots, 1)

    def _size(self, slots: int) -> int:
        if not self._done:
            return 1
        mean = max(self._seconds / self._done, 1e-4)
        share = math.ceil(len(self._left) / (_OVERLAP * max(slots, 1)))
        return max(1, min(round(_SECONDS / mean), share, self._most))
