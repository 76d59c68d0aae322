"""The worker on a device: sent as text, fed through pipes, a fork for each request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnncompat import mnn
from mnncompat.devices.far_worker import _PROGRAM, FarWorker, Performing, program
from mnncompat.devices.sent_modules import sources
from mnncompat.errors import RunnerError
from mnncompat.mnn import Limits
from mnncompat.mnn.request import python_command
from mnncompat.results.failures import Failure, FailureKind, Stage

LIMITS = Limits(seconds=60.0)


def test_outputs_are_those_of_this_machine(near: FarWorker, sum_file: Path, sum_feeds: dict[str, np.ndarray]) -> None:
    feeds = [sum_feeds, {name: np.tile(array, (1, 3)) for name, array in sum_feeds.items()}]
    here = mnn.run(sum_file, feeds, output_names=["y"], inner=["y"], session=[0], limits=LIMITS)
    there = mnn.run(
        sum_file, feeds, output_names=["y"], inner=["y"], session=[0], limits=LIMITS, performer=near.perform
    )
    assert not isinstance(here, Failure)
    assert not isinstance(there, Failure)
    for one, two in zip(here.outputs, there.outputs, strict=True):
        np.testing.assert_array_equal(one["y"], two["y"])
    np.testing.assert_array_equal(there.inner["y"], [[2049.0, -2.0]])
    assert there.session is not None
    np.testing.assert_array_equal(there.session.outputs[0]["y"], [[2049.0, -2.0]])


def test_a_trace_is_told_how_tensors_are_held(
    near: FarWorker, sum_file: Path, sum_feeds: dict[str, np.ndarray]
) -> None:
    found = mnn.trace(sum_file, sum_feeds, wanted=["y"], held={}, limits=LIMITS, performer=near.perform)
    assert not isinstance(found, Failure)
    np.testing.assert_array_equal(found.values["y"], [[2049.0, -2.0]])
    assert found.held["y"].dtype == "float32"


def test_precision_and_threads_reach_the_worker(
    near: FarWorker, sum_file: Path, sum_feeds: dict[str, np.ndarray]
) -> None:
    low = Performing(near.perform, "low", 2)
    found = mnn.run(sum_file, [sum_feeds], output_names=["y"], limits=LIMITS, performer=low)
    assert not isinstance(found, Failure)
    np.testing.assert_array_equal(found.outputs[0]["y"], [[2049.0, -2.0]])  # x86 has no other precision
    odd = Performing(near.perform, "odd", 1)
    failed = mnn.run(sum_file, [sum_feeds], output_names=["y"], limits=LIMITS, performer=odd)
    assert isinstance(failed, Failure)
    assert "odd" in failed.message


def test_a_model_is_sent_once_and_another_one_after_it(
    near: FarWorker, sum_file: Path, sum_feeds: dict[str, np.ndarray], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mnn"
    broken.write_bytes(b"no model")
    for file, fails in ((sum_file, False), (sum_file, False), (broken, True), (sum_file, False)):
        found = mnn.run(file, [sum_feeds], output_names=["y"], limits=LIMITS, performer=near.perform)
        assert isinstance(found, Failure) is fails


def test_a_failure_names_its_stage_as_here(near: FarWorker, sum_file: Path, sum_feeds: dict[str, np.ndarray]) -> None:
    feeds = sum_feeds | {"x": np.array([[2.5, np.nan]], np.float64).astype(">f8")}
    here = mnn.run(sum_file, [feeds], output_names=["y"], limits=LIMITS)
    there = mnn.run(sum_file, [feeds], output_names=["y"], limits=LIMITS, performer=near.perform)
    assert type(here) is type(there)
    gone = mnn.run(sum_file, [sum_feeds], output_names=["z"], limits=LIMITS, performer=near.perform)
    assert isinstance(gone, Failure)
    assert gone.stage in (Stage.LOAD, Stage.RUN)


def test_a_child_that_does_not_end_is_killed_and_the_server_serves_on(
    near: FarWorker, sum_file: Path, sum_feeds: dict[str, np.ndarray]
) -> None:
    found = mnn.run(sum_file, [sum_feeds], output_names=["y"], limits=Limits(seconds=0.0001), performer=near.perform)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.HANG
    again = mnn.run(sum_file, [sum_feeds], output_names=["y"], limits=LIMITS, performer=near.perform)
    assert not isinstance(again, Failure)


def test_files_are_converted_here(near: FarWorker, tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="does not convert"):
        near.perform("convert", {}, directory=tmp_path, limits=LIMITS)


def test_every_module_that_is_sent_imports_only_what_is_sent() -> None:
    """In a Python that sees neither site-packages nor this checkout."""
    names = list(sources(_PROGRAM))
    assert {"mnncompat.mnn.worker", "mnncompat.mnn.far_server", "mnncompat.results.failures"} <= set(names)
    assert len(names) < 25  # what is sent is read by an emulator
    start = program().decode().rpartition("\nstart(")
    told = f"{start[0]}\nsources = json.loads({start[2].partition('json.loads(')[2].rpartition('), ')[0]})\n"
    told += "sys.meta_path.insert(0, _Sources(sources))\n"
    told += f"for name in {names!r}:\n    importlib.import_module(name)\n"
    told += "print(sorted(name for name in sys.modules if name.startswith('mnncompat.')))\n"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", told], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(names) <= set(json.loads(done.stdout.replace("'", '"')))


def test_what_the_command_says_is_shown(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('Permission denied (publickey).')"]
    with FarWorker(failing, name="board") as worker, pytest.raises(RunnerError, match=r"board .*Permission denied"):
        _ = worker.environment
    absent = [str(tmp_path / "nothing")]
    with pytest.raises(RunnerError, match="cannot be started"):
        FarWorker(absent, name="board")


def test_an_environment_without_mnn_is_told() -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        "import sys;n=int(sys.stdin.buffer.readline());exec(sys.stdin.buffer.read(n))",
    ]
    with (
        FarWorker(command, name="board") as worker,
        pytest.raises(RunnerError, match="cannot run MNN: No module named"),
    ):
        _ = worker.environment


def test_nothing_is_left_behind(bare_python: tuple[list[str], dict[str, str]], sum_file: Path, tmp_path: Path) -> None:
    command, environment = bare_python
    with FarWorker(command, name="near", environment=environment) as worker:
        home = worker._process.home
        directory = tmp_path / "request"
        directory.mkdir()
        worker.perform("inspect", {"model": str(sum_file)}, directory=directory, limits=LIMITS)
        pid = worker._process.pid
        assert any(home.iterdir())
    assert not home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA bounds maps on Linux only")
def test_an_emulator_is_bounded_before_it_starts() -> None:
    """An emulated process that bounds its own memory is not heeded."""
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA))"
    readable = [sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/etc"]
    given = {
        "parent": os.getpid(),
        "memory": 3 << 30,
        "readable": [each for each in readable if Path(each).exists()],
        "writable": [],
        "command": [sys.executable, "-I", "-S", "-c", program],
    }
    command = [*python_command("confined_start"), json.dumps(given)]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert said.strip() == str((3 << 30, 3 << 30))
