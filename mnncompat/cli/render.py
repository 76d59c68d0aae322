"""Rules and the table for people (rich) and for programs (JSON)."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from mnncompat.results.diagnostics import RuleInfo
    from mnncompat.support.table_page import OpOverview

_PLAIN_WIDTH = 100


def to_json(items: Iterable[Any]) -> str:
    """Dataclasses as one JSON document with a schema version."""
    document = {"schema_version": "1.1", "items": [dataclasses.asdict(item) for item in items]}
    return json.dumps(document, indent=2, ensure_ascii=False, default=_plain) + "\n"


def rule_list(rules: Sequence[RuleInfo], *, color: bool) -> str:
    """All rules as a table; on a narrow terminal the summary is below the name."""
    from rich.text import Text

    if _width() < _PLAIN_WIDTH:
        table = _table(("code", "severity"), "rule")
        for rule in rules:
            table.add_row(Text(rule.code), Text(rule.severity.value), Text(f"{rule.name}\n{rule.summary}"))
        return rendered([table], color=color)
    table = _table(("code", "severity", "category", "name"), "summary")
    for rule in rules:
        parts = (rule.code, rule.severity.value, rule.category.value, rule.name, rule.summary)
        table.add_row(*map(Text, parts))
    return rendered([table], color=color)


def _table(short: Sequence[str], *long: str) -> Table:
    """A table whose first columns are never wrapped, and whose last ones are wrapped at words."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in short:
        table.add_column(heading, no_wrap=True)
    for heading in long:
        table.add_column(heading)
    return table


def rule_text(rule: RuleInfo, *, color: bool) -> str:
    """One rule, explained."""
    from rich.markdown import Markdown
    from rich.text import Text

    facts = [f"severity: {rule.severity.value}", f"category: {rule.category.value}"]
    facts += [f"operators: {', '.join(rule.op_types)}"] if rule.op_types else []
    facts += [f"MNN: {rule.mnn}"] if rule.mnn else []
    facts += [f"fix: {rule.remedy} ({rule.applicability.value})"] if rule.remedy and rule.applicability else []
    parts: list[RenderableType] = [
        Text(f"{rule.code} {rule.name}", style="bold"),
        Text("; ".join(facts)),
        Text(),
        Markdown(rule.explanation),
    ]
    if rule.evidence:
        parts += [Text("\nEvidence", style="bold"), *_evidence(rule.evidence)]
    return rendered(parts, color=color)


def op_list(overviews: Sequence[OpOverview], version: str, *, color: bool) -> str:
    """All operators as a table; on a narrow terminal the history is below the rows."""
    from rich.text import Text

    narrow = _width() < _PLAIN_WIDTH
    long = ("rows of the table",) if narrow else ("rows of the table", "history")
    table = _table(("operator", f"MNN {version}"), *long)
    for item in overviews:
        declared = "declared" if item.declared else "-"
        told = [f"{item.summary}\n{item.history}".strip()] if narrow else [item.summary, item.history]
        table.add_row(*(Text(part) for part in (item.op, declared, *told)))
    return rendered([table], color=color)


def op_text(overview: OpOverview, version: str, *, color: bool) -> str:
    """One operator with its rows and their evidence."""
    from rich.text import Text

    declared = "declared" if overview.declared else "not declared"
    parts: list[RenderableType] = [
        Text(overview.op, style="bold"),
        Text(f"{declared} by MNN {version} ({overview.history})"),
    ]
    for row in overview.rows:
        heading = f"{row.code} {row.name}: {row.status}" if row.code else row.status
        parts += [Text(f"\n{heading}", style="bold")]
        parts += [Text(row.reason)] if row.reason else []
        parts += [Text(f"when: {row.condition}")] if row.condition else []
        parts += [Text(f"fix: {row.remedy}")] if row.remedy else []
        parts += [Text(f"advice: {row.advice}")] if row.advice else []
        parts += _evidence(row.evidence)
    if not overview.rows:
        parts.append(Text("The table has no row about it."))
    return rendered(parts, color=color)


def _evidence(lines: Iterable[str]) -> list[Text]:
    """One line for each, with the place where it can be read; an address is not broken."""
    from rich.text import Text

    from mnncompat.report.evidence import readable
    from mnncompat.support.rule_files import root

    return [Text(f"- {readable(line, root())}", no_wrap=True) for line in lines]


def rendered(parts: Iterable[RenderableType], *, color: bool) -> str:
    """The parts as rich renders them, for a terminal or plain."""
    console = _console(color=color)
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=bool(getattr(part, "no_wrap", False)))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _console(*, color: bool) -> Console:
    from rich.console import Console

    if color:
        return Console(highlight=False, force_terminal=True, width=_width())
    return Console(file=io.StringIO(), highlight=False, width=_width(), no_color=True, force_terminal=False)


def _width() -> int:
    from mnncompat.cli.console import terminal_width

    return terminal_width() or _PLAIN_WIDTH


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else str(value)
