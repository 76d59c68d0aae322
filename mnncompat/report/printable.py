"""Escape names and messages, so that a terminal or a log does not interpret what a model contains."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Show a text on one line: control characters, line breaks, bidirectional marks and lone surrogates as escapes.

    Returns:
        The text with every character that is not printable written as `\x1b`, `\n`, `\u202e`.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def shortened(text: str, longest: int) -> str:
    """Show a text on one line, of at most `longest` characters: the middle of a longer one is left out."""
    text = printable(text)
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def printable_lines(text: str) -> list[str]:
    """Show a text of several lines; empty lines at the end are dropped, tabs become spaces."""
    return [printable(line.expandtabs()) for line in text.rstrip().splitlines()]
