"""The workers of a Dask scheduler as one campaign sees them: who is there, what each offers, and what each has."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mnncompat.errors import RunnerError
from mnncompat.fleet.batches import OVERLAP
from mnncompat.fleet.served import Trouble

_SILENT_SECONDS = 60.0
"""Without a heartbeat, of which there is one every few seconds, a worker counts as lost."""


_FIRST_SECONDS, _NEXT_SECONDS = 900.0, 60.0
"""What a worker may need for an answer beside the work: for the first, it installs a release, and sets a device up."""


class Batch(NamedTuple):
    """Tasks that were handed to a worker together.

    Attributes:
        number: No other batch has it.
        tasks: The tasks.
        worker: Its address.
        alone: The worker gets nothing else meanwhile.
    """

    number: int
    tasks: tuple[int, ...]
    worker: str
    alone: bool


class Worker:
    """A worker that can be given tasks.

    Args:
        address: Where it listens.
        process: A word that no other process says (`mnncompat.fleet.remote.PROCESS`).
        told: What the scheduler says of it.
    """

    def __init__(self, address: str, process: str, told: Mapping[str, Any]) -> None:
        self.address, self.process = address, process
        self.threads = max(1, int(told.get("nthreads") or 1))
        self.offers: dict[str, float] = {name: float(each) for name, each in (told.get("resources") or {}).items()}
        self.held: dict[int, Batch] = {}
        self._answered, self._heard = False, time.monotonic()

    def take(self, batch: Batch) -> None:
        """Have it hold a batch."""
        if not self.held:
            self._heard = time.monotonic()
        self.held[batch.number] = batch

    def let_go(self, batch: Batch) -> None:
        """It has answered a batch, or that one came to nothing."""
        self.held.pop(batch.number, None)
        self._answered, self._heard = True, time.monotonic()

    def is_overdue(self, seconds_of: Callable[[int], float]) -> bool:
        """Whether it has not answered for longer than all that it holds may take, although it is there.

        Args:
            seconds_of: Longest time of a task.
        """
        if not self.held:
            return False
        longest = sum(seconds_of(task) for batch in self.held.values() for task in batch.tasks)
        beside = _NEXT_SECONDS if self._answered else _FIRST_SECONDS
        return time.monotonic() - self._heard > beside + longest

    @property
    def is_open(self) -> bool:
        """Whether it takes more."""
        return len(self.held) < OVERLAP * self.threads and not any(each.alone for each in self.held.values())


class Workers:
    """Those that can be given tasks, and those that said why they cannot."""

    def __init__(self) -> None:
        self.usable: dict[str, Worker] = {}
        self.refused: dict[str, Trouble] = {}
        self._beats: dict[str, tuple[Any, float]] = {}

    def present(self, told: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """Those that the scheduler has, but for those that it has not heard of for long.

        Args:
            told: What it says of each, by address.
        """
        now = time.monotonic()
        for address, each in told.items():
            beat = each.get("last_seen")
            if address not in self._beats or self._beats[address][0] != beat:
                self._beats[address] = beat, now
        return {address: each for address, each in told.items() if now - self._beats[address][1] < _SILENT_SECONDS}

    @property
    def slots(self) -> int:
        """Tasks that they can do at a time."""
        return sum(each.threads for each in self.usable.values())

    def fits(self, worker: Worker, needs: Mapping[str, float]) -> bool:
        """Whether a worker offers what a task needs; what nobody states does not count."""
        kinds = {_kind(name) for each in self.usable.values() for name in each.offers}
        return all(worker.offers.get(name, 0.0) >= amount for name, amount in needs.items() if _kind(name) in kinds)

    def lack(self, needs: Mapping[str, float]) -> RunnerError:
        """That nobody offers what a task needs, in words."""
        kinds = {_kind(name) for each in self.usable.values() for name in each.offers}
        wanted = " ".join(f"{name}={amount:g}" for name, amount in sorted(needs.items()) if _kind(name) in kinds)
        return RunnerError(
            f"it needs a worker that offers {wanted}, and none does",
            hint=f'start one: dask worker ADDRESS --resources "{wanted}"',
        )


def _kind(name: str) -> str:
    """What a resource is about: all releases of MNN are of one kind."""
    return name.partition("-")[0]
