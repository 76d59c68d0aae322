"""Models against what is kept of them: those that are as before are counted, not listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mnncompat.report.location import model_name
from mnncompat.report.measures import counted
from mnncompat.report.text.page import Page, Style
from mnncompat.results.kept import KeptResult

_STYLES = {"not kept": Style.BAD, "worse": Style.BAD, "new": Style.GOOD, "changed": Style.WARN, "as before": Style.GOOD}


def write(page: Page, result: KeptResult) -> None:
    """Write what has become of one model."""
    told = result.verdict if result.was in (None, result.verdict) else f"was {result.was}, is {result.verdict}"
    label = f"{model_name(result.source)}: {result.state}"
    page.labelled(label, _STYLES[result.state], f" ({told})", indent=4)
    if result.is_unknown:
        page.line("`mnncompat ci --update` adds it", lead=f"  not in {result.before}: ")
    for lead, lines in (("  worse: ", result.worse), ("  changed: ", result.otherwise)):
        for line in lines:
            page.line(line, lead=lead)


def write_total(page: Page, results: Sequence[KeptResult]) -> None:
    """Write how many models are in which state."""
    found = Counter(each.state for each in results)
    states = ", ".join(f"{found[state]} {state}" for state in _STYLES if found[state])
    against = f"under {results[0].now} against {results[0].before}"
    page.line(f"{counted(len(results), 'model')} {against}: {states}", style=Style.BOLD)
