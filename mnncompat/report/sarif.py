"""SARIF 2.1.0, as code scanning takes it: the model as physical location, the node as logical location.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html;
https://docs.github.com/code-security/reference/code-scanning/sarif-files/sarif-support says what GitHub reads.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mnncompat.report.as_diagnostics import findings
from mnncompat.report.location import node_name, uri
from mnncompat.report.printable import printable
from mnncompat.report.sarif_rules import HOME, LEVELS, descriptor
from mnncompat.report.subject import Subject
from mnncompat.report.version import tool_version
from mnncompat.results.diagnostics import CheckResult, Diagnostic, RuleInfo, Suppressed
from mnncompat.results.outcomes import Unfinished
from mnncompat.results.rules import RESULT_RULES

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(subjects: Sequence[Subject], *, rules: Sequence[RuleInfo] = ()) -> str:
    """Write one run over all results, with the rules in use; one that is not in `rules` is described without texts."""
    failed = [each for subject in subjects if isinstance(subject, Unfinished) for each in findings(subject)]
    found = [each for subject in subjects if not isinstance(subject, Unfinished) for each in findings(subject)]
    aside = [each.diagnostic for each in _set_aside(subjects)]
    listed = _rules([*found, *aside], rules)
    numbers = {rule.code: number for number, rule in enumerate(listed)}
    driver = {
        "name": "mnncompat",
        "version": tool_version(),
        "informationUri": HOME,
        "rules": [descriptor(rule) for rule in listed],
    }
    notified = {each.code: each for each in failed}
    if notified:
        driver["notifications"] = [descriptor(rule) for rule in RESULT_RULES if rule.code in notified]
    run = {
        "tool": {"driver": driver},
        "invocations": [_invocation(failed)],
        "columnKind": "unicodeCodePoints",
        "results": [*_results(found, numbers), *_suppressed(subjects, numbers)],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, allow_nan=False) + "\n"


def _invocation(failed: Sequence[Diagnostic]) -> dict[str, Any]:
    """Whether the command did its work with every model; a notification for each where it did not."""
    notes = [
        {
            "descriptor": {"id": each.code},
            "level": LEVELS[each.severity],
            "message": {"text": _message(each)},
            "locations": [_location(each)],
        }
        for each in failed
    ]
    return {"executionSuccessful": not failed} | ({"toolExecutionNotifications": notes} if notes else {})


def _rules(found: Sequence[Diagnostic], given: Sequence[RuleInfo]) -> list[RuleInfo]:
    """The rules that findings need, by code."""
    used = {each.code: each for each in reversed(found)}
    known = {rule.code: rule for rule in (*RESULT_RULES, *given) if rule.code in used}
    bare = {code: _bare(each) for code, each in used.items() if code not in known}
    return [rule for _, rule in sorted((known | bare).items())]


def _bare(found: Diagnostic) -> RuleInfo:
    return RuleInfo(
        code=found.code,
        name=found.name,
        summary=found.name.replace("-", " "),
        severity=found.severity,
        explanation="",
        category=found.category,
        remedy=found.remedy,
    )


def _results(found: Sequence[Diagnostic], numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    seen: Counter[tuple[str, ...]] = Counter()
    for each in found:
        key = (each.code, uri(each.location.model), each.location.path, each.location.op_type)
        seen[key] += 1
        yield {
            "ruleId": each.code,
            "ruleIndex": numbers[each.code],
            "level": LEVELS[each.severity],
            "message": {"text": _message(each)},
            "locations": [_location(each)],
            "partialFingerprints": {"primaryLocationLineHash": _fingerprint(key, seen[key])},
            "properties": _properties(each),
        }


def _suppressed(subjects: Sequence[Subject], numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Findings that a baseline knows, or that the configuration ignores: results that nobody has to look at."""
    aside = _set_aside(subjects)
    for each, written in zip(aside, _results([each.diagnostic for each in aside], numbers), strict=True):
        why = printable(each.reason) if each.reason else "a baseline knows it"
        yield written | {"suppressions": [{"kind": "external", "status": "accepted", "justification": why}]}


def _set_aside(subjects: Sequence[Subject]) -> list[Suppressed]:
    return [each for subject in subjects if isinstance(subject, CheckResult) for each in subject.suppressed]


def _message(found: Diagnostic) -> str:
    """The node, the message and the hint; brackets are escaped, because SARIF would read them as links."""
    text = ": ".join(filter(None, (node_name(found.location), printable(found.message))))
    if found.hint:
        text += f". {printable(found.hint)}"
    return text.replace("](", "\\](")


def _location(found: Diagnostic) -> dict[str, Any]:
    where = found.location
    # A model has no lines, but GitHub requires one: every alert is at the top of the file.
    physical = {"artifactLocation": {"uri": uri(where.model)}, "region": {"startLine": 1}}
    if not where.path:
        return {"physicalLocation": physical}
    node = {
        "name": printable(where.node or where.graph[-1]),
        "fullyQualifiedName": printable(where.path),
        "kind": "node" if where.node else "graph",
    }
    return {"physicalLocation": physical, "logicalLocations": [node]}


def _fingerprint(key: tuple[str, ...], occurrence: int) -> str:
    """Identifies an alert across runs; GitHub's own fingerprint would hash line 1 of the file for all of them."""
    digest = hashlib.sha256("\0".join(key).encode(errors="surrogatepass")).hexdigest()
    return f"{digest[:16]}:{occurrence}"


def _properties(found: Diagnostic) -> dict[str, Any]:
    return {
        "status": found.status,
        "category": found.category.value,
        "opType": found.location.op_type,
        "outputs": list(found.location.outputs),
        "remedy": found.remedy,
        "fixable": found.fixable,
        "mayFix": found.may_fix,
        "evidence": list(found.evidence),
    }
