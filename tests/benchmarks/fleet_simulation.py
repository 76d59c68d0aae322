"""How long a campaign takes on many workers: a simulation with measured times, and the batches of the real thing.

    python tests/benchmarks/fleet_simulation.py --results DIR --models 10000 --workers 64

Times of tasks are drawn from those that DIR has kept. The program that hands out is one process: each model and each
batch costs it time, in which nobody else is served. Workers are lost now and then, with the batch that they do.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import sys
from collections import deque
from pathlib import Path
from typing import NamedTuple

from mnncompat.fleet.batches import Batches

CLIENT_PER_MODEL, CLIENT_PER_BATCH = 0.001, 0.005
"""Seconds of the process that hands out: a thousand checks took it 0.9 s beside its start (processor time)."""
WORKER_PER_MODEL, WORKER_PER_BATCH = 0.003, 0.01
"""Seconds that a worker's own processes take beside the work."""
START = 2.0
"""Seconds until a worker has done its first imports."""


class Outcome(NamedTuple):
    """Of a simulated campaign: seconds, and shares of them."""

    seconds: float
    busy: float
    client: float
    lost: int


def simulated(times: list[float], workers: int, hours_between_losses: float, draw: random.Random) -> Outcome:
    """Simulate a campaign of one task for each time."""
    batches = Batches(len(times), lambda _task: 100_000)
    ready: list[tuple[float, int, int]] = [(START, worker, worker) for worker in range(workers)]
    numbers = itertools.count(workers)
    client = busy = end = 0.0
    lost = 0
    waiting: deque[tuple[float, tuple[int, ...]]] = deque()
    while ready:
        now, _, worker = heapq.heappop(ready)
        while waiting and waiting[0][0] <= now:
            batches.took([times[task] for task in waiting.popleft()[1]])
        if not batches:
            end = max(end, now)
            continue
        tasks = batches.next(workers)
        begun = max(now, client) + CLIENT_PER_BATCH + CLIENT_PER_MODEL * len(tasks)
        client = begun
        took = WORKER_PER_BATCH + sum(times[task] + WORKER_PER_MODEL for task in tasks)
        if draw.random() < took / (hours_between_losses * 3600):
            lost += 1
            batches.back(tasks)
            heapq.heappush(ready, (begun + took / 2 + 10 * START, next(numbers), worker))
            continue
        busy += sum(times[task] for task in tasks)
        waiting.append((begun + took, tasks))
        heapq.heappush(ready, (begun + took, next(numbers), worker))
    spent = len(times) * CLIENT_PER_MODEL
    return Outcome(end, busy / (end * workers), spent / end, lost)


def measured(folder: Path) -> list[float]:
    """The times that a folder of results has kept, in seconds."""
    lines = (folder / "times.jsonl").read_text().splitlines()
    return [float(json.loads(line)["seconds"]) for line in lines]


def main() -> int:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, help="a folder that --results named")
    parser.add_argument("--seconds", type=float, default=0.35, help="mean of a task, without --results")
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8, 16, 32, 64, 128])
    parser.add_argument("--hours", type=float, default=24.0, help="of a worker's life, in the mean")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    known = measured(given.results) if given.results else [draw.lognormvariate(0, 0.8) for _ in range(1000)]
    scale = 1.0 if given.results else given.seconds * len(known) / sum(known)
    times = [scale * draw.choice(known) for _ in range(given.models)]
    print(f"{given.models} models, {sum(times):.0f} s of work, {sum(times) / given.models:.3f} s each")
    print("workers  minutes  busy  client  lost")
    for workers in given.workers:
        found = simulated(times, workers, given.hours, draw)
        print(f"{workers:7}  {found.seconds / 60:7.1f}  {found.busy:4.0%}  {found.client:6.0%}  {found.lost:4}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
