"""`mnncompat ops`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mnncompat.cli import options
from mnncompat.cli.console import emit, use_color
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.overview import OpOverview


def ops(
    op: Annotated[str | None, typer.Argument(metavar="[OP]", help="One operator, such as Resize.")] = None,
    *,
    mnn: options.MnnVersion = None,
    output_format: Annotated[str, typer.Option("--output-format", metavar="FORMAT", help="text or json.")] = "text",
) -> None:
    """Show which operators an MNN release declares, and what is known about them."""
    if output_format not in ("text", "json"):
        raise UsageError(f"unknown output format: {output_format}", hint="there are: text, json")
    from mnncompat.cli.render import op_list, op_text, to_json
    from mnncompat.overview import op_overview, ops_overview
    from mnncompat.releases import resolve_version

    version = resolve_version(mnn)
    if op is None:
        overviews: tuple[OpOverview, ...] = ops_overview(version)
        emit(to_json(overviews) if output_format == "json" else op_list(overviews, version, color=use_color()))
    else:
        overview = op_overview(op, version)
        emit(to_json([overview]) if output_format == "json" else op_text(overview, version, color=use_color()))
