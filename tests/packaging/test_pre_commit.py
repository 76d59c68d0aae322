"""pre-commit itself, on a git repository with a good and a bad model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from models import head, model_of
from onnx import helper

PRE_COMMIT = [sys.executable, "-m", "pre_commit"]
IDENTITY = ["-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *IDENTITY, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The repository as it is now, committed: what a user's configuration would name."""
    folder = tmp_path_factory.mktemp("hooks") / "mnncompat"
    folder.mkdir()
    for name in ("mnncompat", "rules"):
        shutil.copytree(repository / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(repository / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "as it is")
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One pre-commit home for all tests: the hooks share one installation."""
    return {**os.environ, "PRE_COMMIT_HOME": str(tmp_path_factory.mktemp("home")), "PRE_COMMIT_COLOR": "never"}


def project(folder: Path, hooks: Path, hook: str, models: dict[str, onnx.ModelProto]) -> None:
    head_of = subprocess.run(["git", "rev-parse", "HEAD"], cwd=hooks, check=True, capture_output=True, text=True)
    configuration = f"repos:\n- repo: {hooks}\n  rev: {head_of.stdout.strip()}\n  hooks:\n  - id: {hook}\n"
    (folder / ".pre-commit-config.yaml").write_text(configuration)
    for name, model in models.items():
        (folder / name).write_bytes(model.SerializeToString())
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")


def pre_commit(folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    command = [*PRE_COMMIT, "run", "--all-files", "--verbose"]
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=600
    )
    return done.returncode, done.stdout + done.stderr


def good() -> onnx.ModelProto:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Sigmoid", ["a"], ["y"])]
    return model_of(nodes, {"x": [1, 3, 8, 8]}, {"y": [1, 3, 8, 8]}, {})


def random() -> onnx.ModelProto:
    """What no rewrite can express."""
    node = helper.make_node("Bernoulli", ["x"], ["y"], dtype=1)
    return model_of([node], {"x": [1, 4]}, {"y": [1, 4]}, {}, opset=15)


def refused() -> onnx.ModelProto:
    return model_of([helper.make_node("Hardmax", ["x"], ["y"])], {"x": [1, 8]}, {"y": [1, 8]}, {})


def test_check(hooks: Path, environment: dict[str, str], tmp_path: Path) -> None:
    project(tmp_path, hooks, "mnncompat-check", {"good.onnx": good()})
    status, output = pre_commit(tmp_path, environment)
    assert status == 0, output
    (tmp_path / "bad.onnx").write_bytes(refused().SerializeToString())
    git(tmp_path, "add", "--all")
    status, output = pre_commit(tmp_path, environment)
    assert status == 1, output
    assert "Hardmax is not in MNN" in output


def test_fix_changes_the_model_and_fails_once(hooks: Path, environment: dict[str, str], tmp_path: Path) -> None:
    project(tmp_path, hooks, "mnncompat-fix", {"good.onnx": good(), "bad.onnx": head()})
    before = (tmp_path / "good.onnx").read_bytes()
    status, output = pre_commit(tmp_path, environment)
    assert status == 1, output
    assert "files were modified by this hook" in output
    assert (tmp_path / "good.onnx").read_bytes() == before
    assert "MatMul" not in [node.op_type for node in onnx.load(tmp_path / "bad.onnx").graph.node]
    git(tmp_path, "add", "--all")
    status, output = pre_commit(tmp_path, environment)
    assert status == 0, output


def test_convert_gates_and_writes_nothing(hooks: Path, environment: dict[str, str], tmp_path: Path) -> None:
    project(tmp_path, hooks, "mnncompat-convert", {"good.onnx": head()})
    status, output = pre_commit(tmp_path, environment)
    assert status == 0, output
    (tmp_path / "bad.onnx").write_bytes(random().SerializeToString())
    git(tmp_path, "add", "--all")
    status, output = pre_commit(tmp_path, environment)
    assert status == 1, output
    assert "Bernoulli" in output
    assert not list(tmp_path.glob("*.mnn"))
