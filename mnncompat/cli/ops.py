"""`mnncompat ops`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, emit, use_color
from mnncompat.cli.declared import argument, option
from mnncompat.cli.limits import CommandMemory, CommandTimeout, parse_memory, parse_timeout
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.support.table_page import OpOverview

_FORMATS = ("text", "json", "markdown")
_DECLARATIONS = ("declared", "undeclared")


def ops(
    op: Annotated[list[str] | None, argument(metavar="[OP]...", help="Operators, such as Resize.")] = None,
    *,
    mnn: options.MnnVersion = None,
    status: Annotated[
        list[str] | None,
        option(
            "--status",
            metavar="STATUS",
            help="Only operators with such a row: supported, refused, crash, error, wrong or partial; or declared, "
            "undeclared. Repeatable.",
        ),
    ] = None,
    output_format: Annotated[str, option("--output-format", metavar="FORMAT", help="text, json or markdown.")] = "text",
    timeout: CommandTimeout = None,
    memory_limit: CommandMemory = None,
) -> None:
    """Show which operators an MNN release declares, and the rows of the table about them.

    With operators as arguments, their rows and evidence are shown.
    """
    if output_format not in _FORMATS:
        raise UsageError(f"unknown output format: {output_format}", hint=f"there are: {', '.join(_FORMATS)}")
    from mnncompat.support.releases import resolve_version
    from mnncompat.support.row_status import STATUSES
    from mnncompat.support.table_page import op_overview, ops_overview

    begin_work(seconds=parse_timeout(timeout), memory=parse_memory(memory_limit), whole=True)
    for each in status or ():
        if each not in (*STATUSES, *_DECLARATIONS):
            raise UsageError(f"unknown status: {each}", hint=f"there are: {', '.join((*STATUSES, *_DECLARATIONS))}")
    version = resolve_version(mnn)
    found = tuple(op_overview(each, version) for each in op) if op else ops_overview(version)
    shown = tuple(each for each in found if not status or any(_has(each, wanted) for wanted in status))
    emit(_rendered(shown, version, output_format, in_full=bool(op)), output_format)


def _has(overview: OpOverview, status: str) -> bool:
    if status in _DECLARATIONS:
        return overview.declared is (status == "declared")
    return any(row.status == status for row in overview.rows)


def _rendered(shown: tuple[OpOverview, ...], version: str, output_format: str, *, in_full: bool) -> str:
    from mnncompat.cli.render import op_list, op_text, to_json
    from mnncompat.support.table_page import markdown

    if output_format == "json":
        return to_json(shown)
    if output_format == "markdown":
        return markdown(shown, version)
    if in_full:
        return "\n".join(op_text(each, version, color=use_color()) for each in shown)
    return op_list(shown, version, color=use_color())
