"""The table as a page: filters, formats, and the generated file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mnncompat.checking.rule_docs import all_rules
from mnncompat.cli import main
from mnncompat.support.reason_text import in_words
from mnncompat.support.table_page import markdown, ops_overview

PAGE_VERSION = "3.6.1"


def test_the_page_in_the_repository_is_what_the_table_says(repository: Path) -> None:
    """`make docs` writes it."""
    page = (repository / "rules" / "TABLE.md").read_text(encoding="utf-8")
    assert page == markdown(ops_overview(PAGE_VERSION), PAGE_VERSION)


def ops(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["ops", *words]) == 0
    return capsys.readouterr().out


def test_one_operator_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    shown = ops(capsys, "softmax", "--mnn", "3.6.1")
    assert shown.startswith("Softmax\n")
    assert "MNN220" in shown
    assert "https://github.com/alibaba/MNN/blob/3.6.1/tools/converter" in shown


def test_an_operator_that_no_release_declares(capsys: pytest.CaptureFixture[str]) -> None:
    shown = ops(capsys, "isinf", "--mnn", "3.6.1")
    assert "no release up to 3.6.1 declares it" in shown
    assert "when: attr.detect_negative = 0, attr.detect_positive = 1" in shown
    assert "advice: use Greater(x, 3.4028234e38)" in shown


def test_programs_get_conditions_as_the_rows_state_them(capsys: pytest.CaptureFixture[str]) -> None:
    (less,) = json.loads(ops(capsys, "Less", "--mnn", "3.6.1", "--output-format", "json"))["items"]
    bytes_row = next(row for row in less["rows"] if row["code"] == "MNN241")
    assert bytes_row["when"] == 'input.0.dtype = ["UINT8", "INT8"]'
    assert bytes_row["reason"] == "comparison of the dtype of input 0 gives no output"
    assert "function" not in json.dumps(less)


@pytest.mark.parametrize(
    ("reason", "ops_of_it", "expected"),
    [
        ("{op} of {input.1.dtype}", ("Cast",), "Cast of the dtype of input 1"),
        ("{op} with pads {attr.pads}", ("A", "B", "C", "D", "E"), "the operator with pads"),
        ("mode = {attr.mode} is not {attr.axis}", ("A", "B"), "mode is not axis"),
        ("{inputs} operands in opset {opset}", ("A",), "some operands in this opset"),
        ("'{tensor}' has the shape {shape} in {output.0}", (), "tensor has the shape in output 0"),
    ],
)
def test_placeholders_in_words(reason: str, ops_of_it: tuple[str, ...], expected: str) -> None:
    assert in_words(reason, ops_of_it) == expected


def test_no_page_shows_a_placeholder() -> None:
    assert not [rule.code for rule in all_rules() if re.search(r"\{[a-z]", rule.summary + rule.explanation)]
    assert not re.search(r"\{(op|attr|input|output)", markdown(ops_overview(PAGE_VERSION), PAGE_VERSION))


@pytest.mark.parametrize(
    ("status", "inside", "outside"),
    [
        ("undeclared", "Hardmax", "Relu"),
        ("declared", "Relu", "Hardmax"),
        ("crash", "BatchNormalization", "Hardmax"),
        ("wrong", "Softmax", "Hardmax"),
    ],
)
def test_filters(status: str, inside: str, outside: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(ops(capsys, "--mnn", "3.6.1", "--status", status, "--output-format", "json"))
    names = [item["op"] for item in found["items"]]
    assert inside in names
    assert outside not in names
    assert names == sorted(names)


def test_releases_differ(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not declared by MNN 0.2.0.4" in ops(capsys, "MatMul", "--mnn", "0.2.0.4")
    assert "not declared" not in ops(capsys, "MatMul", "--mnn", "0.2.1.6")


def test_an_unknown_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--status", "lovely"]) == 2
    assert "unknown status: lovely" in capsys.readouterr().err
