"""`mnncompat fleet`: what campaigns over many models gave."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnncompat.cli import EXIT_ERROR, Ended
from mnncompat.cli.bounded import bounded
from mnncompat.cli.console import emit, note, use_color
from mnncompat.cli.printing import say, say_error
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from mnncompat.fleet.summary import Row, Summary

fleet = typer.Typer(help="Campaigns over many models: what --results DIR has kept.", no_args_is_help=True)

_FORMATS = ("text", "json", "html")
_MOST_ROWS = 40
_MOST_DAMAGED = 10
_MOST_PLANNED, _MOST_WORKERS = 1_000_000, 10_000
_WORKERS = [1, 2, 4, 8, 16, 32, 64, 128]
_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that --results named.")]
_Since = Annotated[
    Path | None, typer.Option("--since", metavar="DIR", help="The folder of another campaign: tell what has changed.")
]
_Format = Annotated[str, typer.Option("--output-format", metavar="FORMAT", help="text, json or html.")]
_File = Annotated[
    Path | None, typer.Option("--output-file", metavar="FILE", help="Write it there, not to standard output.")
]


@fleet.command("report")
@bounded
def report(
    folder: _Folder, *, since: _Since = None, output_format: _Format = "text", output_file: _File = None
) -> None:
    """The table over models, what stands in their way most often, and what has changed since another campaign.

    Exit status 1 if a model that was good in the campaign of --since is not any more; 2 if a file is damaged, which is
    named, and left out.
    """
    if output_format not in _FORMATS:
        raise UsageError(f"unknown output format: {output_format}", hint=f"there are: {', '.join(_FORMATS)}")
    from mnncompat.fleet.results_folder import entries
    from mnncompat.fleet.summary import summarised

    if output_file is not None:
        from mnncompat.cli.output_paths import require_report

        require_report(output_file, "--output-file")
    now, damaged = entries(folder)
    before, damaged_before = (None, []) if since is None else entries(since)
    found = summarised(now, before)
    _write(_rendered(found, folder, output_format, to_file=output_file is not None), output_format, output_file)
    _tell([*damaged, *damaged_before])
    if any(each.worse for each in found.changes or ()):
        raise Ended(1)


def _tell(damaged: Sequence[UsageError]) -> None:
    """Name files that could not be read, and end with status 2 if there are any; the others were reported."""
    for each in damaged[:_MOST_DAMAGED]:
        say_error(each.message, each.hint)
    if len(damaged) > _MOST_DAMAGED:
        say(f"and {len(damaged) - _MOST_DAMAGED} more damaged files")
    if damaged:
        raise Ended(EXIT_ERROR)


def _rendered(found: Summary, folder: Path, output_format: str, *, to_file: bool) -> str:
    if output_format == "json":
        return to_json(found)
    if output_format == "html":
        from mnncompat.fleet.summary_page import summary_page

        return summary_page(found, f"{folder.name or folder} · mnncompat")
    return _text(found, color=use_color() and not to_file)


def _write(text: str, output_format: str, file: Path | None) -> None:
    if file is None:
        emit(text, output_format)
        return
    from mnncompat.graph.atomic_files import write_atomically

    write_atomically(file, text.encode(errors="surrogateescape"))
    note(f"wrote {file}")


@fleet.command("plan")
@bounded
def plan(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The folder that --results named: its times are measured.")
    ] = None,
    *,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=1e-4, max=1e5, metavar="S", help="Without DIR: what a model takes in the mean."),
    ] = None,
    models: Annotated[
        int, typer.Option("--models", min=1, max=_MOST_PLANNED, metavar="N", help="How many are to be done.")
    ] = 10_000,
    workers: Annotated[
        list[int] | None,
        typer.Option("--workers", min=1, max=_MOST_WORKERS, metavar="N", help="How many do it. Repeatable."),
    ] = None,
    hours: Annotated[
        float, typer.Option("--hours", min=0.01, metavar="H", help="Until a worker is lost, in the mean.")
    ] = 24.0,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of what happens by chance.")] = 0,
) -> None:
    """How long a campaign will take on so many workers of one thread: a simulation with the times of an earlier one."""
    if (folder is None) == (seconds is None or seconds != seconds):  # noqa: PLR0124 - NaN
        raise UsageError("it needs times of models", hint="give the folder of an earlier campaign, or --seconds")
    from rich.text import Text

    from mnncompat.cli.render import rendered
    from mnncompat.fleet.sizing import drawn, forecasts, usual

    known = usual(seconds) if seconds is not None else _measured(folder)
    times = drawn(known, models, seed)
    head = f"{models} models, {sum(times) / models:.3g} s each on one worker, {_duration(sum(times))} in all"
    rows = [
        (each.workers, _duration(each.seconds), f"{each.busy:.0%}", f"{each.client:.0%}", each.lost)
        for each in forecasts(times, workers or _WORKERS, hours, seed)
    ]
    table = _table(("workers", "takes", "workers busy", "this program busy", "workers lost"), rows)
    emit(rendered([Text(head), table], color=use_color()), "text")


def _measured(folder: Path | None) -> list[float]:
    """The times that a campaign has kept."""
    from mnncompat.fleet.results_folder import entries

    assert folder is not None  # noqa: S101 - `plan`
    known = [each.seconds for each in entries(folder)[0] if each.seconds]
    if not known:
        raise UsageError(f"{folder}: it says of no model how long it took", hint="give --seconds")
    return known


def _duration(seconds: float) -> str:
    from mnncompat.cli.fleet_work import duration

    return duration(seconds)


def to_json(found: Summary) -> str:
    """One JSON document."""
    from dataclasses import asdict

    return json.dumps({"schema_version": "1.0", **asdict(found)}, indent=2, allow_nan=False) + "\n"


def _text(found: Summary, *, color: bool) -> str:
    from rich.text import Text

    from mnncompat.cli.render import rendered

    told = ", ".join(f"{count} {name}" for name, count in found.verdicts.items())
    parts: list[Table | Text] = [Text(f"{len(found.rows)} results: {told}")]
    if found.changes is not None:
        rows = [
            (each.model, each.where, "worse" if each.worse else "", "; ".join(each.lines)) for each in found.changes
        ]
        parts += [Text(f"\nWhat has changed: {len(rows)}"), _table(("model", "where", "", "what"), rows)]
    if found.obstacles:
        ways = [(each.code, each.name, each.severity, each.models, each.findings) for each in found.obstacles]
        headings = ("rule", "name", "severity", "models", "findings")
        parts += [Text("\nWhat stands in the way"), _table(headings, ways)]
    parts += [Text("\nModels"), _models(found.rows)]
    if len(found.rows) > _MOST_ROWS:
        parts.append(Text(f"and {len(found.rows) - _MOST_ROWS} more: --output-format html and json have all"))
    return rendered(parts, color=color)


def _models(rows: Sequence[Row]) -> Table:
    """The first rows, those that are not good in front."""
    shown = [
        (
            *(row.model, row.command, row.release, f"{row.device} {row.precision}".strip()),
            *(row.verdict, row.ops, row.bytes, row.parity, None if row.seconds is None else f"{row.seconds:.2f}"),
        )
        for row in sorted(rows, key=lambda row: row.good)[:_MOST_ROWS]
    ]
    return _table(("model", "command", "MNN", "device", "verdict", "ops", "bytes", "parity", "seconds"), shown)


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from mnncompat.report.printable import printable

    made = Table(box=None, pad_edge=False)
    for heading in headings:
        made.add_column(heading)
    for row in rows:
        made.add_row(*(Text(printable("" if each is None else str(each))) for each in row))
    return made
