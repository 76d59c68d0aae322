"""Repros of known faults: minimal, and shown again with and without mnncompat."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from known_faults import FAULTS
from test_diagnose import OPTIONS, names

from mnncompat.cli import main, repro_cases
from mnncompat.diagnosing.bench import Bench
from mnncompat.diagnosing.diagnose import diagnose
from mnncompat.diagnosing.lanes import Lanes
from mnncompat.diagnosing.minimize import halved, halvings, symptom
from mnncompat.diagnosing.replay import replay
from mnncompat.diagnosing.repro import read_repro
from mnncompat.errors import UsageError
from mnncompat.graph.model_file import from_proto
from mnncompat.mnn import Limits
from mnncompat.results.diagnosis import DiagnosisVerdict

KNOWN = tuple(FAULTS)


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    """MNN's processes, started once."""
    with Lanes(side_by_side=False) as started:
        yield started


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, lanes: Lanes) -> Callable[[str, Path], Path]:
    """Writes the repro of a fault into a folder; each is made once."""

    @cache
    def made(name: str) -> Path:
        folder = tmp_path_factory.mktemp("made") / "repro"
        found = diagnose(from_proto(FAULTS[name]()), None, replace(OPTIONS, repro=folder), lanes=lanes)
        assert names(found) == ["fault"]
        assert found.repro == folder
        return folder

    return lambda name, folder: shutil.copytree(made(name), folder)


Written = Callable[[str, Path], Path]


@pytest.mark.parametrize("name", KNOWN)
def test_a_repro_is_minimal_and_shows_the_fault_again(
    name: str, tmp_path: Path, lanes: Lanes, written: Written
) -> None:
    folder = written(name, tmp_path / "repro")
    found = read_repro(folder)
    assert len(found.part.model.graph.node) == 1
    with Bench(tmp_path, limits=Limits(seconds=30), lanes=lanes) as bench:
        assert symptom(bench.attempt(found.part)) == found.symptom
        for places in halvings(found.part):
            smaller = halved(found.part, places)
            assert smaller is None or symptom(bench.attempt(smaller)) != found.symptom, places
    assert replay(folder, limits=Limits(seconds=30), lanes=lanes).verdict is DiagnosisVerdict.CULPRIT


def test_the_script_needs_four_packages(tmp_path: Path, written: Written) -> None:
    folder = written("negative indices", tmp_path / "repro")
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "repro.py")], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "SHOWN" in done.stdout
    tree = ast.parse((folder / "repro.py").read_text())
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert imported - set(sys.stdlib_module_names) <= {"MNN", "numpy", "onnx", "onnxruntime"}
    issue = (folder / "issue.md").read_text()
    told = json.loads((folder / "repro.json").read_text())
    assert "GatherElements" in issue
    assert all(f"{name}: {version}" in issue for name, version in told["versions"].items())
    assert np.load(folder / "actual.npz")["output_0"].shape == np.load(folder / "expected.npz")["output_0"].shape


def test_a_repro_that_is_right_now_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: Written
) -> None:
    folder = written("Softmax without axis", tmp_path / "repro")
    model = onnx.load(folder / "model.onnx")
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("axis", -1))
    onnx.save(model, folder / "model.onnx")
    arrays = dict(np.load(folder / "expected.npz"))
    np.savez(folder / "expected.npz", **{name: np.ones_like(array) for name, array in arrays.items()})
    assert main(["diagnose", "--replay", str(folder)]) == 0
    assert "is right" in capsys.readouterr().out


def test_what_is_no_repro_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], tutorial: Path) -> None:
    assert main(["diagnose", "--replay", str(tmp_path)]) == 2
    assert "is no repro" in capsys.readouterr().err
    (tmp_path / "mine.txt").write_text("keep me")
    assert main(["diagnose", str(tutorial), "--repro", str(tmp_path)]) == 2
    assert "holds mine.txt" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("name", "told"), [("none.onnx", "no such file"), ("/dev/null", "is not a regular file")])
def test_a_model_that_is_not_there_is_an_error(
    name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", str(tmp_path / name)]) == 2
    assert told in capsys.readouterr().err


def test_a_repro_becomes_a_micro_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written) -> None:
    root = tmp_path / "checkout"
    (root / "rules" / "cases").mkdir(parents=True)
    monkeypatch.setattr(repro_cases, "checkout", lambda: root)
    folder = written("Softmax without axis", tmp_path / "repro")
    file, case = repro_cases.write_case(folder, "MNN220", "from a network")
    assert case == "row:Softmax/MNN220/from a network"
    (entry,) = tomllib.loads(file.read_text())["case"]
    parsed = onnx.parser.parse_model(entry["model"])
    assert [node.op_type for node in parsed.graph.node] == ["Softmax"]
    assert set(entry["feeds"]) == {value.name for value in parsed.graph.input}
    with pytest.raises(UsageError, match="has a case called"):
        repro_cases.write_case(folder, "MNN220", "from a network")
