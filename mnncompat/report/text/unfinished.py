"""A model that a command could not do its work with, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence

from mnncompat.report.location import model_name
from mnncompat.report.measures import counted
from mnncompat.report.printable import printable
from mnncompat.report.subject import Subject
from mnncompat.report.text.page import Page, Style
from mnncompat.results.outcomes import Unfinished


def write(page: Page, result: Unfinished) -> None:
    """Write why, and what to do."""
    for found in result.diagnostics:
        page.labelled(
            f"{found.severity.value}[{found.code}]", Style.BAD, f" {found.name}: {printable(found.message)}", indent=4
        )
        page.place(model_name(result.source))
        if found.hint:
            page.line(f"hint: {printable(found.hint)}", lead="   = ")


def write_total(page: Page, subjects: Sequence[Subject]) -> None:
    """Write how many of the models were not finished; nothing if all were."""
    left = [subject for subject in subjects if isinstance(subject, Unfinished)]
    if left:
        page.blank()
        page.line(f"{len(left)} of {counted(len(subjects), 'model')} could not be worked on", style=Style.BAD)
