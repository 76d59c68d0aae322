"""The table as a readable page: one operator, or all, under one MNN release."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx

from mnncompat.errors import UsageError
from mnncompat.support.deployment import limits_in_words
from mnncompat.support.reason_text import in_words
from mnncompat.support.releases import releases
from mnncompat.support.table import Row, SupportTable


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOverview:
    """A row of the table, in words.

    Attributes:
        code: Code; empty where MNN is right.
        name: Readable name of the code.
        mnn: Releases it holds for, a PEP 440 specifier.
        arch: Machine architectures it holds on; empty for all.
        precision: Precisions it holds for; empty for all.
        when: When it holds, as the row states it; empty for always.
        unless: When it does not hold although `when` does.
        status: See `mnncompat.support.row_status.STATUSES`.
        reason: What MNN does, its placeholders in words.
        remedy: Name of the rewrite that removes the finding, or None.
        advice: What to do where no rewrite exists.
        evidence: What it rests on.
    """

    code: str
    name: str
    mnn: str
    arch: tuple[str, ...]
    precision: tuple[str, ...]
    when: str
    unless: str
    status: str
    reason: str
    remedy: str | None
    advice: str
    evidence: tuple[str, ...]

    @property
    def condition(self) -> str:
        """`when` and `unless` in one; empty for always."""
        return " unless ".join(filter(None, (self.when or (self.unless and "always"), self.unless)))


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
    rows: tuple[RowOverview, ...]

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
    return tuple(_overview(op, version, table) for op in sorted(_names(table)))


def op_overview(op: str, version: str, table: SupportTable | None = None) -> OpOverview:
    """One operator; the case of its name does not matter.

    Raises:
        UsageError: No such operator is known.
        TableError: The rules are damaged.
    """
    table = table or SupportTable()
    names = _names(table)
    found = next((name for name in names if name.lower() == op.lower()), None)
    if found is None:
        close = difflib.get_close_matches(op, names, n=3)
        hint = f"close to it: {', '.join(close)}" if close else "`mnncompat ops` lists them"
        raise UsageError(f"no operator is called '{op}'", hint=hint)
    return _overview(found, version, table)


def _names(table: SupportTable) -> set[str]:
    defined = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    return defined | set(releases().ops) | set(table.ops())


def _overview(op: str, version: str, table: SupportTable) -> OpOverview:
    known = releases()
    rows = tuple(_row_overview(row) for row in table.rows(op) if row.holds_for(version))
    return OpOverview(op=op, declared=known.declares(op, version), history=known.history(op), rows=rows)


def _row_overview(row: Row) -> RowOverview:
    return RowOverview(
        code=row.code,
        name=row.name,
        mnn=row.mnn,
        arch=row.arch,
        precision=row.precision,
        when=row.when.text,
        unless=row.unless.text,
        status=row.status,
        reason=in_words(row.reason, (row.op,)),
        remedy=row.remedy,
        advice=row.advice,
        evidence=row.evidence,
    )


def markdown(overviews: Sequence[OpOverview], version: str) -> str:
    """Operators with their rows as a page of Markdown.

    Args:
        overviews: The operators.
        version: The MNN release that they are about.
    """
    lines = [f"# What MNN {version} does with ONNX operators", "", *_summary_table(overviews, version)]
    for each in overviews:
        hazards = [row for row in each.rows if row.code]
        if hazards:
            lines += ["", f"## {each.op}", ""]
            lines += [line for row in hazards for line in _row_lines(row)]
    return "\n".join(lines) + "\n"


def _summary_table(overviews: Sequence[OpOverview], version: str) -> Iterator[str]:
    yield f"| operator | MNN {version} | rows of the table | history |"
    yield "|---|---|---|---|"
    for each in overviews:
        yield f"| {each.op} | {'declared' if each.declared else '-'} | {each.summary} | {each.history} |"


def _row_lines(row: RowOverview) -> Iterator[str]:
    words = limits_in_words(row.arch, row.precision)
    where = f" {words}" if words else ""
    yield f"- **{row.code} {row.name}** ({row.status}{where}, MNN {row.mnn}): {row.reason}"
    if row.condition:
        yield f"  - When: `{row.condition}`"
    if row.advice:
        yield f"  - What to do: {row.advice}."
    for evidence in row.evidence:
        yield f"  - {evidence}"
