"""Codes and names mean the same in check, fix, convert, rule and the configuration."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from mnncompat import check, fix
from mnncompat.checking.rule_catalog import is_rule
from mnncompat.cli import main
from mnncompat.fixing.selection import choose

# Two hazards on one node: scatter-reduction (MNN321) and indices-from-start (MNN324).
BOTH = """<ir_version: 8, opset_import: ["": 18]> g (float[2,4] d, int64[3,4] i, float[3,4] u) => (float[2,4] y) {
    sc = ScatterElements<axis = 0, reduction = "max">(d, i, u) y = Relu(sc) }"""
MATMUL = """<ir_version: 8, opset_import: ["": 13]> g (float[1,8] x) => (float[1,4] y)
    <float[8,4] w = {1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8}> {
    m = MatMul(x, w) y = Relu(m) }"""
ENTRIES = [
    ("MNN321", {"scatter-reduction"}),
    ("scatter-elements-reduction", {"scatter-reduction"}),
    ("SCATTER-REDUCTION", {"scatter-reduction"}),
    ("MNN324", {"indices-from-start"}),
    ("mnn850", {"indices-from-start"}),
    ("MNN32", {"scatter-reduction", "indices-from-start"}),
]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model with both hazards; the working directory is beside it."""
    monkeypatch.chdir(tmp_path)
    onnx.save(parser.parse_model(BOTH), "model.onnx")
    return "model.onnx"


def applied(**options: list[str]) -> set[str]:
    return {each.rewrite for each in fix(parser.parse_model(BOTH), mnn="3.6.1", **options).applied}  # type: ignore[arg-type]


@pytest.mark.parametrize(("entry", "rewrites"), ENTRIES)
def test_what_is_selected_is_rewritten_and_nothing_else(entry: str, rewrites: set[str]) -> None:
    assert applied(select=[entry]) <= rewrites
    assert applied(select=[entry])


@pytest.mark.parametrize(("entry", "rewrites"), ENTRIES)
def test_what_is_ignored_is_not_rewritten(entry: str, rewrites: set[str]) -> None:
    assert applied(ignore=[entry]).isdisjoint(rewrites)


@pytest.mark.parametrize("entry", [entry for entry, _ in ENTRIES])
def test_every_command_knows_it(entry: str, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", model, "--select", entry]) == 1
    assert "no findings" not in capsys.readouterr().out
    assert main(["fix", model, "--diff", "--select", entry]) == 1
    assert "rewritten" in capsys.readouterr().out
    if entry != "MNN32":
        assert main(["rule", entry]) == 0
    Path("pyproject.toml").write_text(f'[tool.mnncompat]\nignore = ["{entry}"]\n')
    assert main(["convert", model, "--dry-run", "-q"]) in (0, 1)
    capsys.readouterr()


@pytest.mark.parametrize("command", ["check", "fix", "convert"])
@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_unknown_codes_are_errors_with_what_is_near(
    command: str, option: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, model, option, "scatter-reductoin", *(["--diff"] if command == "fix" else [])]) == 2
    told = capsys.readouterr().err
    assert "'scatter-reductoin'" in told
    assert "close to it: scatter-reduction" in told


def test_an_ignored_rewrite_is_no_promise(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", model, "--ignore", "indices-from-start"]) == 1
    told = capsys.readouterr().out
    assert "MNN324" in told
    assert "the rewrite indices-from-start is ignored" in told
    assert "(indices-from-start)" not in told


@pytest.mark.parametrize(("options", "count"), [({}, 1), ({"select": ["MNN001"]}, 1), ({"ignore": ["MNN801"]}, 0)])
def test_rewrites_that_no_row_names_follow_the_finding(options: dict[str, list[str]], count: int) -> None:
    found = check(parser.parse_model(MATMUL), mnn="0.2.0.4").diagnostics[0]
    assert (found.code, found.remedy, found.fixable) == ("MNN001", "fully-connected-to-convolution", True)
    assert len(fix(parser.parse_model(MATMUL), mnn="0.2.0.4", **options).applied) == count  # type: ignore[arg-type]


def test_they_are_confined_to_the_finding() -> None:
    """MatMul is no hazard of 3.6.1: selecting MNN001 changes nothing there."""
    assert not fix(parser.parse_model(MATMUL), mnn="3.6.1", select=["MNN001"]).changed
    assert "fully-connected-to-convolution" in {
        each.name for each in choose(select=["MNN001"], is_rule=is_rule).rewrites
    }
