"""Tables of aligned columns. With or without colour, the layout is the same."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

from mnncompat.report.text.page import Page, Style

_GAP = "  "

Cell = str | tuple[str, Style]
"""Printable text, or text with a style."""


def write_table(
    page: Page, header: Sequence[str], rows: Sequence[Sequence[Cell]], *, left: int, indent: str = ""
) -> None:
    """Write a table. It is never wrapped, because numbers must not be split.

    Args:
        page: The page to add it to.
        header: Names of the columns.
        rows: As many cells each; printable.
        left: How many of the first columns are aligned to the left; the others are aligned to the right.
        indent: In front of each line.
    """
    table: list[list[Cell]] = [[(name, Style.BOLD) for name in header], *(list(row) for row in rows)]
    widths = [max(columns(_text(row[at])) for row in table) for at in range(len(header))]
    for row in table:
        cells = [_padded(page, cell, widths[at], left=at < left) for at, cell in enumerate(row)]
        page.raw([indent + _GAP.join(cells)])


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _padded(page: Page, cell: Cell, width: int, *, left: bool) -> str:
    pad = " " * (width - columns(_text(cell)))
    shown = cell if isinstance(cell, str) else page.paint(*cell)
    return shown + pad if left else pad + shown


def columns(text: str) -> int:
    """Columns that a text takes on a terminal: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)
