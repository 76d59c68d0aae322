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
    """Write a table. Its cells are never wrapped, because numbers must not be split.

    Where it is wider than the page it becomes several tables below one another, each with the first column.

    Args:
        page: The page to add it to.
        header: Names of the columns.
        rows: As many cells each; printable.
        left: How many of the first columns are aligned to the left; the others are aligned to the right.
        indent: In front of each line.
    """
    table: list[list[Cell]] = [[(name, Style.BOLD) for name in header], *(list(row) for row in rows)]
    widths = [max(columns(_text(row[at])) for row in table) for at in range(len(header))]
    room = None if page.width is None else page.width - len(indent)
    for chosen in _parts(widths, room):
        for row in table:
            cells = [_padded(page, row[at], widths[at], left=at < left) for at in chosen]
            page.raw([indent + _GAP.join(cells)])


def _parts(widths: Sequence[int], room: int | None) -> list[list[int]]:
    """The columns of each table: as many as there is room for, the first one in each."""
    parts = [[0]]
    taken = widths[0]
    for at, width in enumerate(widths[1:], 1):
        more = len(_GAP) + width
        if room is not None and taken + more > room and len(parts[-1]) > 1:
            parts.append([0])
            taken = widths[0]
        parts[-1].append(at)
        taken += more
    return parts


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
