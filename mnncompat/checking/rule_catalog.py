"""All rules, of the table, the checks of a graph, the rewrites and the results, by code and name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from mnncompat.errors import UsageError
from mnncompat.results.diagnostics import RuleInfo
from mnncompat.rewrites.core.base import Rewrite
from mnncompat.rewrites.index import all_rewrites, requested_rewrites
from mnncompat.support.row_choice import means


def all_rule_infos() -> tuple[RuleInfo, ...]:
    """Every rule, ordered by code."""
    from mnncompat.checking.rule_docs import all_rules
    from mnncompat.results.half_precision_rules import HALF_PRECISION_RULES
    from mnncompat.results.rules import RESULT_RULES

    rewrites = map(rewrite_info, (*all_rewrites(), *requested_rewrites()))
    found = {info.code: info for info in (*all_rules(), *RESULT_RULES, *HALF_PRECISION_RULES, *rewrites)}
    return tuple(found[code] for code in sorted(found))


def rewrite_info(rewrite: Rewrite) -> RuleInfo:
    """A rewrite as a rule; the explanation is the docstring of its class."""
    return RuleInfo(
        code=rewrite.code,
        name=rewrite.name,
        summary=rewrite.summary,
        severity=rewrite.severity,
        explanation=inspect.getdoc(type(rewrite)) or rewrite.summary,
        category=rewrite.category,
        remedy=rewrite.name,
        applicability=rewrite.applicability,
        op_types=rewrite.op_types,
    )


def find_rule(name: str) -> RuleInfo:
    """The rule of that code or name.

    Raises:
        UsageError: There is none.
    """
    rules = all_rule_infos()
    for rule in rules:
        if name.lower() in (rule.code.lower(), rule.name.lower()):
            return rule
    raise _no_rule(name, rules)


def matching_rules(text: str) -> tuple[RuleInfo, ...]:
    """The rule of that code or name; else those whose codes start so, that are about that operator, or that contain it.

    Raises:
        UsageError: There is none.
    """
    rules = all_rule_infos()
    word = text.lower()
    for fits in (
        lambda rule: word in (rule.code.lower(), rule.name.lower()),
        lambda rule: rule.code.lower().startswith(word),
        lambda rule: word in map(str.lower, rule.op_types),
        lambda rule: word in rule.name,
    ):
        found = tuple(filter(fits, rules))
        if found:
            return found
    raise _no_rule(text, rules)


def _no_rule(name: str, rules: Iterable[RuleInfo], what: str = "rule") -> UsageError:
    from difflib import get_close_matches

    words = {word.lower(): word for rule in rules for word in (rule.code, rule.name)}
    close = [words[each] for each in get_close_matches(name.lower(), words, n=3)]
    hint = f"close to it: {', '.join(close)}" if close else "`mnncompat rule` lists them"
    return UsageError(f"no {what} is called '{name}'", hint=hint)


def is_rule(entry: str) -> bool:
    """True if an entry of --select or --ignore means a rule, rewrite or not."""
    return any(means(entry, rule.code, rule.name) for rule in all_rule_infos())


def require_rules(entries: Iterable[str], *, what: str = "rule") -> None:
    """Refuse entries of --select or --ignore that mean no rule at all.

    Args:
        entries: The entries.
        what: What a command chooses by them, for the message.

    Raises:
        UsageError: One of them does.
    """
    wanted = list(entries)
    if not wanted:
        return
    rules = all_rule_infos()
    for entry in wanted:
        if not any(means(entry, rule.code, rule.name) for rule in rules):
            raise _no_rule(entry, rules, what)
