"""The fork server: a failing child costs one request only, and leaves no trace for the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mnncompat import mnn
from mnncompat.errors import RunnerError
from mnncompat.files import allowance
from mnncompat.mnn import Converted, ConvertOptions, ForkServer, Limits, landlock
from mnncompat.mnn.fork_client import filling
from mnncompat.results.failures import Failure, FailureKind, Stage
from mnncompat.support.releases import installed_version

MIB = 1024 * 1024
NEWEST_SCOPE = 6
"""The version of Landlock from which on signals are confined, too."""
FINE = 'written.write_bytes(b"model")'
Convert = Callable[..., Any]


@pytest.fixture(scope="module")
def server(fake_python: Path) -> Iterator[ForkServer]:
    with ForkServer(python=fake_python) as server:
        yield server


def converted(server: ForkServer, folder: Path, source: str, *, seconds: float = 20.0) -> Converted | Failure:
    model = folder / "model.onnx"
    model.write_text(source)
    limits = Limits(seconds=seconds, memory_bytes=512 * MIB, output_bytes=MIB, file_bytes=16 * MIB)
    options = ConvertOptions()
    return mnn.convert(model, folder / "out.mnn", options=options, limits=limits, performer=server.perform)


@pytest.fixture
def convert(server: ForkServer, tmp_path: Path) -> Iterator[Convert]:
    """Convert what a fake converter executes; afterwards, the server still serves."""
    yield lambda source, **limits: converted(server, tmp_path, source, **limits)
    assert isinstance(converted(server, tmp_path, FINE), Converted)


@pytest.fixture
def unconfined(unconfined_python: Path, tmp_path: Path) -> Iterator[Convert]:
    """The same, with a converter that may reach what is outside."""
    with ForkServer(python=unconfined_python) as server:
        yield lambda source, **limits: converted(server, tmp_path, source, **limits)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL"])
def test_a_crash_names_signal_and_stage_and_keeps_the_last_words(convert: Convert, name: str) -> None:
    source = f'import os, signal; print("last words", flush=True); os.kill(os.getpid(), signal.{name})'
    failure = convert(source)
    assert failure == Failure(
        kind=FailureKind.CRASH, stage=Stage.CONVERT, message=f"{name} while converting", words="last words"
    )


def test_a_status_of_its_own_choosing_is_a_crash(convert: Convert) -> None:
    failure = convert("import os; os._exit(3)")
    assert (failure.kind, failure.stage) == (FailureKind.CRASH, Stage.CONVERT)
    assert failure.message == "the process ended with status 3 while converting"


def test_a_crash_while_objects_are_freed_is_a_crash_at_exit(convert: Convert) -> None:
    source = f"""
import os, signal
class Mine:
    def __del__(self): os.kill(os.getpid(), signal.SIGSEGV)
mine = Mine(); mine.itself = mine
state.append(mine); state.clear(); del mine
{FINE}
"""
    failure = convert(source)
    assert (failure.kind, failure.stage) == (FailureKind.CRASH, Stage.EXIT)


def test_a_hang_that_ignores_signals_is_killed_at_the_limit(convert: Convert) -> None:
    begin = time.monotonic()
    failure = convert("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)", seconds=0.5)
    assert time.monotonic() - begin < 50
    assert (failure.kind, failure.stage) == (FailureKind.HANG, Stage.CONVERT)


def test_a_flood_is_killed(convert: Convert) -> None:
    failure = convert("while True: print('x' * 1000)")
    assert (failure.kind, failure.stage) == (FailureKind.FLOOD, Stage.CONVERT)
    assert len(failure.words) < MIB


def test_memory_is_limited(convert: Convert) -> None:
    failure = convert("held = [bytearray(1 << 20) for _ in range(4096)]")
    assert (failure.kind, failure.stage) == (FailureKind.MEMORY, Stage.CONVERT)


def test_files_are_limited(convert: Convert) -> None:
    failure = convert("written.write_bytes(bytes(64 << 20))")
    assert isinstance(failure, Failure)


def test_nothing_written_is_a_refusal_with_the_words(convert: Convert) -> None:
    failure = convert("print('These Op Not Support: ONNX::Nothing')")
    assert (failure.kind, failure.words) == (FailureKind.REFUSED, "These Op Not Support: ONNX::Nothing")


def test_children_share_nothing(convert: Convert) -> None:
    mark = f"""
import os
assert not state and "MARK" not in os.environ, "something is left of the other child"
assert [each for each in os.listdir(".") if each not in ("stage", "source", "converted.mnn")] == [], os.listdir(".")
state.append(1); os.environ["MARK"] = "1"; open("left.txt", "w").close()
{FINE}
"""
    for _ in range(2):
        result = convert(mark)
        assert isinstance(result, Converted), result


def test_the_network_is_out_of_reach(convert: Convert) -> None:
    failure = convert("import socket; socket.create_connection(('127.0.0.1', 9))")
    assert isinstance(failure, Failure)
    assert "no network access while MNN runs" in failure.message


@pytest.mark.parametrize("outside", ["/etc/passwd", "{tmp}/secret", "/proc/self/root/etc/passwd", "link"])
def test_a_child_reads_nothing_but_the_model(convert: Convert, tmp_path: Path, outside: str) -> None:
    (tmp_path / "secret").write_text("secret")
    outside = outside.format(tmp=tmp_path)
    made = "pathlib.Path('link').symlink_to('/etc/passwd')" if outside == "link" else "pass"
    found = convert(f"import pathlib; {made}; pathlib.Path({outside!r}).read_text(); {FINE}")
    if landlock.version():
        assert isinstance(found, Failure)
        assert "Permission denied" in found.message
    else:
        assert isinstance(found, Converted)


@pytest.mark.parametrize(
    "deed",
    [
        "pathlib.Path({tmp!r}, 'made').touch()",
        "pathlib.Path({tmp!r}, 'made').mkdir()",
        "pathlib.Path({tmp!r}, 'model.onnx').unlink()",
        "os.truncate(pathlib.Path({tmp!r}, 'model.onnx'), 0)",
        "os.listdir({tmp!r})",
        "os.kill(os.getppid(), 9)",
    ],
)
def test_a_child_changes_nothing_outside(convert: Convert, tmp_path: Path, deed: str) -> None:
    if landlock.version() < NEWEST_SCOPE:
        deed = "raise PermissionError"  # the kernel has less to refuse: see SECURITY.md
    found = convert(f"import os, pathlib; {deed.format(tmp=str(tmp_path))}; {FINE}")
    assert isinstance(found, Failure)
    assert "PermissionError" in found.message
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_lost_server_is_started_again(unconfined: Convert, tmp_path: Path) -> None:
    once = tmp_path / "once"
    source = f"""
import os, pathlib, signal, time
if not pathlib.Path({str(once)!r}).exists():
    pathlib.Path({str(once)!r}).touch()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
{FINE}
"""
    assert isinstance(unconfined(source), Converted)


def test_a_server_that_is_lost_twice_is_given_up(unconfined: Convert) -> None:
    with pytest.raises(RunnerError, match="twice in a row"):
        unconfined("import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)")


def test_abandoning_ends_a_request_that_another_thread_waits_for(fake_python: Path, tmp_path: Path) -> None:
    with ForkServer(python=fake_python) as server:
        assert isinstance(converted(server, tmp_path, FINE), Converted)
        threading.Timer(0.3, server.abandon).start()
        begin = time.monotonic()
        with pytest.raises(RunnerError):
            converted(server, tmp_path, "import time; time.sleep(60)")
        assert time.monotonic() - begin < 50


@pytest.mark.skipif(sys.platform != "linux", reason="children die with their parent on Linux only")
def test_closing_ends_the_servers_and_their_children(unconfined_python: Path, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    source = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    with ForkServer(python=unconfined_python) as server:

        def abandon() -> None:
            _await(lambda: told.exists() and told.read_text() != "")
            server.abandon()

        threading.Thread(target=abandon, daemon=True).start()
        with pytest.raises(RunnerError):
            converted(server, tmp_path, source)
    _await(lambda: not _alive(int(told.read_text())))
    assert not _alive(int(told.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="children die with their parent on Linux only")
def test_servers_and_their_children_end_with_a_client_that_is_killed(unconfined_python: Path, tmp_path: Path) -> None:
    told = tmp_path / "pids"
    deed = f"import os, pathlib, time; p = (os.getpid(), os.getppid()); pathlib.Path({str(told)!r}).write_text(str(p))"
    (tmp_path / "model.onnx").write_text(f"{deed}; time.sleep(60)")
    client = f"""
from pathlib import Path
from mnncompat import mnn
from mnncompat.mnn import ConvertOptions, ForkServer, Limits
with ForkServer(python=Path({str(unconfined_python)!r})) as server:
    files = Path({str(tmp_path / "model.onnx")!r}), Path({str(tmp_path / "out.mnn")!r})
    mnn.convert(*files, options=ConvertOptions(), limits=Limits(seconds=60), performer=server.perform)
"""
    with subprocess.Popen([sys.executable, "-c", client]) as process:
        _await(lambda: told.exists() and told.read_text().endswith(")"))
        process.kill()
    pids = [int(each) for each in told.read_text().strip("()").split(",")]
    _await(lambda: not any(map(_alive, pids)))
    assert not any(map(_alive, pids))


def test_the_limit_of_the_whole_work_holds_for_forks(server: ForkServer, tmp_path: Path) -> None:
    held = "held = bytearray(b'1') * (200 << 20); " + FINE
    assert isinstance(converted(server, tmp_path, held), Converted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allowance._STATE, "current", ("model", allowance.Allowance(60.0, 100 * MIB, strict=True)))
        failure = converted(server, tmp_path, held)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.MEMORY


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 50
    while time.monotonic() < deadline and not condition():
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def twins(fake_python: Path) -> Iterator[tuple[ForkServer, ForkServer]]:
    with ForkServer(python=fake_python, twin=True) as server:
        assert server.twin is not None
        yield server, server.twin


def test_a_twin_works_beside_the_server_that_forked_it(twins: tuple[ForkServer, ForkServer], tmp_path: Path) -> None:
    waits = f"import time; time.sleep(0.2); {FINE}"
    folders = [tmp_path / name for name in ("one", "two")]
    for each in folders:
        each.mkdir()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda each: converted(each[0], each[1], waits), zip(twins, folders, strict=True)))
    assert all(isinstance(each, Converted) for each in found)
    assert twins[0]._converter._process.pid != twins[1]._converter._process.pid


def test_a_twin_that_is_lost_is_started_anew(twins: tuple[ForkServer, ForkServer], tmp_path: Path) -> None:
    _, twin = twins
    assert isinstance(converted(twin, tmp_path, FINE), Converted)
    first = twin._converter._process.pid
    os.kill(first, signal.SIGKILL)
    assert isinstance(converted(twin, tmp_path, FINE), Converted)
    assert twin._converter._process.pid not in (0, first)


def test_a_twin_ends_with_the_server_that_forked_it_and_both_can_be_had_again(
    twins: tuple[ForkServer, ForkServer], tmp_path: Path
) -> None:
    server, twin = twins
    assert isinstance(converted(twin, tmp_path, FINE), Converted)
    pid = twin._converter._process.pid
    os.kill(server._converter._process.pid, signal.SIGKILL)
    _await(lambda: not _alive(pid))
    assert not _alive(pid)
    assert isinstance(converted(twin, tmp_path, FINE), Converted)
    assert isinstance(converted(server, tmp_path, FINE), Converted)


def test_a_twin_is_gone_when_its_server_is_closed(fake_python: Path, tmp_path: Path) -> None:
    with ForkServer(python=fake_python, twin=True) as server:
        assert server.twin is not None
        assert isinstance(converted(server.twin, tmp_path, FINE), Converted)
        pid = server.twin._converter._process.pid
    _await(lambda: not _alive(pid))
    assert not _alive(pid)


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="cannot be started"):
        ForkServer(python=tmp_path / "python")


def test_an_interpreter_without_mnn(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty"], check=True)
    with ForkServer(python=tmp_path / "empty" / "bin" / "python") as server:
        with pytest.raises(RunnerError, match="cannot import MNN: No module named") as caught:
            converted(server, tmp_path, FINE)
        assert "pip install MNN" in caught.value.hint


def test_the_environment_of_the_server_is_told(server: ForkServer) -> None:
    assert server.environment.mnn == "9.9.9"


def test_the_real_mnn_is_preloaded_without_threads() -> None:
    with ForkServer() as server:
        assert server.environment.mnn == installed_version()
        assert server.environment.threads in (0, 1), "forking a process with threads is unsafe"
        assert server._converter.environment.threads in (0, 1)


def test_memory_is_filled_with_the_byte_that_was_asked_for() -> None:
    assert filling(None) == {}
    assert "perturb=189" in filling(0x42)["GLIBC_TUNABLES"]
