"""GitHub Actions workflow commands: one annotation for each finding.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions; the escapes are those of
`packages/core/src/command.ts` in actions/toolkit.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnncompat.report.as_diagnostics import findings
from mnncompat.report.location import node_name, relative
from mnncompat.report.printable import printable
from mnncompat.report.subject import Subject
from mnncompat.results.diagnostics import Category, Diagnostic, Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(subjects: Sequence[Subject]) -> str:
    """Write one command for each finding; empty without findings."""
    return "".join(f"{_command(found)}\n" for subject in subjects for found in findings(subject))


def _command(found: Diagnostic) -> str:
    about = "" if found.category is Category.CORRECTNESS else f" ({found.category.value})"
    properties = {"title": f"{found.code} {found.name}{about}"}
    if found.location.model:
        properties = {"file": relative(found.location.model)} | properties
    written = ",".join(f"{name}={_property(printable(value))}" for name, value in properties.items())
    return f"::{_COMMANDS[found.severity]} {written}::{_data(_message(found))}"


def _message(found: Diagnostic) -> str:
    """The node and the message, then the remedy and the hint on lines of their own."""
    lines = [": ".join(filter(None, (node_name(found.location), printable(found.message))))]
    if (found.fixable or found.may_fix) and found.remedy:
        verb = "rewrites" if found.fixable else "may rewrite"
        lines.append(f"fix: `mnncompat fix` {verb} this ({printable(found.remedy)})")
    if found.hint:
        lines.append(f"hint: {printable(found.hint)}")
    return "\n".join(lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
