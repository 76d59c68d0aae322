"""Findings of the day that a team begins do not fail; new ones do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx import ModelProto, helper
from test_bad_input import linear
from test_many_models import hazardous

from mnncompat.cli import main


def twice() -> ModelProto:
    """A model with two operators that MNN does not have."""
    proto = hazardous()
    last = proto.graph.node[-1]
    proto.graph.node.append(helper.make_node("Hardmax", [last.output[0]], ["again"], name="again"))
    proto.graph.output[0].name = "again"
    return proto


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "bad.onnx").write_bytes(hazardous().SerializeToString())
    (tmp_path / "models" / "good.onnx").write_bytes(linear().SerializeToString())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_known_findings_are_left_out_and_new_ones_fail(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "models"]) == 1
    assert main(["check", "models", "--baseline", "known.json", "--update-baseline"]) == 0
    assert "wrote known.json: it knows " in capsys.readouterr().err
    assert main(["check", "models", "--baseline", "known.json"]) == 0
    captured = capsys.readouterr()
    assert "error[MNN001]" not in captured.out
    assert "no new findings (" in captured.out
    (folder / "models" / "bad.onnx").write_bytes(twice().SerializeToString())
    assert main(["check", "models", "--baseline", "known.json", "--output-format", "json"]) == 1
    results = json.loads(capsys.readouterr().out)["results"]
    assert [each["location"]["node"] for each in results[0]["diagnostics"] if each["code"] == "MNN001"] == ["again"]
    assert {each["by"] for each in results[0]["suppressed"]} == {"baseline"}


def test_the_folder_may_move(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["check", "models", "--baseline", "known.json", "--update-baseline"]) == 0
    moved = folder.rename(folder.parent / "moved")
    monkeypatch.chdir("/")
    assert main(["check", str(moved / "models"), "--baseline", str(moved / "known.json")]) == 0


def test_what_is_gone_is_told_and_forgotten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "models", "--baseline", "known.json", "--update-baseline"]) == 0
    (folder / "models" / "bad.onnx").write_bytes(linear().SerializeToString())
    assert main(["check", "models", "--baseline", "known.json"]) == 0
    assert "are gone: --update-baseline forgets them" in capsys.readouterr().err
    assert main(["check", "models", "--baseline", "known.json", "--update-baseline"]) == 0
    (folder / "models" / "bad.onnx").write_bytes(hazardous().SerializeToString())
    assert main(["check", "models", "--baseline", "known.json"]) == 1


def test_updating_one_model_keeps_what_is_known_of_others(folder: Path) -> None:
    (folder / "models" / "other.onnx").write_bytes(hazardous().SerializeToString())
    assert main(["check", "models", "--baseline", "known.json", "--update-baseline"]) == 0
    assert main(["check", "models/good.onnx", "--baseline", "known.json", "--update-baseline"]) == 0
    assert main(["check", "models", "--baseline", "known.json"]) == 0


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2, "findings": []}', '{"version": 1, "findings": [1]}', "\xff"]
)
def test_what_is_no_baseline_is_an_error(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "known.json").write_bytes(text.encode("latin-1"))
    for more in ([], ["--update-baseline"]):
        assert main(["check", "models", "--baseline", "known.json", *more]) == 2
        assert "is no baseline" in capsys.readouterr().err
    assert (folder / "known.json").read_bytes() == text.encode("latin-1")


def test_a_missing_baseline_knows_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "models", "--baseline", "known.json"]) == 1
    assert "every finding is new: --update-baseline writes it" in capsys.readouterr().err
    assert not (folder / "known.json").exists()
    assert main(["check", "models", "--update-baseline"]) == 2


def test_the_configuration_names_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pyproject.toml").write_text('[tool.mnncompat]\nbaseline = "known.json"\n')
    assert main(["check", "models"]) == 1
    assert main(["check", "models", "--update-baseline"]) == 0
    assert main(["check", "models"]) == 0
    monkeypatch.chdir(folder / "models")
    assert main(["check", "."]) == 0
    (folder / "pyproject.toml").write_text('[tool.mnncompat]\nbaseline = "../known.json"\n')
    assert main(["check", "."]) == 2


@pytest.mark.parametrize("output_format", ["text", "concise", "json", "sarif", "github", "gitlab", "junit", "markdown"])
def test_a_report_goes_to_a_file(folder: Path, output_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", "models", "--output-format", output_format]
    assert main(words) == 1
    printed = capsys.readouterr().out
    assert main([*words, "--output-file", "report.txt"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "wrote report.txt" in captured.err
    assert (folder / "report.txt").read_text() == printed
    assert main([*words, "--output-file", "report.txt", "-q"]) == 1
    assert capsys.readouterr().err == ""


def test_a_report_that_cannot_be_written_is_an_error_before_the_work(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "models", "--output-file", "nowhere/report.txt"]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert not (folder / "nowhere").exists()
