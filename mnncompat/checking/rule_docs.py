"""Documentation of every rule that `check` reports; `mnncompat.checking.rule_catalog` adds the rewrites."""

from __future__ import annotations

from mnncompat.backends.rules import BACKEND_RULES
from mnncompat.checking.checker import MEASURED, UNDECLARED, UNKNOWN
from mnncompat.results.diagnostics import RuleInfo, Severity
from mnncompat.support.reason_text import in_words
from mnncompat.support.row_choice import UNDECLARED_NAME
from mnncompat.support.table import Row, SupportTable

BUILT_IN = (
    RuleInfo(
        code=UNDECLARED,
        name=UNDECLARED_NAME,
        summary="the MNN release does not declare the operator",
        severity=Severity.ERROR,
        explanation=(
            "The ONNX converter of the release registers no operator of that name and refuses the model. "
            "`rules/declared.json` lists what every release since 0.1.1.2 registers; it is derived from MNN's source. "
            "A release that is not listed is judged by the nearest older one that is.\n\n"
            "Take a newer MNN, or replace the operator: where a rewrite does that, the finding names it. "
            "`mnncompat ops OP` shows what an operator can be replaced by."
        ),
        evidence=("rules/declared.json",),
    ),
    RuleInfo(
        code=UNKNOWN,
        name="unmeasured-op",
        summary="no row of the table covers this use of an operator",
        severity=Severity.INFO,
        explanation=(
            "The release declares the operator, but no row of the table covers this use of it: nothing is known "
            "about it. Declared does not mean supported. `mnncompat check --probe` measures the model's own nodes, "
            "and `mnncompat verify` compares the converted model as a whole."
        ),
    ),
    RuleInfo(
        code=MEASURED,
        name="measured-hazard",
        summary="the installed MNN does not compute this node correctly, and no row of the table covers it",
        severity=Severity.ERROR,
        explanation=(
            "`mnncompat check --probe` cut the node out with the inputs that it gets in this model, converted and ran "
            "it on the installed MNN, twice, and compared with ONNX Runtime. The finding says what happened. No row "
            "of the table covers it: please report it."
        ),
    ),
    *BACKEND_RULES,
)


def all_rules(table: SupportTable | None = None) -> tuple[RuleInfo, ...]:
    """The built-in rules and every rule of the table, ordered by code.

    Raises:
        TableError: The rules are damaged.
    """
    table = table or SupportTable()
    by_code: dict[str, list[Row]] = {}
    for row in (*table.graph_rows(), *(row for op in table.ops() for row in table.rows(op))):
        if row.code and row.code != UNDECLARED:
            by_code.setdefault(row.code, []).append(row)
    infos = [*BUILT_IN, *(_info(rows) for rows in by_code.values())]
    return tuple(sorted(infos, key=lambda info: info.code))


def explain(code: str, table: SupportTable | None = None) -> RuleInfo | None:
    """One rule by its code, None if the check has no such rule.

    Raises:
        TableError: The rules are damaged.
    """
    return next((info for info in all_rules(table) if info.code == code), None)


def _info(rows: list[Row]) -> RuleInfo:
    first = rows[0]
    ops = tuple(dict.fromkeys(row.op for row in rows if row.op))
    reason = in_words(first.reason, ops)
    return RuleInfo(
        code=first.code,
        name=first.name,
        summary=reason,
        severity=first.severity,
        explanation="\n\n".join(
            filter(None, [_statement(first, reason), f"What to do: {first.advice}." if first.advice else ""])
        ),
        category=first.category,
        remedy=first.remedy,
        op_types=ops,
        mnn=" or ".join(dict.fromkeys(row.mnn for row in rows)),
        evidence=tuple(dict.fromkeys(item for row in rows for item in row.evidence)),
    )


OUTCOMES = {
    "refused": "the converter refuses the model",
    "crash": "the process dies",
    "error": "the converted model fails at load or run, or returns no output",
    "wrong": "values, shape or type of the result are wrong, without any message",
    "partial": "the result is wrong for some inputs, without any message",
    "told": "the result is right",
    "larger": "the result is right, and the file larger than the model",
}


def _statement(row: Row, reason: str) -> str:
    where = f" ({row.where})" if row.where else ""
    return f"{reason[:1].upper()}{reason[1:]}.\n\nWhat MNN {row.mnn} does{where}: {OUTCOMES[row.status]}."
