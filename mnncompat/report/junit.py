"""JUnit XML, which CI systems show as tests: a suite for each model, a test for each rule that was found in it.

There is no standard; the elements are those that Jenkins and GitLab read: `testsuites`, `testsuite`, `testcase`,
`failure`, `error`, `system-out`. Errors and warnings about correctness are failures, everything else is text of a test
that passes; a model that could not be worked on is an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mnncompat.report.as_diagnostics import findings
from mnncompat.report.location import model_name, node_name, relative
from mnncompat.report.printable import printable
from mnncompat.report.subject import Subject, source_of
from mnncompat.results.diagnostics import Category, Diagnostic, Severity
from mnncompat.results.outcomes import Unfinished

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(subjects: Sequence[Subject]) -> str:
    """Write one document over all results."""
    root = Element("testsuites", name="mnncompat")
    totals = [0, 0, 0]
    for subject in subjects:
        counts = _write_suite(root, subject)
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
    for name, total in zip(("tests", "failures", "errors"), totals, strict=True):
        root.set(name, str(total))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _write_suite(root: Element, subject: Subject) -> tuple[int, int, int]:
    name = source_of(subject)
    shown = _text(printable(relative(name) if name else model_name(name)))
    suite = SubElement(root, "testsuite", name=shown)
    groups: dict[str, list[Diagnostic]] = {}
    for each in findings(subject):
        groups.setdefault(f"{each.code} {each.name}", []).append(each)
    failures = errors = 0
    for rule, group in groups.items():
        case = SubElement(suite, "testcase", classname=shown, name=_text(rule))
        text = "\n".join(map(_line, group))
        failed = [each for each in group if _is_failure(each)]
        if not failed:
            SubElement(case, "system-out").text = _text(text)
            continue
        unfinished = isinstance(subject, Unfinished)
        errors += unfinished
        failures += not unfinished
        told = SubElement(case, "error" if unfinished else "failure", type=failed[0].severity.value)
        told.set("message", _text(printable(failed[0].message) if len(group) == 1 else f"{len(group)} findings"))
        told.text = _text(text)
    if not groups:
        SubElement(suite, "testcase", classname=shown, name="no findings")
    tests = max(len(groups), 1)
    for key, count in (("tests", tests), ("failures", failures), ("errors", errors)):
        suite.set(key, str(count))
    return tests, failures, errors


def _is_failure(found: Diagnostic) -> bool:
    return found.severity is not Severity.INFO and found.category is Category.CORRECTNESS


def _line(found: Diagnostic) -> str:
    where = node_name(found.location)
    text = f"{found.severity.value}: {where}: {found.message}" if where else f"{found.severity.value}: {found.message}"
    if (found.fixable or found.may_fix) and found.remedy:
        verb = "rewrites" if found.fixable else "may rewrite"
        text += f"; `mnncompat fix` {verb} this ({found.remedy})"
    elif found.hint:
        text += f"; hint: {found.hint}"
    return printable(text)


def _text(text: str) -> str:
    """Text that XML 1.0 can hold, line by line as it may be shown."""
    return _NOT_XML.sub("?", "\n".join(map(printable, text.split("\n"))))
