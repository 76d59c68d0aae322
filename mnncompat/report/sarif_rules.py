"""A rule as SARIF's reportingDescriptor."""

from __future__ import annotations

from typing import Any

from mnncompat.report.evidence import source_url
from mnncompat.report.printable import printable
from mnncompat.results.diagnostics import RuleInfo, Severity

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
"""SARIF's level of each severity."""

HOME = "https://github.com/mnncompat/mnncompat"
"""Where the tool is at home."""

_PROBLEM = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
# GitHub cuts longer descriptions.
_LONGEST = 1024


def descriptor(rule: RuleInfo) -> dict[str, Any]:
    """Describe a rule: texts, default level, and a link to more."""
    text = _help(rule)
    described = {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in printable(rule.name).split("-")),
        "shortDescription": {"text": _cut(rule.summary)},
        "fullDescription": {"text": _cut(rule.explanation.strip() or rule.summary)},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {
            "problem.severity": _PROBLEM[rule.severity],
            "category": rule.category.value,
            "tags": ["mnn", "onnx", rule.category.value],
        },
    }
    return described | {"helpUri": help_uri(rule)}


def help_uri(rule: RuleInfo) -> str:
    """MNN's source at the tag where the evidence names it, else ONNX's page of the operator, else the tool's own."""
    for evidence in rule.evidence:
        if source_url(evidence):
            return source_url(evidence)
    for op_type in rule.op_types:
        if op_type.isidentifier():
            return f"https://onnx.ai/onnx/operators/onnx__{op_type}.html"
    return HOME


def _help(rule: RuleInfo) -> str:
    """The explanation, then the remedy, the releases and the evidence, as Markdown."""
    parts = [rule.explanation.strip() or rule.summary]
    if rule.remedy:
        parts.append(f"**Fix:** `mnncompat fix` with the rewrite `{rule.remedy}`.")
    if rule.mnn:
        parts.append(f"**MNN:** `{rule.mnn}`")
    if rule.evidence:
        parts.append("**Evidence:** " + ", ".join(f"`{each}`" for each in rule.evidence))
    return "\n\n".join(parts)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
