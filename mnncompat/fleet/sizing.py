"""How long a campaign takes on so many workers: a simulation with times that were measured, and the real batches.

The program that hands out is one process: each model and each batch costs it time, in which nobody else is served.
Workers are lost now and then, with what they do, which is done again.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mnncompat.fleet.batches import Batches

CLIENT_PER_MODEL, CLIENT_PER_BATCH = 0.0015, 0.005
"""Seconds of the process that hands out: a thousand checks took it 1.5 s beside its start (processor time)."""
WORKER_PER_MODEL, WORKER_PER_BATCH = 0.001, 0.02
"""Seconds that a worker's processes take beside the work: a thousand checks took them 0.75 s (processor time)."""
START_SECONDS = 2.0
"""Until a worker has done its first imports."""
_RESTART_SECONDS = 10.0
_MODEL_BYTES = 100_000


class Forecast(NamedTuple):
    """A simulated campaign.

    Attributes:
        workers: How many there were.
        seconds: How long it took.
        busy: Share of the workers' time in which they worked on models.
        client: Share of the time in which the program that hands out was busy.
        lost: Workers that were lost.
    """

    workers: int
    seconds: float
    busy: float
    client: float
    lost: int


def drawn(known: Sequence[float], models: int, seed: int) -> list[float]:
    """Times of so many models, drawn from known ones."""
    return random.Random(seed).choices(known, k=models)  # noqa: S311 - a simulation


def usual(mean: float) -> list[float]:
    """A thousand times that vary as those of models do, with this mean, in seconds."""
    draw = random.Random(0)  # noqa: S311 - a simulation
    times = [draw.lognormvariate(0, 0.8) for _ in range(1000)]
    return [mean * each * len(times) / sum(times) for each in times]


def forecasts(times: Sequence[float], workers: Iterable[int], hours: float, seed: int) -> Iterator[Forecast]:
    """Simulate a campaign on each number of workers.

    Args:
        times: Of its models, in seconds.
        workers: Numbers of workers.
        hours: Until a worker is lost, in the mean.
        seed: Of what happens by chance.
    """
    for count in workers:
        yield _Simulation(times, count, hours, seed).run()


class _Simulation:
    def __init__(self, times: Sequence[float], workers: int, hours: float, seed: int) -> None:
        self._times, self._workers, self._hours = times, workers, hours
        self._draw = random.Random(seed)  # noqa: S311 - a simulation
        self._batches = Batches(len(times), lambda _task: _MODEL_BYTES)
        self._order = itertools.count()
        self._ready = [(START_SECONDS, next(self._order)) for _ in range(workers)]
        self._done: deque[tuple[float, tuple[int, ...]]] = deque()
        self._client = self._client_spent = self._busy = self._end = 0.0
        self._lost = 0

    def run(self) -> Forecast:
        while self._ready:
            now, _ = heapq.heappop(self._ready)
            while self._done and self._done[0][0] <= now:
                for task in self._done.popleft()[1]:
                    self._batches.took(self._times[task])
            if self._batches:
                self._begin(now)
        end = max(self._end, START_SECONDS)
        return Forecast(self._workers, end, self._busy / (end * self._workers), self._client_spent / end, self._lost)

    def _begin(self, now: float) -> None:
        """A worker gets a batch."""
        tasks = self._batches.next(self._workers)
        spent = CLIENT_PER_BATCH + CLIENT_PER_MODEL * len(tasks)
        self._client = begun = max(now, self._client) + spent
        self._client_spent += spent
        work = sum(self._times[task] for task in tasks)
        took = WORKER_PER_BATCH + WORKER_PER_MODEL * len(tasks) + work
        if self._draw.random() < took / (self._hours * 3600):
            self._lost += 1
            self._batches.back(tasks)
            self._next(begun + took / 2 + _RESTART_SECONDS)
            return
        self._busy += work
        self._end = max(self._end, begun + took)
        self._done.append((begun + took, tasks))
        self._next(begun + took)

    def _next(self, moment: float) -> None:
        heapq.heappush(self._ready, (moment, next(self._order)))
