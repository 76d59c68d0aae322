"""`mnncompat rule`."""

from __future__ import annotations

from typing import Annotated

from mnncompat.cli.console import begin_work, emit, use_color
from mnncompat.cli.declared import argument, option
from mnncompat.cli.limits import CommandMemory, CommandTimeout, parse_memory, parse_timeout
from mnncompat.results.renamed_rules import current_name


def rule(
    code: Annotated[
        str | None, argument(metavar="[CODE]", help="Code or name; without it all rules are listed.")
    ] = None,
    *,
    output_format: Annotated[str, option("--output-format", metavar="FORMAT", help="text or json.")] = "text",
    timeout: CommandTimeout = None,
    memory_limit: CommandMemory = None,
) -> None:
    """Explain one rule, or list all."""
    from mnncompat.checking.rule_catalog import all_rule_infos, find_rule
    from mnncompat.cli.options import tell_renamed
    from mnncompat.cli.render import rule_list, rule_text, to_json

    begin_work(seconds=parse_timeout(timeout), memory=parse_memory(memory_limit), whole=True)
    if output_format not in ("text", "json"):
        from mnncompat.errors import UsageError

        raise UsageError(f"unknown output format: {output_format}", hint="there are: text, json")
    if code is None:
        rules = all_rule_infos()
        emit(to_json(rules) if output_format == "json" else rule_list(rules, color=use_color()), output_format)
    else:
        tell_renamed(code)
        found = find_rule(current_name(code))
        emit(to_json([found]) if output_format == "json" else rule_text(found, color=use_color()), output_format)
