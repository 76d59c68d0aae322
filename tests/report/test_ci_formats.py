"""JUnit, GitLab and Markdown, as those that read them do; and totals."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from handmade import RULES, SUBJECTS
from jsonschema import Draft202012Validator
from syrupy.assertion import SnapshotAssertion

from mnncompat.report import OutputFormat, findings, render
from mnncompat.report.markdown import code
from mnncompat.report.subject import Subject
from mnncompat.results.diagnostics import Category, CheckResult, Location, Severity, Suppressed

# https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "minLength": 1},
                    "lines": {"type": "object", "required": ["begin"], "properties": {"begin": {"type": "integer"}}},
                },
            },
        },
    },
}
HOSTILE = 'x"]]>\x00\x1b[31m<script>alert(1)</script>|`` @everyone\n### injected\n::error::x'


def hostile() -> CheckResult:
    """A check whose names try to be markup."""
    check = SUBJECTS["check"][0]
    assert isinstance(check, CheckResult)
    found = replace(
        check.diagnostics[0],
        message=HOSTILE,
        hint=HOSTILE,
        fixable=False,
        may_fix=False,
        location=Location(model=f"{HOSTILE}.onnx", node=HOSTILE, op_type=HOSTILE, index=0),
    )
    return replace(check, model=f"{HOSTILE}.onnx", diagnostics=(found,))


@pytest.mark.parametrize("name", SUBJECTS)
def test_gitlab_takes_every_result(name: str) -> None:
    written = json.loads(render(SUBJECTS[name], OutputFormat.GITLAB, rules=RULES))
    Draft202012Validator(GITLAB).validate(written)
    fingerprints = [each["fingerprint"] for each in written]
    assert len(set(fingerprints)) == len(fingerprints) == sum(len(findings(each)) for each in SUBJECTS[name])


@pytest.mark.parametrize("name", SUBJECTS)
def test_junit_counts_what_fails(name: str) -> None:
    root = ET.fromstring(render(SUBJECTS[name], OutputFormat.JUNIT, rules=RULES))  # noqa: S314 - our own
    assert root.tag == "testsuites"
    assert [each.tag for each in root] == ["testsuite"] * len(SUBJECTS[name])
    for suite, subject in zip(root, SUBJECTS[name], strict=True):
        cases = suite.findall("testcase")
        assert int(suite.get("tests", "")) == len(cases) > 0
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("errors", "")) == len(suite.findall("testcase/error"))
        failed = {case.get("name", "").split()[0] for case in cases if case.find("failure") is not None}
        failed |= {case.get("name", "").split()[0] for case in cases if case.find("error") is not None}
        assert failed == {each.code for each in findings(subject) if counts(each.severity, each.category)}
    for total in ("tests", "failures", "errors"):
        assert int(root.get(total, "")) == sum(int(suite.get(total, "")) for suite in root)


def counts(severity: Severity, category: Category) -> bool:
    return severity is not Severity.INFO and category is Category.CORRECTNESS


@pytest.mark.parametrize("name", ["check", "fix", "convert-refused", "verify-different"])
def test_markdown_has_a_row_for_each_finding(snapshot: SnapshotAssertion, name: str) -> None:
    written = render(SUBJECTS[name], OutputFormat.MARKDOWN, rules=RULES, statistics=True)
    for subject in SUBJECTS[name]:
        for each in findings(subject):
            assert f"`{each.code}` {each.name}" in written
    assert written == snapshot


def test_markup_in_names_is_text() -> None:
    written = render([hostile()], OutputFormat.MARKDOWN, rules=RULES)
    assert "<script>" not in re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", written)
    assert "\n### injected" not in written
    assert "\x1b" not in written
    rows = [line for line in written.splitlines() if line.startswith("| :")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [5]
    assert ET.fromstring(render([hostile()], OutputFormat.JUNIT)).find("testsuite/testcase/failure") is not None  # noqa: S314
    json.loads(render([hostile()], OutputFormat.GITLAB))


@pytest.mark.parametrize(
    ("text", "expected"), [("a", "`a`"), ("a|b", "`a\\|b`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```")]
)
def test_a_code_span_ends_where_it_should(text: str, expected: str) -> None:
    assert code(text) == expected


def test_statistics_come_first() -> None:
    subjects: list[Subject] = [*SUBJECTS["check"], *SUBJECTS["check"], *SUBJECTS["none"]]
    first, _, rest = render(subjects, OutputFormat.TEXT, rules=RULES, statistics=True).partition("\n")
    check = SUBJECTS["check"][0]
    assert first == f"{len(subjects)} models: 2 with errors" + (
        f", {len(subjects) - 2} with neither" if len(subjects) > 2 else ", 0 with neither"
    )
    for each in findings(check):
        row = next(line for line in rest.splitlines() if f"[{each.code}]" in line and each.name in line)
        same = [found for found in findings(check) if (found.code, found.severity) == (each.code, each.severity)]
        assert row.split()[-2 if not any(found.fixable for found in same) else -3] == str(2 * len(same))


def test_verbose_shows_all_evidence_and_every_place() -> None:
    check = SUBJECTS["check"][0]
    assert isinstance(check, CheckResult)
    many = tuple(
        replace(check.diagnostics[0], location=replace(check.diagnostics[0].location, node=f"n{number}"))
        for number in range(30)
    )
    result = replace(check, diagnostics=many)
    short, whole = (render([result], OutputFormat.TEXT, rules=RULES, verbose=verbose) for verbose in (False, True))
    assert "... and 20 more: --verbose lists all" in short
    assert "more: --verbose" not in whole
    assert all(f"n{number}" in whole for number in range(30))
    assert all(f"evidence: {each}" in whole for each in many[0].evidence)


def test_what_is_suppressed_is_told() -> None:
    check = SUBJECTS["check"][0]
    assert isinstance(check, CheckResult)
    first, second, *others = check.diagnostics
    aside = (
        Suppressed(diagnostic=first, by="baseline"),
        Suppressed(diagnostic=second, by="configuration", reason="meant so"),
    )
    result = replace(check, diagnostics=tuple(others), suppressed=aside)
    text = render([result], OutputFormat.TEXT, rules=RULES)
    assert "(1 known, 1 ignored by configuration)" in text
    assert ": meant so" in text
    sarif = json.loads(render([result], OutputFormat.SARIF, rules=RULES))["runs"][0]
    reasons = [each["suppressions"][0]["justification"] for each in sarif["results"] if "suppressions" in each]
    assert reasons == ["a baseline knows it", "meant so"]
    assert {each["id"] for each in sarif["tool"]["driver"]["rules"]} == {each.code for each in check.diagnostics}
