"""How often each rule was found in several results: what text and Markdown show above the details."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnncompat.report.as_diagnostics import findings
from mnncompat.report.subject import Subject, source_of
from mnncompat.results.diagnostics import Category, Diagnostic, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTotal:
    """The findings of one rule at one severity.

    Attributes:
        first: One of them.
        count: How many there are.
        models: In how many models.
        fixable: How many of them a rewrite matches.
    """

    first: Diagnostic
    count: int
    models: int
    fixable: int


def rule_totals(subjects: Sequence[Subject]) -> list[RuleTotal]:
    """Totals by rule: correctness before speed and size, errors first, then the most frequent."""
    found: dict[tuple[str, Severity, Category], RuleTotal] = {}
    seen: set[tuple[int, tuple[str, Severity, Category]]] = set()
    for number, subject in enumerate(subjects):
        for each in findings(subject):
            key = each.code, each.severity, each.category
            so_far = found.get(key) or RuleTotal(first=each, count=0, models=0, fixable=0)
            found[key] = replace(
                so_far,
                count=so_far.count + 1,
                models=so_far.models + ((number, key) not in seen),
                fixable=so_far.fixable + each.fixable,
            )
            seen.add((number, key))
    return sorted(found.values(), key=_order)


def models_with(subjects: Sequence[Subject], severities: Sequence[Severity]) -> list[str]:
    """The models that have a finding about correctness of such a severity."""
    return [
        source_of(subject)
        for subject in subjects
        if any(each.severity in severities and each.category is Category.CORRECTNESS for each in findings(subject))
    ]


def _order(total: RuleTotal) -> tuple[bool, int, int, str]:
    first = total.first
    return first.category is not Category.CORRECTNESS, first.severity.rank, -total.count, first.code
