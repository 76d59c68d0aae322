"""Several models at a time: the same report as one by one, limits for each, nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mnncompat.errors import ModelError
from mnncompat.fleet.processes import in_parallel

MODELS = [Path(name) for name in "abcdefgh"]


def together(work: object, models: Sequence[Path] = MODELS, jobs: int = 3) -> list[tuple[object, Exception | None]]:
    return list(in_parallel(models, work, jobs))  # type: ignore[arg-type]


def workers() -> set[int]:
    """Children of this process that are alive, or dead and not waited for."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {int(each) for each in found}


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = workers()
    yield
    assert workers() <= before


def test_results_come_in_the_order_of_the_models() -> None:
    def work(path: Path) -> str:
        time.sleep(0.05 if path.name in "ad" else 0)
        return path.name.upper()

    assert together(work) == [(name, None) for name in "ABCDEFGH"]


def test_they_run_in_processes_at_the_same_time(tmp_path: Path) -> None:
    def work(path: Path) -> int:
        (tmp_path / path.name).touch()
        until = time.monotonic() + 10
        while len(list(tmp_path.iterdir())) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        return len(list(tmp_path.iterdir()))

    assert all(isinstance(found, int) and found >= 3 for found, _ in together(work, MODELS[:3]))


def test_an_error_is_that_of_its_model() -> None:
    def work(path: Path) -> str:
        if path.name == "c":
            raise ModelError("c: broken", hint="mend it")
        return path.name

    found = together(work)
    error = found[2][1]
    assert isinstance(error, ModelError)
    assert (error.message, error.hint) == ("c: broken", "mend it")
    assert [name for name, _ in found] == ["a", "b", None, "d", "e", "f", "g", "h"]


def test_an_error_that_cannot_be_sent_is_told_in_words() -> None:
    class Local(Exception):  # noqa: N818 - cannot be pickled
        pass

    def work(path: Path) -> str:
        raise Local(path.name)

    assert [str(error) for _, error in together(work, MODELS[:2])] == ["Local: a", "Local: b"]


def test_a_worker_that_dies_takes_one_model_with_it() -> None:
    def work(path: Path) -> str:
        if path.name in "bg":
            os.kill(os.getpid(), signal.SIGKILL)
        return path.name

    found = together(work)
    assert [name for name, _ in found] == ["a", None, "c", "d", "e", "f", None, "h"]
    assert all(isinstance(found[place][1], ModelError) for place in (1, 6))


def test_large_results_and_many_models() -> None:
    def work(path: Path) -> bytes:
        return path.name.encode() * 300_000

    models = [Path(f"{number:05}") for number in range(40)]
    assert [found for found, _ in together(work, models, 2)] == [each.name.encode() * 300_000 for each in models]


def test_more_models_than_a_pipe_holds() -> None:
    models = [Path(str(number)) for number in range(10_000)]
    assert [found for found, _ in together(str, models, 2)] == [str(each) for each in models]


def test_who_stops_asking_leaves_no_workers() -> None:
    def work(path: Path) -> str:
        if path.name != "a":
            time.sleep(60)
        return path.name

    running = in_parallel(MODELS, work, 3)
    assert next(running) == ("a", None)
    running.close()  # type: ignore[attr-defined]


def test_limits_hold_for_each_model(tmp_path: Path) -> None:
    from mnncompat.files import allowance

    models = [tmp_path / name for name in "abc"]
    for each in models:
        each.write_bytes(b"x")
    allowance.allow(seconds=0.3, memory=None, runs=False)

    def work(path: Path) -> str:
        allowance.begin(path)
        time.sleep(30 if path.name == "b" else 0)
        return path.name

    try:
        found = together(work, models, 2)
    finally:
        allowance.allow(seconds=None, memory=None, runs=False)
    assert [name for name, _ in found] == ["a", None, "c"]
    assert str(found[1][1]) == f"{models[1]}: the work took more than 0.3 s"


@pytest.mark.parametrize("output_format", ["text", "json"])
def test_the_report_is_the_same(tutorial: Path, tmp_path: Path, output_format: str) -> None:
    import subprocess
    import sys

    for name in ("a", "b", "c"):
        shutil.copy(tutorial, tmp_path / f"{name}.onnx")
    (tmp_path / "d.onnx").write_text("no model")
    words = ["check", "a.onnx", "d.onnx", "b.onnx", "nothing.onnx", "c.onnx", "--output-format", output_format]
    command = [sys.executable, "-m", "mnncompat", *words]
    alone, many = (
        subprocess.run([*command, *more], check=False, capture_output=True, text=True, cwd=tmp_path)
        for more in ([], ["--jobs", "3"])
    )
    assert (alone.returncode, alone.stdout, alone.stderr) == (many.returncode, many.stdout, many.stderr)
    assert alone.returncode == 2
