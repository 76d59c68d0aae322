"""`mnncompat rule`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from mnncompat.cli.console import begin_work, emit, use_color
from mnncompat.cli.declared import argument, option
from mnncompat.cli.limits import CommandMemory, CommandTimeout, parse_memory, parse_timeout
from mnncompat.errors import UsageError
from mnncompat.results.renamed_rules import current_name

if TYPE_CHECKING:
    from mnncompat.results.diagnostics import RuleInfo

_FORMATS = ("text", "json")
_SEVERITIES = ("error", "warning", "info")
_CATEGORIES = ("correctness", "performance", "size")


Rule = Annotated[
    str | None,
    argument(
        metavar="[RULE]",
        help="Code or name of one rule; or the start of codes, an operator, a part of names: all that fit are listed.",
    ),
]
WithSeverity = Annotated[
    str | None, option("--severity", metavar="NAME", help="List rules of this severity: error, warning or info.")
]
InCategory = Annotated[
    str | None, option("--category", metavar="NAME", help="List rules about this: correctness, performance or size.")
]
Short = Annotated[bool, option("--short", help="List codes and names alone, one a line.")]
Format = Annotated[str, option("--output-format", metavar="FORMAT", help="text or json.")]


def rule(
    code: Rule = None,
    *,
    severity: WithSeverity = None,
    category: InCategory = None,
    short: Short = False,
    output_format: Format = "text",
    timeout: CommandTimeout = None,
    memory_limit: CommandMemory = None,
) -> None:
    """Explain one rule, or list rules."""
    begin_work(seconds=parse_timeout(timeout), memory=parse_memory(memory_limit), whole=True)
    _require("output format", output_format, _FORMATS)
    _require("severity", severity, _SEVERITIES)
    _require("category", category, _CATEGORIES)
    from mnncompat.checking.rule_catalog import all_rule_infos, matching_rules
    from mnncompat.cli.options import tell_renamed
    from mnncompat.cli.render import rule_list, rule_text, to_json

    is_list = code is None or short or severity is not None or category is not None
    if code is None:
        found: Sequence[RuleInfo] = all_rule_infos()
    else:
        tell_renamed(code)
        found = matching_rules(current_name(code))
    found = [
        each for each in found if severity in (None, each.severity.value) and category in (None, each.category.value)
    ]
    if output_format == "json":
        emit(to_json(found), output_format)
    elif short:
        emit("".join(f"{each.code} {each.name}\n" for each in found))
    elif is_list or len(found) != 1:
        emit(rule_list(found, color=use_color()))
    else:
        emit(rule_text(found[0], color=use_color()))


def _require(what: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise UsageError(f"unknown {what}: {value}", hint=f"there are: {', '.join(known)}")
