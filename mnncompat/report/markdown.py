"""Markdown for a comment on a pull request or the summary of a CI step: the verdict, totals, and a table a model.

It is GitHub's dialect, which GitLab shows as well. Names from models are code spans, in which nothing is markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mnncompat.report.as_diagnostics import findings
from mnncompat.report.location import model_name, node_name
from mnncompat.report.measures import counted
from mnncompat.report.printable import printable
from mnncompat.report.subject import Subject, source_of
from mnncompat.report.totals import models_with, rule_totals
from mnncompat.results.diagnostics import Category, Diagnostic, Severity
from mnncompat.results.outcomes import ConvertResult, Unfinished

_MARKS = {Severity.ERROR: ":x:", Severity.WARNING: ":warning:", Severity.INFO: ":information_source:"}
_MOST_ROWS = 200
"""Rows of a model's table; GitHub takes comments of up to 65,536 characters."""
_MOST_MESSAGE = 300


def render(subjects: Sequence[Subject], *, statistics: bool = False) -> str:
    """Write one section over all models and one for each that has findings."""
    lines = [f"### mnncompat: {_verdict(subjects)}", ""]
    if statistics or len(subjects) > 1:
        lines += _totals(subjects)
    for subject in subjects:
        lines += _section(subject)
    return "\n".join(lines).rstrip() + "\n"


def _verdict(subjects: Sequence[Subject]) -> str:
    bad, doubtful = (models_with(subjects, [each]) for each in (Severity.ERROR, Severity.WARNING))
    alone = [each for each in doubtful if each not in bad]
    parts = [f"{len(names)} with {what}" for names, what in ((bad, "errors"), (alone, "warnings only")) if names]
    return f"{counted(len(subjects), 'model')}, {', '.join(parts) or 'no errors or warnings about correctness'}"


def _totals(subjects: Sequence[Subject]) -> list[str]:
    totals = rule_totals(subjects)
    if not totals:
        return []
    rows = [
        f"| {_MARKS[each.first.severity]} {code(each.first.code)} {_text(each.first.name)} "
        f"| {each.count} | {each.models} | {each.fixable or ''} |"
        for each in totals
    ]
    return ["| rule | findings | models | fixable |", "|---|--:|--:|--:|", *rows, ""]


def _section(subject: Subject) -> Iterator[str]:
    found = findings(subject)
    name = code(model_name(source_of(subject)))
    if isinstance(subject, ConvertResult):
        yield f"{name}: {_text(subject.verdict.value)}"
        yield ""
    if not found:
        return
    told = ":no_entry: could not be worked on" if isinstance(subject, Unfinished) else counted(len(found), "finding")
    yield f"<details{' open' if _is_bad(found) else ''}><summary>{_summary(source_of(subject))}: {told}</summary>"
    yield ""
    yield "| | rule | node | what |"
    yield "|---|---|---|---|"
    yield from map(_row, found[:_MOST_ROWS])
    yield ""
    if len(found) > _MOST_ROWS:
        yield f"... and {len(found) - _MOST_ROWS} more."
        yield ""
    yield "</details>"
    yield ""


def _is_bad(found: Sequence[Diagnostic]) -> bool:
    return any(each.severity is not Severity.INFO and each.category is Category.CORRECTNESS for each in found)


def _row(found: Diagnostic) -> str:
    node = node_name(found.location)
    message = printable(found.message)
    told = _text(message if len(message) <= _MOST_MESSAGE else f"{message[: _MOST_MESSAGE - 3]}...")
    if (found.fixable or found.may_fix) and found.remedy:
        verb = "rewrites" if found.fixable else "may rewrite"
        told += f"<br>`mnncompat fix` {verb} this ({code(found.remedy)})"
    elif found.hint:
        told += f"<br>hint: {_text(printable(found.hint))}"
    about = "" if found.category is Category.CORRECTNESS else f" ({found.category.value})"
    rule = f"{code(found.code)} {_text(found.name)}{about}"
    return f"| {_MARKS[found.severity]} | {rule} | {code(node) if node else ''} | {told} |"


def code(text: str) -> str:
    """A code span in a table: backticks and bars do not end it."""
    shown = printable(text).replace("|", "\\|")
    longest, run = 0, 0
    for character in shown:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _text(text: str) -> str:
    """Text in which nothing is markup."""
    escaped = _summary(text)
    for character in "\\`*_[]|~":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped


def _summary(text: str) -> str:
    """Text inside an HTML element."""
    shown = printable(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;")):
        shown = shown.replace(character, entity)
    return shown
