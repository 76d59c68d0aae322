"""The workers of a cluster give what this machine gives: the same report, status and files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "mnncompat"]


def run(words: Sequence[object], place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *map(str, words)], cwd=place, check=False, capture_output=True, text=True, timeout=120)


def results(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in (folder / "results").rglob("*.json")}


@pytest.fixture
def models(tutorial: Path, tmp_path: Path) -> Path:
    """A folder with good models, a bad one, one in a folder, and another folder with a copy."""
    for name in ("a", "b", "c"):
        shutil.copy(tutorial, tmp_path / f"{name}.onnx")
    (tmp_path / "inner").mkdir()
    shutil.copy(tutorial, tmp_path / "inner" / "e.onnx")
    (tmp_path / "d.onnx").write_text("no model")
    return tmp_path


@pytest.mark.parametrize("output_format", ["text", "json"])
def test_check_reports_the_same(cluster: str, models: Path, output_format: str) -> None:
    words = ["check", "a.onnx", "d.onnx", models / "b.onnx", "nothing.onnx", "inner", "c.onnx"]
    words += ["--output-format", output_format, "-q"]
    here = run([*words, "--results", "here"], models)
    there = run([*words, "--scheduler", cluster, "--results", "there"], models)
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
    assert here.returncode == 2
    assert results(models / "here") == results(models / "there")
    assert len(results(models / "here")) == 5  # what is not there is no model


def test_fix_and_convert_write_the_same_files(cluster: str, models: Path) -> None:
    for name in ("here", "there"):
        (models / name).mkdir()
    words = ["fix", "a.onnx", "inner/e.onnx", "-q", "--mnn", "0.2.0.4"]
    here = run([*words, "-o", "here"], models)
    there = run([*words, "-o", models / "there", "--scheduler", cluster], models)
    assert here.returncode == there.returncode == 0, there.stderr
    for name in ("a.onnx", "e.onnx"):
        assert (models / "here" / name).read_bytes() == (models / "there" / name).read_bytes()

    done = run(["convert", "a.onnx", "--scheduler", cluster, "--output-format", "json"], models)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert (result["verdict"], result["out"]) == ("converted", "a.mnn")
    assert (models / "a.mnn").stat().st_size == result["bytes"]


def test_what_is_done_is_not_done_again(models: Path) -> None:
    words = ["check", "a.onnx", "b.onnx", "d.onnx", "--results", "kept"]
    first = run(words, models)
    before = results(models / "kept")
    (models / "kept" / "results").chmod(0o555)  # nothing is written any more
    second = run(words, models)
    assert (first.returncode, first.stdout) == (second.returncode, second.stdout)
    assert "3 of 3 models were done before" in second.stderr
    assert results(models / "kept") == before
    (models / "kept" / "results").chmod(0o755)
    (models / "a.onnx").write_bytes((models / "a.onnx").read_bytes() + b"\x72\x00")  # another content, another task
    third = run(words, models)
    assert "2 of 3 models were done before" in third.stderr
    assert len(results(models / "kept")) == 4


def test_another_option_is_another_task(models: Path) -> None:
    assert run(["check", "a.onnx", "--results", "kept"], models).returncode == 0
    run(["check", "a.onnx", "--results", "kept", "--mnn", "0.2.0.4"], models)
    run(["check", "a.onnx", "--results", "kept", "--output-format", "json"], models)
    assert len(results(models / "kept")) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler answers at tcp://127.0.0.1:1"),
        (["--scheduler", "nonsense://x"], "nonsense://x"),
        (["--scheduler", ""], "--scheduler is empty"),
        (["--scheduler", "tls://127.0.0.1:1"], "DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        (["--results", "."], "holds something else than results of mnncompat"),
    ],
)
def test_bad_places_are_told(words: list[str], expected: str, models: Path) -> None:
    done = run(["check", "a.onnx", *words], models)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_and_diagnose_take_folders(cluster: str, models: Path) -> None:
    (models / "mnn").mkdir()
    (models / "inner" / "f.onnx").write_bytes((models / "a.onnx").read_bytes())
    assert run(["convert", "inner", "-o", "mnn", "-q"], models).returncode == 0
    for command in ("verify", "diagnose"):
        words = [command, "inner", "mnn", "-q", "--output-format", "concise"]
        here = run([*words, "--jobs", "2"], models)
        there = run([*words, "--scheduler", cluster, "--results", "kept"], models)
        assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
        assert here.returncode == 0
    assert len(results(models / "kept")) == 4
    (models / "mnn" / "f.mnn").unlink()
    done = run(["verify", "inner", "mnn"], models)
    assert (done.returncode, "mnn/f.mnn: no such file" in done.stderr) == (2, True)


def test_ci_keeps_the_same_records(cluster: str, models: Path) -> None:
    words = ["ci", "a.onnx", "inner", "-q"]
    assert run([*words, "--update", "--jobs", "2"], models).returncode == 0
    before = (models / "mnncompat.lock").read_text()
    (models / "mnncompat.lock").unlink()
    assert run([*words, "--update", "--scheduler", cluster], models).returncode == 0
    assert (models / "mnncompat.lock").read_text() == before
    assert run(words, models).returncode == 0
