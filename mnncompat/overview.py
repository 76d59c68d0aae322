"""The table for people: one operator, or all, under one MNN release."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import onnx

from mnncompat.errors import UsageError
from mnncompat.releases import releases
from mnncompat.table import Row, SupportTable


@dataclass(frozen=True, slots=True, kw_only=True)
class OpOverview:
    """What is known about an operator under one MNN release.

    Attributes:
        op: Op type.
        declared: True if the release's converter registers it.
        history: When it was declared, in words.
        rows: Rows of the table that hold for the release.
    """

    op: str
    declared: bool
    history: str
    rows: tuple[Row, ...]

    @property
    def summary(self) -> str:
        """Statuses of the rows, counted: ``2 crash, 1 wrong``; empty if there are none."""
        statuses = [row.status for row in self.rows]
        return ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))


def ops_overview(version: str, table: SupportTable | None = None) -> tuple[OpOverview, ...]:
    """Every operator that ONNX defines, a release ever declared or the table knows, by name.

    Raises:
        TableError: The rules are damaged.
    """
    table = table or SupportTable()
    names = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    return tuple(_overview(op, version, table) for op in sorted(names | set(releases().ops) | set(table.ops())))


def op_overview(op: str, version: str, table: SupportTable | None = None) -> OpOverview:
    """One operator; the case of its name does not matter.

    Raises:
        UsageError: No such operator is known.
        TableError: The rules are damaged.
    """
    table = table or SupportTable()
    names = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    names |= set(releases().ops) | set(table.ops())
    found = next((name for name in names if name.lower() == op.lower()), None)
    if found is None:
        close = difflib.get_close_matches(op, names, n=3)
        hint = f"close to it: {', '.join(close)}" if close else "`mnncompat ops` lists them"
        raise UsageError(f"no operator is called '{op}'", hint=hint)
    return _overview(found, version, table)


def _overview(op: str, version: str, table: SupportTable) -> OpOverview:
    known = releases()
    rows = tuple(row for row in table.rows(op) if row.holds_for(version))
    return OpOverview(op=op, declared=known.declares(op, version), history=known.history(op), rows=rows)
