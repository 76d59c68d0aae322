"""pre-commit itself, on a git repository with a good and a bad model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import onnx
import pytest
from models import detector, head, model_of
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


def name_these(hooks: Path, file: Path) -> None:
    """Let a configuration name the hooks as they are now, in place of those that were published."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=hooks, check=True, capture_output=True, text=True).stdout
    text = file.read_text()
    for published, here in (
        ("https://github.com/mnncompat/mnncompat", str(hooks)),
        (f"v{version('mnncompat')}", commit.strip()),
    ):
        assert text.count(published) == 1
        text = text.replace(published, here)
    file.write_text(text)


def kinds() -> dict[str, onnx.ModelProto]:
    """Models of three kinds; one has an operator that nothing replaces, and one in each folder is good."""
    found = {f"detectors/d{number}": detector() for number in range(3)}
    found |= {f"classifiers/c{number}": head() for number in range(3)}
    return found | {f"text/t{number}": good() for number in range(2)} | {"text/t2": random()}


def test_from_nothing_to_green_in_the_ten_commands_of_the_guide(
    hooks: Path, environment: dict[str, str], tmp_path: Path, repository: Path
) -> None:
    guide = (repository / "docs" / "many-models.md").read_text()
    block = guide.partition("```sh\n")[2].partition("```")[0]
    commands = [line.partition("  #")[0].rstrip() for line in block.splitlines()]
    assert len(commands) == 10
    assert commands.pop(0) == "pip install mnncompat pre-commit"  # this environment has both
    for name, model in kinds().items():
        path = tmp_path / "models" / f"{name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString())
    (tmp_path / "models" / "text" / "cut.onnx").write_bytes(good().SerializeToString()[:40])
    git(tmp_path, "init", "--quiet")
    settings = {"user.name": "tester", "user.email": "tester@example.org"}
    given = environment | {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    given["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{given['PATH']}"
    statuses = []
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=given, check=False, capture_output=True, text=True
        )
        statuses.append(done.returncode)
        last = done.stdout + done.stderr
        assert done.returncode < 2, f"$ {command}\n{last}"
        if command.startswith("mnncompat init"):
            name_these(hooks, tmp_path / ".pre-commit-config.yaml")
    by_command = dict(zip(commands, statuses, strict=True))
    assert [command for command, status in by_command.items() if status] == [
        "mnncompat check --statistics",
        "mnncompat fix --in-place models/",
    ], last
    assert "9 models under MNN" in last
    assert ": 9 as before" in last
