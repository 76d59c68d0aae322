"""Where a user can read what a statement rests on: MNN's source, a file of the rules, a case to measure again."""

from __future__ import annotations

import re
from pathlib import Path

from mnncompat.results.diagnostics import Diagnostic

_SOURCE = re.compile(r"src:(?P<path>[\w./+-]+)(?:#[^@\s]*)?@(?P<tag>\d[\w.]*)")
_CASE = re.compile(r"(?:node|node-const|converted|operator|simple):[\w.-]+")
_UNDECLARED, _MEASURED = "MNN001", "MNN003"


def source_url(evidence: str) -> str:
    """MNN's source at the tag that the evidence names; empty if it names none."""
    source = _SOURCE.match(evidence)
    return f"https://github.com/alibaba/MNN/blob/{source['tag']}/{source['path']}" if source else ""


def readable(evidence: str, rules: Path) -> str:
    """The evidence with the place where it can be read.

    Args:
        evidence: One line.
        rules: The installed folder of rules.
    """
    source = _SOURCE.match(evidence)
    if source:
        return f"{source_url(evidence)}{evidence[source.end() :]}"
    name = evidence.partition(":")[0].removeprefix("rules/")
    if evidence.startswith("rules/") and (rules / name).is_file():
        return f"{evidence} ({rules / name})"
    case = _CASE.match(evidence)
    return f"{evidence} (`mnncompat probe {case[0]}`)" if case else evidence


def command(found: Diagnostic) -> str:
    """The command that prints all evidence of a finding; empty where the run itself measured it."""
    if found.code == _MEASURED:
        return ""
    if found.code == _UNDECLARED:
        return f"mnncompat ops {found.location.op_type}"
    return f"mnncompat rule {found.code}"
