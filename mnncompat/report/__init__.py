"""Results as text for people and machines. Everything here is pure: a result goes in, a string comes out.

    render(results, OutputFormat.SARIF)  -> the whole report
    findings(result)                     -> any result as diagnostics; concise, github and sarif render these
    diff_text(changes)                   -> a node-level diff

Renderers are imported when they are first used: text needs neither json nor rich.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mnncompat.results.diagnostics import CheckResult, RuleInfo

if TYPE_CHECKING:
    from mnncompat.report.as_diagnostics import findings
    from mnncompat.report.subject import Subject, Verified
    from mnncompat.report.text.diff import diff_text
    from mnncompat.results.parity_report import ParityReport

__all__ = ["OutputFormat", "Subject", "Verified", "diff_text", "findings", "render"]


class OutputFormat(StrEnum):
    """How a report is written."""

    TEXT = "text"
    """Blocks for people."""
    CONCISE = "concise"
    """One line for each finding."""
    JSON = "json"
    """One document with every field; its schema is `output.schema.json` in this folder."""
    SARIF = "sarif"
    """SARIF 2.1.0, for code scanning."""
    GITHUB = "github"
    """GitHub Actions workflow commands: annotations."""
    GITLAB = "gitlab"
    """GitLab's code quality report."""
    JUNIT = "junit"
    """JUnit XML: a suite for each model."""
    MARKDOWN = "markdown"
    """A comment on a pull request, or the summary of a CI step."""


def render(
    results: Sequence[Subject | ParityReport],
    output_format: OutputFormat,
    *,
    rules: Sequence[RuleInfo] = (),
    color: bool = False,
    width: int | None = None,
    statistics: bool = False,
    verbose: bool = False,
) -> str:
    """Write results in a format.

    Args:
        results: What the commands returned, in the order to be shown.
        output_format: The format.
        rules: Rules that the findings come from. SARIF lists them; text reads from them which rewrites are unsafe.
        color: Use ANSI styles; text only.
        width: Columns to wrap at, None for no wrapping; text only.
        statistics: Begin with the verdict and with totals by rule; text and Markdown.
        verbose: Show every place and all evidence; text only.

    Returns:
        The report. It ends with a newline, or is empty if the format shows findings only and there are none (github).
    """
    subjects = [_subject_of(result) for result in results]
    match output_format:
        case OutputFormat.TEXT:
            from mnncompat.report import text

            return text.render(subjects, rules=rules, color=color, width=width, statistics=statistics, verbose=verbose)
        case OutputFormat.SARIF:
            from mnncompat.report import sarif

            return sarif.render(subjects, rules=rules)
        case OutputFormat.MARKDOWN:
            from mnncompat.report import markdown

            return markdown.render(subjects, statistics=statistics)
    from importlib import import_module

    written: str = import_module(f"{__name__}.{output_format.value}").render(subjects)
    return written


_HOMES = {
    "findings": "as_diagnostics",
    "Subject": "subject",
    "Verified": "subject",
    "diff_text": "text.diff",
}


def __getattr__(name: str) -> Any:
    """Import the other public names when they are first used: rendering a check needs none of them."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def _subject_of(result: Subject | ParityReport) -> Subject:
    if isinstance(result, CheckResult):
        return result
    from mnncompat.report.subject import subject_of

    return subject_of(result)
