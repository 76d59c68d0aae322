"""The composite action for GitHub: its form, and its steps carried out as a runner does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml
from models import head, model_of
from onnx import helper


@pytest.fixture(scope="module")
def action(repository: Path) -> Any:
    return yaml.safe_load((repository / "action.yml").read_text())


def test_its_form(action: Any) -> None:
    """https://docs.github.com/actions/reference/workflows-and-actions/metadata-syntax"""
    assert (
        {"name", "description", "runs"}
        <= set(action)
        <= {
            *("name", "description", "author", "branding", "inputs", "outputs", "runs"),
        }
    )
    assert action["runs"]["using"] == "composite"
    for name, each in action["inputs"].items():
        assert re.fullmatch(r"[a-z][a-z-]*", name)
        assert set(each) == {"description", "default"}
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert set(step) <= {"name", "id", "shell", "env", "run"}
        # What comes from outside reaches the script through the environment: nothing is pasted into it.
        assert "${{" not in step["run"]
    used = {part for step in action["runs"]["steps"] for part in re.findall(r"inputs\.([a-z-]+)", str(step["env"]))}
    assert used == set(action["inputs"])
    identified = {step.get("id") for step in action["runs"]["steps"]}
    for each in action["outputs"].values():
        (step,) = re.findall(r"steps\.(\w+)\.outputs", each["value"])
        assert step in identified


def carried_out(
    action: Any, folder: Path, repository: Path, inputs: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the step `check` as a runner does, with this checkout in place of what the first step installs."""
    place = folder / "temp" / "mnncompat" / "bin"
    place.mkdir(parents=True)
    (place / "mnncompat").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mnncompat "$@"\n')
    (place / "mnncompat").chmod(0o755)
    (step,) = (each for each in action["runs"]["steps"] if each.get("id") == "check")
    given = {name: inputs.get(name, each["default"]) for name, each in action["inputs"].items()}
    values = {
        key: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: given[found[1]], text)
        for key, text in step["env"].items()
    }
    script = folder / "step.sh"
    script.write_text(step["run"])
    environment = os.environ | values | {"RUNNER_TEMP": str(folder / "temp"), "PYTHONPATH": str(repository)}
    environment |= {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    shell = [shutil.which("bash") or "bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    return subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_run_with_findings(action: Any, tmp_path: Path, repository: Path) -> None:
    node = helper.make_node("Hardmax", ["x"], ["y"], name="hard")
    (tmp_path / "models").mkdir()
    onnx.save(model_of([node], {"x": [1, 8]}, {"y": [1, 8]}, {}), tmp_path / "models" / "bad.onnx")
    onnx.save(head(), tmp_path / "models" / "good one.onnx")
    done = carried_out(action, tmp_path, repository, {"models": "models/*.onnx", "sarif": "out.sarif"})
    assert done.returncode == 1, done.stderr
    assert "::error file=models/bad.onnx" in done.stdout
    assert (tmp_path / "output").read_text() == "status=1\n"
    assert "### mnncompat: 2 models, 1 with errors" in (tmp_path / "summary.md").read_text()
    assert '"version": "2.1.0"' in (tmp_path / "out.sarif").read_text()


def test_a_clean_run_with_arguments(action: Any, tmp_path: Path, repository: Path) -> None:
    onnx.save(head(), tmp_path / "good.onnx")
    inputs = {"models": "good.onnx", "arguments": "--ignore MNN801 --fail-on warning"}
    done = carried_out(action, tmp_path, repository, inputs)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "output").read_text() == "status=0\n"
    assert not (tmp_path / "out.sarif").exists()


def test_what_is_worse_than_the_lock_file_says_fails(action: Any, tmp_path: Path, repository: Path) -> None:
    onnx.save(head(), tmp_path / "good.onnx")
    inputs = {"models": "good.onnx", "lock": "mnncompat.lock", "arguments": "--fail-on warning"}
    done = carried_out(action, tmp_path, repository, inputs)
    assert done.returncode == 1, done.stderr
    assert "::error file=good.onnx,title=MNN089 not-kept::is not in mnncompat.lock" in done.stdout
    assert (tmp_path / "output").read_text() == "status=0\nstatus=1\n"


def test_the_version_that_is_named_is_this_one(repository: Path) -> None:
    version = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["version"]
    for path in (repository / "README.md", repository / "docs" / "many-models.md"):
        text = path.read_text()
        named = re.findall(r"rev: v(\S+)", text) + re.findall(r"mnncompat/mnncompat@v(\S+)", text)
        assert set(named) == {version}, path
