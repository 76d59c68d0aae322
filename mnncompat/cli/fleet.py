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
_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that --results named.")]
_Since = Annotated[
    Path | None, typer.Option("--since", metavar="DIR", help="The folder of another campaign: tell what has changed.")
]
_Format = Annotated[str, typer.Option("--output-format", metavar="FORMAT", help="text, json or html.")]
_File = Annotated[
    Path | None, typer.Option("--output-file", metavar="FILE", help="Write it there, not to standard output.")
]


@fleet.callback()
def _fleet() -> None:
    """Keep `report` a command of its own, while it is the only one."""


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
