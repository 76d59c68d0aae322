"""Which task is to blame for workers that are lost.

A worker that is lost says nothing: any task that it had may have ended it, or none. Each of them is tried again by
itself, on a worker that has nothing else; if that one is lost too, it was that task or chance. It is left until the
others are done: then it is known from the workers that were lost without it what chance can do.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

_ACCUSED = 2
"""Workers that a task has lost when it is left, the last one by itself."""
_MOST = 6
"""Workers that it may lose by itself, however often others are lost."""
_CHANCE = 1e-4
"""That a task is blamed for what happened by chance."""


class Losses:
    """The workers that a campaign has lost, and with which tasks."""

    def __init__(self) -> None:
        self._lost: defaultdict[int, list[str]] = defaultdict(list)
        self._alone: defaultdict[int, int] = defaultdict(int)
        self._workers = 0
        self._runs = 0

    @property
    def any(self) -> bool:
        """Whether workers were lost at all."""
        return self._workers > 0

    def begun(self) -> None:
        """Something was handed to a worker."""
        self._runs += 1

    def note(self, worker: str, tasks: Iterable[int]) -> None:
        """A worker was lost.

        Args:
            worker: Its address.
            tasks: All that it had been handed, and had not answered.
        """
        self._workers += 1
        had = tuple(tasks)
        for task in had:
            self._lost[task].append(worker)
            self._alone[task] += len(had) == 1

    def with_task(self, task: int) -> tuple[str, ...]:
        """The workers that were lost while they had a task."""
        return tuple(self._lost[task])

    def is_suspect(self, task: int) -> bool:
        """Whether a task has to be done by itself from now on."""
        return task in self._lost

    def is_accused(self, task: int) -> bool:
        """Whether a task has lost two workers, and one of them by itself: it is left until the others are done."""
        return len(self._lost[task]) >= _ACCUSED and self._alone[task] > 0

    def is_to_blame(self, task: int) -> bool:
        """Whether it is no chance that a task that is accused has lost so many workers by itself."""
        others = self._workers - len(self._lost[task])
        chance = min(others / max(self._runs, 1), 0.5)
        needed = 1 if not others else math.ceil(math.log(_CHANCE) / math.log(chance))
        return self._alone[task] >= min(needed, _MOST)
