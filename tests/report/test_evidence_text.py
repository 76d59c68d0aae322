"""Evidence in reports leads to where a user can read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from handmade import POOL, UNDECLARED, check

from mnncompat.checking.rule_catalog import all_rule_infos, find_rule
from mnncompat.cli import main
from mnncompat.report import OutputFormat, render
from mnncompat.report.evidence import command, readable
from mnncompat.support.rule_files import root


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (
            "src:tools/converter/source/onnx/PoolingOnnx.cpp@3.6.1: run",
            "https://github.com/alibaba/MNN/blob/3.6.1/tools/converter/source/onnx/PoolingOnnx.cpp: run",
        ),
        ("node:test_relu: right", "node:test_relu: right (`mnncompat probe node:test_relu`)"),
        ("measured: wrong", "measured: wrong"),
        ("rules/none.json", "rules/none.json"),
    ],
)
def test_a_line_says_where_it_can_be_read(evidence: str, told: str) -> None:
    assert readable(evidence, Path("rules")) == told


def test_files_of_the_rules_are_where_they_are_installed() -> None:
    assert (
        readable("rules/declared.json: MatMul", root()) == f"rules/declared.json: MatMul ({root() / 'declared.json'})"
    )


def test_every_file_that_a_rule_names_is_installed() -> None:
    lines = [line for rule in all_rule_infos() for line in rule.evidence if line.startswith("rules/")]
    assert lines
    assert all(str(root()) in readable(line, root()) for line in lines)


def test_the_report_names_the_command_and_it_prints_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "; `mnncompat rule MNN212` prints it" in render([check(POOL)], OutputFormat.TEXT)
    assert "; `mnncompat ops MatMul` prints it" in render([check(UNDECLARED)], OutputFormat.TEXT)
    rule = find_rule("MNN321")
    assert main(["rule", "MNN321"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert all(f"- {readable(line, root())}" in told for line in rule.evidence)
    assert command(POOL) == "mnncompat rule MNN212"
