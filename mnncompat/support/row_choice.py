"""What ``--select`` and ``--ignore`` mean: the same for findings of `check` and for rewrites of `fix` and `convert`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnncompat.support.table import Row

UNDECLARED_CODE = "MNN001"
UNDECLARED_NAME = "undeclared-op"


def means(entry: str, code: str, name: str) -> bool:
    """True if an entry of --select or --ignore (code, start of a code, or name) means a rule or a rewrite."""
    return entry.lower() == name.lower() or code.lower().startswith(entry.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChoice:
    """Which findings are to be removed, and by which rewrites.

    Attributes:
        select: Entries; empty for all.
        ignore: Entries.
        selected: Names of the rewrites that `select` means by themselves: they remove whatever finding they can.
    """

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    selected: frozenset[str] = frozenset()

    def takes(self, code: str, name: str, remedy: str | None) -> bool:
        """True if a finding with that remedy is to be removed."""
        if self.ignores(code, name):
            return False
        return not self.select or remedy in self.selected or any(means(entry, code, name) for entry in self.select)

    def takes_row(self, row: Row) -> bool:
        """True if findings of a row are to be removed."""
        return self.takes(row.code, row.name, row.remedy)

    def ignores(self, code: str, name: str) -> bool:
        """True if a rule or a rewrite is left out."""
        return any(means(entry, code, name) for entry in self.ignore)

    def is_free(self, rewrite: str) -> bool:
        """True if a rewrite is not confined to nodes with findings that were selected."""
        return not self.select or rewrite in self.selected


EVERYTHING = RowChoice()
