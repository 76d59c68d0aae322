"""The models of a command on several processes or machines, with results that are kept in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.cli import Interrupted
from mnncompat.cli.console import note, progress_bar
from mnncompat.cli.fleet_options import FleetOptions, Own, taker
from mnncompat.cli.printing import is_quiet
from mnncompat.errors import MnncompatError, UsageError
from mnncompat.fleet.outcomes import Answer, of_outcome, timed
from mnncompat.fleet.processes import in_parallel
from mnncompat.graph.atomic_files import workers_write, write_atomically

if TYPE_CHECKING:
    from mnncompat.cli.fleet_tasks import Tasks

    Work = Callable[[Path], Any]
    Arrived = Callable[[int, Answer], Answer]

_TOLD_SECONDS = 15.0
"""How often is said how far it is, where there is no bar."""


def outcomes(
    models: Sequence[Path], work: Work, fleet: FleetOptions, own: Own | None = None
) -> Iterator[tuple[Any, Exception | None]]:
    """Do the work with each model where the options say.

    Args:
        models: The models.
        work: Called with each, here or in another process.
        fleet: Where, and where results are kept; those that are there already are not made again.
        own: Values of the command's options for one model, if each has its own.

    Yields:
        An outcome for each model, in their order.

    Raises:
        MnncompatError: Results cannot be kept, or there is nobody to do the work.
    """
    handed = taker()
    if handed is not None:
        handed(models, work)
    if any(str(path) == "-" for path in models) and (fleet.scheduler is not None or fleet.results):
        raise UsageError("standard input cannot be sent, nor kept", hint="name a file")
    campaign = _Campaign(models, fleet, own)
    try:
        with progress_bar("models") as bar:
            yield from campaign.outcomes(work, bar)
    except (Interrupted, KeyboardInterrupt):
        campaign.tell()
        raise


class _Campaign:
    """The models of one call, and what came of them so far."""

    def __init__(self, models: Sequence[Path], fleet: FleetOptions, own: Own | None) -> None:
        self._models, self._fleet, self._own = models, fleet, own
        self._tasks: Tasks | None = None
        self._found: dict[int, Answer] = {}
        if fleet.results or fleet.scheduler is not None or fleet.release:
            from mnncompat.cli.fleet_tasks import Tasks

            workers_write()
            self._tasks = Tasks(models, fleet, own)
            self._found = self._tasks.before()
        self._kept = len(self._found)
        self._begun = self._told = time.monotonic()

    def outcomes(self, work: Work, bar: Callable[[int, int], None]) -> Iterator[tuple[Any, Exception | None]]:
        if self._kept:
            note(f"{self._kept} of {len(self._models)} models were done before, as {self._fleet.results} says")
        missing = [number for number in range(len(self._models)) if number not in self._found]

        def arrived(place: int, answer: Answer) -> Answer:
            self._found[missing[place]] = taken = self._take(missing[place], answer)
            bar(len(self._found), len(self._models))
            self._tell_now_and_then()
            return taken

        running = self._engine([self._models[number] for number in missing], work, arrived)
        for number in range(len(self._models)):
            while number not in self._found:
                next(running)
            answer = self._found[number]
            for line in answer.notes.splitlines():
                note(line)
            yield answer.result, answer.error
        for _ in running:  # it ends what it started
            pass

    def _engine(self, models: Sequence[Path], work: Work, arrived: Arrived) -> Iterator[None]:
        if not models:
            return iter(())
        if self._fleet.release and self._fleet.scheduler is None:
            from mnncompat.cli.fleet_cluster import in_served_processes

            return in_served_processes(models, self._fleet, arrived, self._own)
        if self._fleet.scheduler is not None:
            from mnncompat.cli.fleet_cluster import on_cluster

            assert self._tasks is not None  # noqa: S101 - there is a scheduler
            return on_cluster(models, work, self._fleet, arrived, self._own)
        if self._fleet.jobs > 1 and len(models) > 1:
            return _in_processes(models, work, self._fleet.jobs, arrived)
        return _here(models, work, arrived)

    def _take(self, number: int, answer: Answer) -> Answer:
        """Write what belongs to an answer, and keep it."""
        try:
            for path, data in answer.files.items():
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(Path(path), data)
        except (MnncompatError, OSError) as error:
            answer = Answer(error=error, seconds=answer.seconds, notes=answer.notes, worker=answer.worker)
        if self._tasks is not None:
            self._tasks.keep(number, answer)
        return answer._replace(files={})

    def _tell_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._told < _TOLD_SECONDS or is_quiet():
            return
        self._told = now
        done, total = len(self._found), len(self._models)
        if done < total:
            left = (now - self._begun) / (done - self._kept) * (total - done)
            note(f"{done} of {total} models; about {duration(left)} to go")

    def tell(self) -> None:
        """Say how far it came, when it is interrupted."""
        kept = f", and kept in {self._fleet.results}: the same command goes on" if self._fleet.results else ""
        note(f"{len(self._found)} of {len(self._models)} models are done{kept}")


def _here(models: Sequence[Path], work: Work, arrived: Arrived) -> Iterator[None]:
    answered = timed(work)
    for number, path in enumerate(models):
        arrived(number, answered(path))
        yield


def _in_processes(models: Sequence[Path], work: Work, jobs: int, arrived: Arrived) -> Iterator[None]:
    def take(number: int, outcome: tuple[Answer | None, Exception | None]) -> None:
        arrived(number, of_outcome(outcome))

    for _ in in_parallel(models, timed(work), jobs, arrived=take):
        yield


def duration(seconds: float) -> str:
    """Words for a time."""
    whole = round(seconds)
    if whole < 90:  # noqa: PLR2004 - seconds
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - minutes
