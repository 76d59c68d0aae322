"""A repository is set up, and what is there stays."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from test_bad_input import linear
from test_many_models import hazardous

from mnncompat.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, proto in (("a/one", linear()), ("a/two", hazardous()), ("b/three", linear())):
        path = tmp_path / f"{name}.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(proto.SerializeToString())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_nothing_to_green(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--github"]) == 0
    assert "found 3 models" in capsys.readouterr().err
    table = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["mnncompat"]
    assert [each["path"] for each in table["models"]] == ["a/*.onnx", "b/*.onnx"]
    hooks = yaml.safe_load((folder / ".pre-commit-config.yaml").read_text())
    assert [each["id"] for repo in hooks["repos"] for each in repo["hooks"]] == ["mnncompat-check"]
    workflow = yaml.safe_load((folder / ".github/workflows/mnncompat.yml").read_text())
    assert workflow["jobs"]["check"]["steps"][0]["with"] == {"lfs": True}
    assert main(["check"]) == 1
    assert main(["check", "--update-baseline"]) == 0
    assert main(["check"]) == 0


def test_what_cannot_be_read_is_left_out_and_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (folder / "b" / "three.onnx").read_bytes()
    (folder / "b" / "odd [1].onnx").write_bytes(whole[:40])
    (folder / "b" / "later.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert main(["init"]) == 0
    assert "repair b/odd [1].onnx: is not an ONNX model, or it is truncated" in capsys.readouterr().err
    assert tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["mnncompat"]["exclude"] == [
        "b/odd [[]1].onnx"
    ]
    (folder / "b" / "later.onnx").write_bytes(whole)
    assert main(["check", "--update-baseline", "-q"]) == 0
    assert main(["check", "-q"]) == 0
    assert main(["check", "-q", "b/odd [1].onnx"]) == 2
    assert main(["check", "-q", "--force-exclude", "b/odd [1].onnx"]) == 0
    assert main(["check", "-q", "--force-exclude", "b/odd [1].onnx", "a/one.onnx"]) == 0
    assert "b/odd" not in capsys.readouterr().out.rpartition("a/one.onnx")[2]


def test_what_is_there_stays(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[project]\nname = 'x' # mine\n")
    before = "default_stages: [pre-commit]\nrepos:\n- repo: local\n  hooks:\n  - id: mine\n    name: mine\n"
    (folder / ".pre-commit-config.yaml").write_text(before)
    assert main(["init"]) == 0
    assert (folder / "pyproject.toml").read_text().startswith("[project]\nname = 'x' # mine\n\n[tool.mnncompat]\n")
    assert (folder / ".pre-commit-config.yaml").read_text().startswith(before)
    hooks = yaml.safe_load((folder / ".pre-commit-config.yaml").read_text())
    assert [each["hooks"][0]["id"] for each in hooks["repos"]] == ["mine", "mnncompat-check"]
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["init"]) == 0
    assert files == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_list_of_hooks_that_cannot_be_added_to(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".pre-commit-config.yaml").write_text("repos:\n- repo: local\n  hooks: []\nci: {}\n")
    assert main(["init"]) == 2
    assert "hint: add: - repo: " in capsys.readouterr().err
    assert not (folder / "pyproject.toml").exists()


def test_a_dry_run_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert main(["init", "--dry-run", "--github"]) == 0
    out = capsys.readouterr().out
    assert "# pyproject.toml\n[tool.mnncompat]" in out
    assert "# .pre-commit-config.yaml\nrepos:" in out
    assert sorted(folder.rglob("*")) == before


def test_no_models_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 2
    assert not list(tmp_path.iterdir())


def test_pre_commit_takes_what_is_written(folder: Path) -> None:
    assert main(["init"]) == 0
    words = [sys.executable, "-m", "pre_commit", "validate-config"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
