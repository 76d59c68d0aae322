"""How many tasks are handed out at once: few enough to keep all workers busy, enough that handing out costs little."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mnncompat.fleet.outcomes import Answer
    from mnncompat.fleet.remote import Payload

OVERLAP = 2
"""Batches for each slot of a worker: one that is done, and one that waits there."""
_SECONDS = 0.4
"""That a batch should take."""
_MOST_TASKS = 256
_MOST_BYTES = 16 << 20
_REMEMBERED = 100
"""Tasks whose times are the guess for the next ones: the median, as the first of a process takes long."""


class Work(Protocol):
    """What is to be done."""

    def payload(self, tasks: tuple[int, ...]) -> Payload:
        """For some tasks; the process is filled in."""

    def name(self, task: int) -> str:
        """The model."""

    def needs(self, task: int) -> Mapping[str, float]:
        """Resources of Dask that a worker has to offer, if workers state such resources at all."""

    def bytes_of(self, task: int) -> int:
        """Size of the model."""

    def seconds_of(self, task: int) -> float:
        """Wall time after which a worker has surely ended its work with it."""

    def arrived(self, task: int, answer: Answer) -> None:
        """Take an answer in."""


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
        self._bytes_of = bytes_of
        self._times: deque[float] = deque(maxlen=_REMEMBERED)

    def __len__(self) -> int:
        return len(self._left)

    @property
    def first(self) -> int | None:
        """The task that is next."""
        return self._left[0] if self._left else None

    def next(self, slots: int, fits: Callable[[int], bool] = lambda _task: True) -> tuple[int, ...]:
        """Take a batch; empty if nothing is left, or what is next does not fit.

        Args:
            slots: Tasks that all workers together can do at a time.
            fits: Whether a task can be in this batch.
        """
        size, found, total = self._size(slots), list[int](), 0
        while self._left and len(found) < size and fits(self._left[0]):
            total += self._bytes_of(self._left[0])
            if found and total > _MOST_BYTES:
                break
            found.append(self._left.popleft())
        return tuple(found)

    def rest(self) -> tuple[int, ...]:
        """Take all that is left."""
        found = tuple(self._left)
        self._left.clear()
        return found

    def back(self, tasks: Sequence[int]) -> None:
        """Take tasks back: they come first the next time."""
        self._left.extendleft(reversed(tasks))

    def took(self, seconds: float) -> None:
        """Learn how long a task took."""
        self._times.append(seconds)

    def _size(self, slots: int) -> int:
        if not self._times:
            return 1
        usual = max(statistics.median(self._times), 1e-4)
        share = math.ceil(len(self._left) / (OVERLAP * max(slots, 1)))
        return max(1, min(round(_SECONDS / usual), share, self._most))
