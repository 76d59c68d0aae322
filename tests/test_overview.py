"""The table for people: filters, formats, and the generated page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnncompat.cli import main
from mnncompat.overview import markdown, ops_overview

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
    assert "src:tools/converter" in shown


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
