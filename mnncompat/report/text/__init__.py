"""Reports for people: plain text, or the same with ANSI styles. Neither needs rich: see `table` and `page`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mnncompat.report.text.page import Page
from mnncompat.results.diagnostics import Applicability, CheckResult, RuleInfo

if TYPE_CHECKING:
    from mnncompat.report.subject import Subject


def render(
    subjects: Sequence[Subject],
    *,
    rules: Sequence[RuleInfo] = (),
    color: bool = False,
    width: int | None = None,
    statistics: bool = False,
    verbose: bool = False,
) -> str:
    """Write one section for each result, and a summary line if there are several checks, or one was not finished."""
    page = Page(color=color, width=width, verbose=verbose)
    applicability = {rule.remedy or rule.name: rule.applicability for rule in rules if rule.applicability}
    if statistics:
        from mnncompat.report.text import totals

        totals.write(page, subjects)
        page.blank()
    for number, subject in enumerate(_shown(page, subjects)):
        if number:
            page.blank()
        _section(page, subject, applicability)
    if len(subjects) > 1:
        _totals(page, subjects)
    return page.text()


def _totals(page: Page, subjects: Sequence[Subject]) -> None:
    """Write a line over all results of a kind."""
    checks = [subject for subject in subjects if isinstance(subject, CheckResult)]
    if len(checks) > 1 or any(not each.diagnostics for each in checks):  # clean ones are not listed
        from mnncompat.report.text import check

        page.blank()
        check.write_total(page, checks)
    if len(checks) == len(subjects):
        return
    from mnncompat.report.text import unfinished
    from mnncompat.results.kept import KeptResult
    from mnncompat.results.outcomes import FixResult

    fixes = [subject for subject in subjects if isinstance(subject, FixResult)]
    if len(fixes) > 1:
        from mnncompat.report.text import fix

        page.blank()
        fix.write_total(page, fixes)
    compared = [subject for subject in subjects if isinstance(subject, KeptResult)]
    if compared:
        from mnncompat.report.text import kept

        page.blank()
        kept.write_total(page, compared)
    unfinished.write_total(page, subjects)


def _shown(page: Page, subjects: Sequence[Subject]) -> Iterator[Subject]:
    """The results that have a section; of several models those about which there is nothing to say have none."""
    for subject in subjects:
        if len(subjects) > 1 and not page.verbose and _says_nothing(subject):
            continue
        yield subject


def _says_nothing(subject: Subject) -> bool:
    if isinstance(subject, CheckResult):
        ignored = any(each.by == "configuration" for each in subject.suppressed)
        return not (subject.diagnostics or subject.backends or ignored)
    from mnncompat.results.kept import KeptResult
    from mnncompat.results.outcomes import FixResult

    if isinstance(subject, FixResult):
        return not (subject.changed or subject.remaining or subject.refused or subject.rolled_back or subject.tried)
    return isinstance(subject, KeptResult) and subject.state == "as before"


def _section(page: Page, subject: Subject, applicability: Mapping[str, Applicability]) -> None:
    if isinstance(subject, CheckResult):
        from mnncompat.report.text import check

        check.write(page, subject, applicability)
        return
    from mnncompat.report.subject import Verified
    from mnncompat.results.diagnosis import Diagnosis
    from mnncompat.results.kept import KeptResult
    from mnncompat.results.outcomes import ConvertResult, FixResult, Unfinished

    match subject:
        case FixResult():
            from mnncompat.report.text import fix

            fix.write(page, subject)
        case ConvertResult():
            from mnncompat.report.text import convert

            convert.write(page, subject, applicability)
        case Unfinished():
            from mnncompat.report.text import unfinished

            unfinished.write(page, subject)
        case Diagnosis():
            from mnncompat.report.text import diagnosis

            diagnosis.write(page, subject)
        case KeptResult():
            from mnncompat.report.text import kept

            kept.write(page, subject)
        case Verified():
            from mnncompat.report.text import parity

            parity.write(page, subject)
