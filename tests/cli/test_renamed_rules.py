"""Old names of rules and rewrites are accepted for one release, with one notice."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from mnncompat import fix
from mnncompat.checking.rule_catalog import all_rule_infos
from mnncompat.cli import main
from mnncompat.results.renamed_rules import RENAMED

NOTICE = "note: 'not-finite' is called isnan-isinf now; the old name goes with 0.3\n"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model that `isnan-isinf` rewrites; the working directory is beside it."""
    monkeypatch.chdir(tmp_path)
    text = """<ir_version: 8, opset_import: ["": 17]> g (float[2,3] x) => (float[2,3] y) {
        n = IsNaN(x) z = Sub(x, x) y = Where(n, z, x) }"""
    onnx.save(parser.parse_model(text), tmp_path / "model.onnx")
    return "model.onnx"


def test_the_table_leads_to_names_of_today() -> None:
    names = {rule.name for rule in all_rule_infos()}
    assert set(RENAMED.values()) <= names
    assert names.isdisjoint(RENAMED)


@pytest.mark.parametrize("old", RENAMED)
def test_rule_knows_it(old: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule", old]) == 0
    told = capsys.readouterr()
    assert RENAMED[old] in told.out  # in the first line, or in a list where several rows have the name
    assert told.err == f"note: '{old}' is called {RENAMED[old]} now; the old name goes with 0.3\n"


def test_fix_selects_by_it(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["fix", model, "-o", "out.onnx", "--select", "not-finite", "--ignore", "not-finite,foreign-twin"]
    assert main(options) == 1  # IsNaN remains
    told = capsys.readouterr().err
    assert told.count(NOTICE) == 1
    assert "'foreign-twin' is called contrib-op-to-onnx now" in told
    assert main([*options[:4], "--select", "not-finite"]) == 0
    assert "isnan-isinf" in capsys.readouterr().out


def test_check_and_convert_ignore_by_it(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", model, "--ignore", "not-finite"]) == 1
    assert capsys.readouterr().err == NOTICE
    assert main(["convert", model, "--dry-run", "--ignore", "not-finite"]) == 1
    assert NOTICE in capsys.readouterr().err


def test_the_configuration_may_hold_it(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text('[tool.mnncompat]\nignore = ["not-finite"]\n')
    assert main(["fix", model, "--diff"]) == 1  # IsNaN remains
    assert NOTICE in capsys.readouterr().err


def test_python_is_warned(model: str) -> None:
    with pytest.warns(DeprecationWarning, match="'not-finite' is called isnan-isinf now") as told:
        result = fix(model, select=["not-finite"])
    assert [each.rewrite for each in result.applied] == ["isnan-isinf"]
    assert told[0].filename == __file__  # the notice names the caller's line, not the library's
