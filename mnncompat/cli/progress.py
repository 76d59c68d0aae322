"""Progress of measurements, on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mnncompat.probe.selection import Selection


class Progress(Protocol):
    """Called with every measured case."""

    def advance(self, outcome: str) -> None:
        """One more."""


class _Silence:
    def advance(self, outcome: str) -> None:
        """Do nothing: there is no terminal."""


class _Bar:
    def __init__(self, bar: Any, total: int | None, done: int) -> None:
        self._bar, self._counts = bar, Counter[str]()
        self._task = bar.add_task("measuring", total=total, completed=done, counts="")

    def advance(self, outcome: str) -> None:
        """Count one more case, and show how many cases had which outcome."""
        self._counts[outcome] += 1
        counts = "  ".join(f"{number} {name}" for name, number in sorted(self._counts.items()))
        self._bar.update(self._task, advance=1, counts=counts)


@contextlib.contextmanager
def case_bar(selection: Selection, done: int) -> Iterator[Progress]:
    """A bar on standard error while cases are measured; none if that is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield _Silence()
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[counts]}"),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar, selection.size(), done)
