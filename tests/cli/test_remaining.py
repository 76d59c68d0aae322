"""`fix` checks its result again: it says what remains, and ends with status 1 while errors do."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import parser

import mnncompat
from mnncompat.cli import main

# scatter-reduction (MNN321) needs the static size that the model does not state.
HOPELESS = """<ir_version: 8, opset_import: ["": 18]> g (float[2,4] d, int64[n,4] i, float[n,4] u) => (float[2,4] y) {
    sc = ScatterElements<axis = 0, reduction = "max">(d, i, u) y = Relu(sc) }"""
NOT_A_NUMBER = '<ir_version: 8, opset_import: ["": 17]> g (float[2,3] v0) => (float[2,3] {last}) {{ {nodes} }}'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(text: str) -> str:
    onnx.save(parser.parse_model(text), "model.onnx")
    return "model.onnx"


def chain(count: int) -> str:
    steps = range(count)
    nodes = " ".join(f"n{n} = IsNaN(v{n}) z{n} = Sub(v{n}, v{n}) v{n + 1} = Where(n{n}, z{n}, v{n})" for n in steps)
    return NOT_A_NUMBER.format(last=f"v{count}", nodes=nodes)


def test_errors_that_remain_are_told_and_make_the_status_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", save(HOPELESS), "-o", "fixed.onnx"]) == 1
    told = capsys.readouterr().out
    assert "1 error left" in told.splitlines()[0]
    assert "error[MNN321] scatter-elements-reduction" in told
    assert Path("fixed.onnx").exists()
    again = mnncompat.check("fixed.onnx")
    assert [each.code for each in mnncompat.fix("model.onnx").remaining or ()] == [
        each.code for each in again.diagnostics
    ]


def test_nothing_rewritten_is_no_success_while_errors_remain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", save(HOPELESS), "-o", "fixed.onnx", "--select", "MNN321"]) == 1
    assert "nothing rewritten, 1 node left alone, 1 error left" in capsys.readouterr().out


def test_what_was_ignored_does_not_count() -> None:
    assert main(["fix", save(HOPELESS), "-o", "fixed.onnx", "--ignore", "MNN321"]) == 0


def test_a_result_without_findings_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", save(chain(1)), "-o", "fixed.onnx"]) == 0
    assert "checked again: no findings in the result" in capsys.readouterr().out
    assert not mnncompat.check("fixed.onnx").diagnostics


def test_nodes_are_listed_by_rewrite(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", save(chain(9)), "-o", "fixed.onnx"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("(isnan-isinf)" in line for line in lines) == 1
    assert sum(line.startswith("    --> ") for line in lines) == 5
    assert any("... and 4 more" in line for line in lines)


def test_other_formats_list_what_remains(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", save(HOPELESS), "-o", "fixed.onnx", "--output-format", "concise"]) == 1
    assert "error MNN321" in capsys.readouterr().out
    assert main(["fix", save(HOPELESS), "-o", "fixed.onnx", "--output-format", "json"]) == 1
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert [each["code"] for each in result["remaining"]] == ["MNN321"]
    assert result["summary"]["error"] == 1
