"""Blocks that a sequence of nodes repeats, such as the layers of a network whose exporter kept no names of modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_WINDOW = 4
"""Neighbouring nodes by which a place is recognised."""
_PERIODS = 6
"""Lengths of a block that are tried."""
_LEAST = 3
"""Nodes of a block: less is no block."""


class Run(NamedTuple):
    """A block that follows itself.

    Attributes:
        start: Position of its first node.
        period: Nodes of the block.
        times: How often it is there, at least twice.
    """

    start: int
    period: int
    times: int

    @property
    def end(self) -> int:
        """Position after its last node."""
        return self.start + self.period * self.times


def repeated(tokens: Sequence[int]) -> list[Run]:
    """Runs of repeated blocks, which do not overlap, in order; in time linear in the number of nodes.

    The length of a block is guessed from how far apart the same four neighbours are found again, most frequent
    distances first. Of the runs of all those lengths, the ones that cover most nodes are taken.

    Args:
        tokens: What each node is, equal where nodes are.
    """
    runs = [run for period in _likely_periods(tokens) for run in _runs(tokens, period)]
    taken = bytearray(len(tokens))
    found = []
    for run in sorted(runs, key=lambda each: (-each.period * each.times, each.period, each.start)):
        if not any(taken[run.start : run.end]):
            taken[run.start : run.end] = b"\x01" * (run.end - run.start)
            found.append(run)
    return sorted(found)


def _likely_periods(tokens: Sequence[int]) -> list[int]:
    last: dict[tuple[int, ...], int] = {}
    distances: Counter[int] = Counter()
    for place in range(len(tokens) - _WINDOW + 1):
        window = tuple(tokens[place : place + _WINDOW])
        if window in last:
            distances[place - last[window]] += 1
        last[window] = place
    return [period for period, _ in distances.most_common(_PERIODS) if period >= _LEAST]


def _runs(tokens: Sequence[int], period: int) -> Iterator[Run]:
    """Maximal runs of that period; a block that is one smaller block several times is left to the smaller one."""
    length = 0
    for place in range(len(tokens) - period + 1):
        if place + period < len(tokens) and tokens[place] == tokens[place + period]:
            length += 1
            continue
        times = length // period + 1
        if times > 1 and len(set(tokens[place - length : place - length + period])) > 1:
            yield Run(place - length, period, times)
        length = 0
