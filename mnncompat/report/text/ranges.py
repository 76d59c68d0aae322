"""How near values come to the limits of float16, as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mnncompat.report.measures import counted, decibel
from mnncompat.report.printable import printable, shortened
from mnncompat.report.text.page import Page, Style
from mnncompat.report.text.table import Cell, write_table
from mnncompat.results.diagnostics import HalfRange

_HEADER = ("node", "op", "draw", "largest", "of 65,504", "predicted")
_SHOWN, _LONGEST, _LEFT = 5, 40, 3
_NEAR = 0.5
_WHOLE, _MANY = 1e3, 1e9
"""Between these sizes no decimals are shown."""


def write_ranges(page: Page, ranges: Sequence[HalfRange]) -> None:
    """Write those that come nearest to the limits, all where the page is verbose; nothing if there are none."""
    if not ranges:
        return
    chosen = ranges if page.verbose else ranges[:_SHOWN]
    page.line("ranges of values in float16, the furthest first", style=Style.BOLD)
    write_table(page, _HEADER, [_row(each) for each in chosen], left=_LEFT)
    if len(chosen) < len(ranges):
        page.line(f"{counted(len(ranges) - len(chosen), 'value')} more: --verbose", style=Style.FAINT)
    page.blank()


def _row(found: HalfRange) -> list[Cell]:
    share = "-" if math.isnan(found.reach) else f"{found.reach:.1%}" if found.reach < 1 else f"{found.reach:,.1f}x"
    style = Style.BAD if found.lost or found.reach > 1 else Style.WARN if found.reach > _NEAR else Style.NOTE
    return [
        shortened(printable(found.location.path), _LONGEST),
        printable(found.location.op_type),
        printable(found.draw),
        f"{found.largest:,.0f}" if _WHOLE <= found.largest < _MANY else f"{found.largest:.4g}",
        (share, style),
        "lost" if found.lost else "exact" if found.snr_db == math.inf else decibel(found.snr_db),
    ]
