"""The verdict over all models in one line, and a table of totals by rule: what `--statistics` shows first."""

from __future__ import annotations

from collections.abc import Sequence

from mnncompat.report.measures import counted
from mnncompat.report.printable import printable
from mnncompat.report.subject import Subject
from mnncompat.report.text.check import STYLES, label
from mnncompat.report.text.page import Page, Style
from mnncompat.report.text.table import Cell, write_table
from mnncompat.report.totals import models_with, rule_totals
from mnncompat.results.diagnostics import Severity


def write(page: Page, subjects: Sequence[Subject]) -> None:
    """Write how many of the models have errors and warnings, and how often each rule was found."""
    bad, doubtful = (models_with(subjects, [each]) for each in (Severity.ERROR, Severity.WARNING))
    parts = [f"{len(bad)} with errors"] if bad else []
    alone = [each for each in doubtful if each not in bad]
    parts += [f"{len(alone)} with warnings only"] if alone else []
    fine = len(subjects) - len(bad) - len(alone)
    parts.append(f"{fine} with neither" if parts else "no errors or warnings about correctness")
    page.line(f"{counted(len(subjects), 'model')}: {', '.join(parts)}", style=Style.BOLD)
    totals = rule_totals(subjects)
    if totals:
        rows: list[list[Cell]] = [
            [
                (label(each.first), STYLES[each.first.severity]),
                printable(each.first.name),
                str(each.count),
                str(each.models),
                str(each.fixable) if each.fixable else "",
            ]
            for each in totals
        ]
        write_table(page, ["rule", "name", "findings", "models", "fixable"], rows, left=2)
