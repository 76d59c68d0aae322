"""Fake children: whatever a child does, the parent gets a typed result and nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import mnncompat
from mnncompat.errors import RunnerError
from mnncompat.mnn import Limits
from mnncompat.mnn.process import Ending, run_child, working_directory
from mnncompat.mnn.request import Answer, perform
from mnncompat.results.failures import Failure, FailureKind, Stage

ROOT = Path(mnncompat.__path__[0]).parent
Fake = Callable[[str], list[str]]


def _failed(tmp_path: Path, command: list[str], limits: Limits) -> Failure:
    result = perform("run", {}, directory=tmp_path, limits=limits, command=command)
    assert isinstance(result, Failure)
    return result


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _wait_until(condition: Callable[[], bool], seconds: float = 50) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL"])
def test_death_by_signal_is_a_crash_that_names_it(tmp_path: Path, fake: Fake, limits: Limits, name: str) -> None:
    source = f"""
import os, signal
open("stage", "w").write("load")
print("what it said", flush=True)
os.kill(os.getpid(), signal.{name})
"""
    failure = _failed(tmp_path, fake(source), limits)
    assert failure == Failure(
        kind=FailureKind.CRASH,
        stage=Stage.LOAD,
        message=f"{name} while loading the converted model",
        words="what it said",
    )


def test_a_crash_after_the_result_was_written_is_still_a_crash(tmp_path: Path, fake: Fake, limits: Limits) -> None:
    source = """
import os, signal
open("result.json", "w").write("{}")
open("stage", "w").write("exit")
os.kill(os.getpid(), signal.SIGSEGV)
"""
    failure = _failed(tmp_path, fake(source), limits)
    assert (failure.kind, failure.stage) == (FailureKind.CRASH, Stage.EXIT)
    assert failure.message == "SIGSEGV at exit, after the result was written"


def test_a_crash_at_exit_does_not_hide_the_failure_before_it(tmp_path: Path, fake: Fake, limits: Limits) -> None:
    source = """
import json, os, signal
told = {"failure": "error", "stage": "run", "message": "an empty list"}
open("result.json", "w").write(json.dumps(told))
open("stage", "w").write("exit")
os.kill(os.getpid(), signal.SIGSEGV)
"""
    failure = _failed(tmp_path, fake(source), limits)
    assert (failure.kind, failure.stage, failure.message) == (FailureKind.ERROR, Stage.RUN, "an empty list")


def test_a_hang_is_killed_at_the_limit(tmp_path: Path, fake: Fake, short: Limits) -> None:
    start = time.monotonic()
    source = "import time\nopen('stage', 'w').write('run')\nend = time.time() + 60\nwhile time.time() < end: pass"
    failure = _failed(tmp_path, fake(source), short)
    assert time.monotonic() - start < 50, "it ran until its own end"
    assert (failure.kind, failure.stage) == (FailureKind.HANG, Stage.RUN)
    assert failure.message == "no end after 1 s while running the converted model"


def test_a_hang_that_closed_its_output_and_ignores_signals_is_killed(tmp_path: Path, fake: Fake, short: Limits) -> None:
    source = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.close(1); os.close(2)
time.sleep(60)
"""
    assert _failed(tmp_path, fake(source), short).kind is FailureKind.HANG


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_grandchildren_are_killed_too(tmp_path: Path, fake: Fake, limits: Limits) -> None:
    source = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
"""
    start = time.monotonic()
    result = run_child(fake(source), directory=tmp_path, environment={}, limits=limits)
    assert time.monotonic() - start < 50, "the grandchild held the pipe open"
    assert (result.ending, result.status) == (Ending.OWN, 0)
    assert _wait_until(lambda: not _alive(int(result.output)))


def test_a_flood_is_stopped_and_only_its_ends_are_kept(tmp_path: Path, fake: Fake, short: Limits) -> None:
    source = "import sys\nsys.stdout.write('first\\n')\nwhile True: sys.stdout.write('x' * 65536)"
    result = run_child(fake(source), directory=tmp_path, environment={}, limits=short)
    assert result.ending is Ending.FLOOD
    assert result.output.startswith("first\n")
    assert "bytes left out" in result.output
    assert len(result.output) < 200 * 1024
    assert _failed(tmp_path, fake(source), short).kind is FailureKind.FLOOD


def test_no_result_is_a_crash_even_with_status_zero(tmp_path: Path, fake: Fake, limits: Limits) -> None:
    failure = _failed(tmp_path, fake("open('stage', 'w').write('convert')"), limits)
    assert failure.kind is FailureKind.CRASH
    assert failure.message == "the process ended without a result while converting"


@pytest.mark.parametrize("text", ["", "{", "[]", "\\xff\\xfe"])
def test_a_damaged_result_is_no_result(tmp_path: Path, fake: Fake, limits: Limits, text: str) -> None:
    assert _failed(tmp_path, fake(f"open('result.json', 'w').write('{text}')"), limits).kind is FailureKind.CRASH


def test_a_status_of_its_own_is_named(tmp_path: Path, fake: Fake, limits: Limits) -> None:
    failure = _failed(tmp_path, fake("raise SystemExit(7)"), limits)
    assert (failure.kind, failure.stage) == (FailureKind.CRASH, Stage.START)
    assert "status 7" in failure.message


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not enforce the limit")
def test_a_memory_hog_runs_into_its_limit(tmp_path: Path) -> None:
    limits = Limits(seconds=60, memory_bytes=256 * 1024 * 1024)
    source = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from mnncompat.mnn.confinement import confine
confine({{"seconds": 10, "memory_bytes": {limits.memory_bytes}, "file_bytes": 1 << 30}}, parent=os.getppid())
held = []
while True: held.append(bytearray(1 << 20))
"""
    failure = _failed(tmp_path, [sys.executable, "-I", "-c", source], limits)
    assert failure.kind is FailureKind.MEMORY
    assert str(limits.memory_bytes) in failure.message


def test_a_good_answer_carries_values_and_words(tmp_path: Path, fake: Fake, limits: Limits) -> None:
    source = """
print("The device supports: i8sdot:0, fp16:0")
print("[12:34:56] :46: something new")
open("result.json", "w").write('{"bytes": 3}')
"""
    answer = perform("convert", {"model": "m"}, directory=tmp_path, limits=limits, command=fake(source))
    assert isinstance(answer, Answer)
    assert answer.values == {"bytes": 3}
    assert answer.words == "something new"


def test_the_child_sees_no_proxies_and_its_own_home(
    tmp_path: Path, fake: Fake, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("MNN_SECRET", "x")
    source = """
import json, os, sys
open("result.json", "w").write(json.dumps({"environment": dict(os.environ), "stdin": sys.stdin.read()}))
"""
    answer = perform("run", {}, directory=tmp_path, limits=limits, command=fake(source))
    assert isinstance(answer, Answer)
    environment = answer.values["environment"]
    assert not {"HTTPS_PROXY", "MNN_SECRET"} & set(environment)
    assert environment["HOME"] == str(tmp_path)
    assert environment["OMP_NUM_THREADS"] == "1"
    assert answer.values["stdin"] == ""


def test_a_program_that_cannot_be_started_is_a_runner_error(tmp_path: Path, limits: Limits) -> None:
    with pytest.raises(RunnerError, match="cannot be started"):
        perform("run", {}, directory=tmp_path, limits=limits, command=[str(tmp_path / "nothing")])


def test_the_working_directory_goes_away_with_what_is_in_it() -> None:
    with working_directory() as directory:
        (directory / "deep").mkdir()
        (directory / "deep" / "file").write_text("x", encoding="utf-8")
    assert not directory.exists()


PARENT = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from mnncompat.mnn import Limits
from mnncompat.mnn.process import working_directory
from mnncompat.mnn.request import perform
child = "import os, time; open({note!r}, 'w').write(str(os.getpid()) + ' ' + os.getcwd()); time.sleep(60)"
with working_directory() as directory:
    perform("run", {{}}, directory=directory, limits=Limits(), command=[sys.executable, "-I", "-S", "-c", child])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_parent_leaves_no_orphan_and_no_directory(tmp_path: Path, number: signal.Signals) -> None:
    note = tmp_path / "note"
    script = textwrap.dedent(PARENT).format(root=str(ROOT), note=str(note))
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as parent:
        assert _wait_until(lambda: note.exists() and " " in note.read_text(encoding="utf-8"))
        pid, directory = note.read_text(encoding="utf-8").split(" ", 1)
        assert _alive(int(pid))
        parent.send_signal(number)
        status = parent.wait(timeout=50)
    assert status == -number
    assert _wait_until(lambda: not _alive(int(pid)))
    assert not Path(directory).exists()


KILLED = """
import os, sys
sys.path.insert(0, {root!r})
from mnncompat.mnn.confinement import confine
confine({{"seconds": 60, "memory_bytes": 1 << 30, "file_bytes": 1 << 30}}, parent=os.getppid())
open({note!r}, "w").write(str(os.getpid()) + " .")
import time
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tell a child that its parent is gone")
def test_a_confined_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    child = KILLED.format(root=str(ROOT), note=str(note))
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', {child!r}], start_new_session=True)"
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        assert _wait_until(lambda: note.exists() and " " in note.read_text(encoding="utf-8"))
        pid = int(note.read_text(encoding="utf-8").split()[0])
        assert _alive(pid)
        parent.kill()
    assert _wait_until(lambda: not _alive(pid))


def test_handlers_of_the_application_are_left_alone() -> None:
    def handler(_number: int, _frame: object) -> None:
        raise AssertionError

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with working_directory():
            assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
    with working_directory():
        assert signal.getsignal(signal.SIGTERM) not in (handler, signal.SIG_DFL)
    assert signal.getsignal(signal.SIGTERM) is before


STARTING = """
import os, signal, subprocess, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from mnncompat.mnn import Limits
from mnncompat.mnn.process import working_directory
from mnncompat.mnn.request import perform

real = subprocess.Popen
class Popen(real):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        Path({note!r}).write_text(f"{{self.pid}} {{options['cwd']}}")
        os.kill(os.getpid(), {number})
subprocess.Popen = Popen
with working_directory() as directory:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    perform("run", {{}}, directory=directory, limits=Limits(), command=command)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_child_is_started_leaves_no_orphan(tmp_path: Path, number: signal.Signals) -> None:
    """A slow machine can be in the middle of it: the child runs, and the parent does not know it yet."""
    note = tmp_path / "note"
    script = textwrap.dedent(STARTING).format(root=str(ROOT), note=str(note), number=int(number))
    done = subprocess.run([sys.executable, "-c", script], stderr=subprocess.DEVNULL, timeout=50, check=False)
    assert done.returncode == -number
    pid, directory = note.read_text(encoding="utf-8").split(" ", 1)
    assert _wait_until(lambda: not _alive(int(pid)))
    assert not Path(directory).exists()
