"""The same work with each of several models: one that fails takes nothing away from the others, nor from the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mnncompat.cli import EXIT_ERROR, Ended, Interrupted, interrupted
from mnncompat.cli.console import Reporting, report
from mnncompat.cli.failures import words
from mnncompat.cli.fleet_options import ALONE, FleetOptions, Own
from mnncompat.cli.printing import say, say_error
from mnncompat.errors import MnncompatError, ModelError

if TYPE_CHECKING:
    from mnncompat.fleet.processes import Outcome
    from mnncompat.results.outcomes import Unfinished

Result = TypeVar("Result")

_MOST_ALIKE = 3
"""Errors with the same words that are told on stderr."""
_MOST_NAMES = 10
_TEXT = "text"
_BUG = "this is a bug in mnncompat: run it with this model alone and MNNCOMPAT_TRACEBACK=1, and report what it prints"


def each_model(
    models: Sequence[Path],
    work: Callable[[Path], Result],
    *,
    fleet: FleetOptions = ALONE,
    output_format: str = _TEXT,
    own: Own | None = None,
) -> tuple[list[Result | Unfinished], tuple[Result, ...]]:
    """Do the work with each model, whatever happens to another one, and tell each error on stderr.

    Args:
        models: The models.
        work: Called with each.
        fleet: Where: one by one in this process, or in several, and then what `work` returns is pickled.
        output_format: Of the report. A program that reads it finds every error there, whatever it is about; a person
            who gave one model reads it once.
        own: Values of the command's options for one model, if each has its own.

    Returns:
        For the report: a result for each model, in order. And the results of those that the work was done with.

    Raises:
        MnncompatError: There is only one model, the error is not about reading it, and the report is text.
        Exception: There is only one model, and the work failed in a way that nobody foresaw.
    """
    foreseen = (ModelError, MemoryError) if output_format == _TEXT else (MnncompatError, MemoryError)
    reported: list[Result | Unfinished] = []
    done: list[Result] = []
    left: list[str] = []
    said: Counter[str] = Counter()
    for path, (result, error) in zip(models, _outcomes(models, work, fleet, own), strict=True):
        if error is None:
            done.append(cast("Result", result))
            reported.append(done[-1])
            continue
        if interrupted():
            raise Interrupted from error
        if len(models) == 1 and not isinstance(error, foreseen):
            raise error
        reported.append(_unfinished(path, error, said))
        left.append(str(path))
    if left and len(models) > 1:
        more = f" and {len(left) - _MOST_NAMES} more" if len(left) > _MOST_NAMES else ""
        say(f"{len(left)} of {len(models)} models could not be worked on: {', '.join(left[:_MOST_NAMES])}{more}")
    return reported, tuple(done)


def _outcomes(
    models: Sequence[Path], work: Callable[[Path], Result], fleet: FleetOptions, own: Own | None
) -> Iterable[Outcome[Result]]:
    if fleet.is_alone(models):
        return _one_by_one(models, work)
    from mnncompat.cli.fleet_work import outcomes

    return outcomes(models, work, fleet, own)


def _one_by_one(models: Sequence[Path], work: Callable[[Path], Result]) -> Iterator[Outcome[Result]]:
    for path in models:
        try:
            yield work(path), None
        except Exception as error:  # noqa: BLE001 - told by the caller
            yield None, error


def report_all(reported: Sequence[Any], done: Sequence[Any], reporting: Reporting) -> None:
    """Report on every model, and end with status 2 if the work was not done with all of them.

    Args:
        reported: The first that `each_model` returned.
        done: The second.
        reporting: How.
    """
    report(reported, reporting)
    if len(done) < len(reported):
        raise Ended(EXIT_ERROR)


def _unfinished(path: Path, error: Exception, said: Counter[str]) -> Unfinished:
    """The report of a model that was not finished; of many alike the first few are told on stderr as well."""
    from mnncompat.results.diagnostics import Location
    from mnncompat.results.outcomes import Unfinished
    from mnncompat.results.rules import NOT_FINISHED, UNREADABLE

    message, hint = words(error, bug=_BUG)
    told = " ".join(message.split()).removeprefix(f"{path}: ")
    said[told] += 1
    if said[told] <= _MOST_ALIKE:
        say_error(message if str(path) in message else f"{path}: {message}", hint)
    elif said[told] == _MOST_ALIKE + 1:
        say(f"... and others: {told}; the report names all")
    rule = UNREADABLE if isinstance(error, ModelError) else NOT_FINISHED
    found = rule.finding(Location(model=str(path)), told, status="error", hint=hint)
    return Unfinished(source=str(path), diagnostics=(found,))
