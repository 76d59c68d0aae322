"""Former names of rules are accepted for one release, with a notice."""

from __future__ import annotations

from pathlib import Path

import pytest

import mnncompat
from mnncompat.checking.rule_catalog import all_rule_infos, find_rule
from mnncompat.cli import main
from mnncompat.results.rules import FORMER_NAMES


def test_former_names_are_free_and_mean_a_rule() -> None:
    names = {rule.name for rule in all_rule_infos()}
    assert set(FORMER_NAMES.values()) <= names
    assert names.isdisjoint(FORMER_NAMES)


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_a_rule_is_found_by_its_former_name(former: str, name: str) -> None:
    assert find_rule(former).name == name


@pytest.mark.parametrize("command", ["check", "fix"])
def test_the_command_line_takes_a_former_name_with_a_notice(
    command: str, tutorial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "out.onnx")] if command == "fix" else []
    assert main([command, str(tutorial), "--select", "settled-condition", *out]) == 0
    assert "the rule 'settled-condition' is called 'constant-if' now" in capsys.readouterr().err


def test_python_takes_a_former_name_with_a_warning(tutorial: Path) -> None:
    with pytest.warns(DeprecationWarning, match="'settled-condition' is called 'constant-if' now") as caught:
        fixed = mnncompat.fix(tutorial, select=["settled-condition"])
    assert fixed.applied == ()
    assert caught[0].filename == __file__


def test_a_name_that_never_was_is_an_error(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tutorial), "--select", "settled-conditions"]) == 2
    assert "no rule is called 'settled-conditions'" in capsys.readouterr().err
