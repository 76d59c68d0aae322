"""The built wheel, in a fresh environment, does the main job."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(repository)], folder)
    (built,) = folder.glob("*.whl")
    return built


def run(command: list[str], folder: Path, expected: int = 0) -> str:
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == expected, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_holds_the_rules_and_the_types(wheel: Path, repository: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    rules = {
        str(path.relative_to(repository / "rules")) for path in (repository / "rules").rglob("*") if path.is_file()
    }
    assert {f"mnncompat/_rules/{name}" for name in rules} <= names
    assert {"mnncompat/py.typed", "mnncompat/report/output.schema.json"} <= names
    assert not [name for name in names if name.startswith(("tests/", "examples/", "rules/"))]


def test_the_main_job_in_a_fresh_environment(wheel: Path, tutorial: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True)
    python, mnncompat = str(environment / "bin" / "python"), str(environment / "bin" / "mnncompat")
    run([python, "-m", "pip", "install", "--quiet", str(wheel)], tmp_path)
    model = tmp_path / "model.onnx"
    model.write_bytes(tutorial.read_bytes())
    assert "MatMul is not in MNN 0.2.0.4" in run([mnncompat, "check", "model.onnx", "--mnn", "0.2.0.4"], tmp_path, 1)
    run([mnncompat, "fix", "model.onnx", "-o", "fixed.onnx"], tmp_path)
    run([mnncompat, "check", "fixed.onnx", "--mnn", "0.2.0.4"], tmp_path)
    assert "converted: model.mnn" in run([mnncompat, "convert", "model.onnx", "-o", "model.mnn"], tmp_path)
    run([mnncompat, "verify", "model.onnx", "model.mnn"], tmp_path)
    run([mnncompat, "rule", "MNN801"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["env", "fixed.onnx", "model.mnn", "model.onnx"]
    absent = "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is not None)"
    run([python, "-c", absent], tmp_path)
