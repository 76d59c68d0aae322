"""What a draw takes under both sides, from the runs that a comparison makes anyway.

Processor time, which other work on the machine disturbs less than wall time; both sides run on one thread. The first
run at a size prepares for it and does not count, if there are others. The reference may not fuse nodes, so that it
computes what the graph says: ONNX Runtime as it is used may be faster.
"""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mnncompat.results.parity_report import Speed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from mnncompat.parity.input_plan import NamedFeeds

Sizes = tuple[tuple[str, tuple[int, ...]], ...]


class Timings:
    """Seconds of processor time of single runs, by the shapes of the inputs."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[Sizes, list[float]] = {}

    def add(self, feed: Mapping[str, np.ndarray], seconds: float) -> None:
        """Keep what a run took."""
        self._found.setdefault(_sizes(feed), []).append(seconds)

    @contextmanager
    def of(self, feed: Mapping[str, np.ndarray]) -> Iterator[None]:
        """Time a run in this process."""
        start = time.process_time()
        yield
        self.add(feed, time.process_time() - start)

    def settled(self, feed: Mapping[str, np.ndarray]) -> list[float]:
        """What the runs at these shapes took, without the first one if there are others."""
        found = self._found.get(_sizes(feed), [])
        return found[1:] or found


def _sizes(feed: Mapping[str, np.ndarray]) -> Sizes:
    return tuple(sorted((name, array.shape) for name, array in feed.items()))


def speed_of(
    feeds: Sequence[NamedFeeds], reference: Timings | None, fed: Sequence[NamedFeeds], subject: Timings | None
) -> Speed | None:
    """Medians at the shapes of the first draw; None where a side was not timed, or is too quick for the clock.

    Args:
        feeds: What the reference was fed with.
        reference: Its timings.
        fed: What the subject was fed with: the same, and the noise that the reference drew.
        subject: Its timings.
    """
    if not feeds or reference is None or subject is None:
        return None
    first, second = reference.settled(feeds[0].arrays), subject.settled(fed[0].arrays)
    if not first or not second:
        return None
    found = Speed(reference=statistics.median(first), mnn=statistics.median(second), runs=min(len(first), len(second)))
    return found if found.reference > 0 and found.mnn > 0 else None
