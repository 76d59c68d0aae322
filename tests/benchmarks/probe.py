"""Micro-models a second: the probe's fork servers, against a process that is started for every step of every case.

Both convert and run the same node tests once, with the same code around it, in turn. The probe as a whole, which
measures every case twice on all cores, is measured beside them. Run it with `make bench`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mnncompat.mnn import ForkServer
from mnncompat.mnn.request import Performer, perform
from mnncompat.probe.case import Case
from mnncompat.probe.corpora import CORPORA
from mnncompat.probe.pool import Pool
from mnncompat.probe.prober import LIMITS, attempt

CASES = 120
WHOLE = 600
WANTED_RATIO = 5.0


def main() -> int:
    """Measure and print; the exit status is 1 if forking hardly pays."""
    cases = [case for case in CORPORA["node"]() if case.expected is not None]
    some = cases[:: len(cases) // CASES]
    with ForkServer() as server:
        attempts(some[:2], server.perform)  # the servers start
        forked = len(some) / attempts(some, server.perform)
    spawned = len(some[::4]) / attempts(some[::4], perform)
    whole = cases[:: max(1, len(cases) // WHOLE)]
    with Pool() as pool:
        list(pool.measure(whole[:4]))
        begin = time.perf_counter()
        list(pool.measure(whole))
        measured = len(whole) / (time.perf_counter() - begin)
    print(f"a process for every step    {spawned:6.1f} cases/s on one core, once")
    print(f"fork server                 {forked:6.1f} cases/s on one core, once   ratio {forked / spawned:.1f}")
    print(f"mnncompat probe             {measured:6.1f} cases/s on all cores, each measured twice")
    return int(forked < WANTED_RATIO * spawned)


def attempts(cases: Sequence[Case], performer: Performer) -> float:
    """Wall time of converting and running each case once, in seconds."""
    begin = time.perf_counter()
    for case in cases:
        with folder() as place:
            attempt(case, place, limits=LIMITS, performer=performer)
    return time.perf_counter() - begin


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder, gone afterwards."""
    name = tempfile.mkdtemp()
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
