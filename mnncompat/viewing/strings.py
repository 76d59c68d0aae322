"""Texts that are named by their position: a graph of 100,000 nodes says `Conv` once."""

from __future__ import annotations

from collections.abc import Iterable


class Strings:
    """A table of texts, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Position of a text in the table, to which it is added if it is new."""
        return self._numbers.setdefault(text, len(self._numbers))

    def numbers(self, texts: Iterable[str]) -> list[int]:
        """Positions of several texts."""
        return [self.number(text) for text in texts]

    def table(self) -> list[str]:
        """The texts, in order of their positions."""
        return list(self._numbers)
