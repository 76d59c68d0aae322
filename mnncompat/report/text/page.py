"""A page of text with a width and, if wanted, colours."""

from __future__ import annotations

import textwrap
from enum import StrEnum

from mnncompat.report.printable import printable, printable_lines

_ARROW = len("  --> ")


class Style(StrEnum):
    """ANSI styles by meaning; the value is the SGR parameter."""

    BOLD = "1"
    FAINT = "2"
    GOOD = "32"
    BAD = "1;31"
    WARN = "1;33"
    NOTE = "1;36"


class Page:
    """Lines of a report.

    Args:
        color: Use ANSI styles.
        width: Columns to wrap at, None for no wrapping.
        verbose: Show every place and all evidence.
    """

    def __init__(self, *, color: bool = False, width: int | None = None, verbose: bool = False) -> None:
        self.color = color
        self.width = width
        self.verbose = verbose
        self._lines: list[str] = []

    def paint(self, text: str, style: Style) -> str:
        """Style a text, or leave it as it is without colour."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.color and text else text

    def line(self, text: str = "", *, lead: str = "", style: Style | None = None) -> None:
        """Add a line, escaped; wrapped, the rest is indented below the end of `lead`.

        Args:
            text: The text.
            lead: Indentation or a label in front of it, which is not wrapped.
            style: Of `text`.
        """
        pad = " " * len(lead)
        for number, part in enumerate(self._wrap(printable(text), len(lead))):
            self._lines.append((pad if number else lead) + (self.paint(part, style) if style else part))

    def labelled(self, label: str, style: Style, text: str, *, indent: int) -> None:
        """Add a line, escaped, that starts with a styled label; wrapped, the rest is indented by `indent` columns."""
        head, *rest = self._wrap(printable(f"{label}{text}"), indent)
        if head.startswith(label):
            head = self.paint(label, style) + head.removeprefix(label)
        self._lines.append(head)
        self._lines.extend(" " * indent + part for part in rest)

    def place(self, text: str) -> None:
        """Add a line, escaped, that says where something is, with an arrow in front."""
        lead = f"  {self.paint('-->', Style.FAINT)} "
        for number, part in enumerate(self._wrap(printable(text), _ARROW)):
            self._lines.append((" " * _ARROW if number else lead) + part)

    def words(self, words: str, *, said: str = "") -> None:
        """Add what another program printed, with bars in front; lines that `said` already has are left out."""
        self._lines.extend(f"    | {line}" for line in printable_lines(words) if line.strip() not in printable(said))

    def raw(self, lines: list[str]) -> None:
        """Add lines as they are."""
        self._lines.extend(lines)

    def blank(self) -> None:
        """Add an empty line, unless there is one."""
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def text(self) -> str:
        """The page without empty lines at its end; every line ends with a newline."""
        lines = self._lines[:-1] if self._lines and not self._lines[-1] else self._lines
        return "".join(f"{line.rstrip()}\n" for line in lines)

    def _wrap(self, text: str, taken: int) -> list[str]:
        if self.width is None or taken + len(text) <= self.width:
            return [text]
        room = max(self.width - taken, 20)
        return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
