"""Runs that are timed in turn, so that what else the machine does concerns all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

_LEAST_SECONDS = 0.005
"""How long the turn of one takes at least: short runs are repeated."""
_WARM_UP = 2


def timed_rounds(runs: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """For each round the seconds of one run of each; every other round begins with the last one."""
    longest = max(_seconds(run, _WARM_UP) for run in runs)
    times = max(1, round(_LEAST_SECONDS / longest))
    return [_round(runs, times, backwards=bool(number % 2)) for number in range(rounds)]


def _round(runs: Sequence[Callable[[], object]], times: int, *, backwards: bool) -> list[float]:
    step = -1 if backwards else 1
    return [_seconds(run, times) for run in runs[::step]][::step]


def _seconds(run: Callable[[], object], times: int) -> float:
    begin = perf_counter()
    for _ in range(times):
        run()
    return (perf_counter() - begin) / times
