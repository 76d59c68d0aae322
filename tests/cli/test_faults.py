"""Closed and full outputs, signals, missing places: a clear message, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from test_bad_input import assert_one_error, linear, saved

import mnncompat
from mnncompat.cli import Interrupted, _unraisable, main
from mnncompat.errors import ModelError, UsageError
from mnncompat.graph.model_file import load
from mnncompat.mnn import Limits

PROGRAM = [sys.executable, "-m", "mnncompat"]
PATIENCE = 120
"""Seconds for what takes one or two: the machine may be busy."""


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    line = line.replace("mnncompat ", f"{sys.executable} -m mnncompat ")
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(linear(), tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        *("check model.onnx >/dev/full", "fix model.onnx --diff >/dev/full", "rule MNN090 >/dev/full"),
        *(
            "--version >/dev/full",
            "--help >/dev/full",
            "check model.onnx >&-",
            "fix model.onnx --diff >&-",
            "--version >&-",
            "--help >&-",
            "check --help >&-",
        ),
    ],
)
def test_a_full_or_closed_stdout(words: str, model: Path) -> None:
    done = shell(f"mnncompat {words}", model.parent)
    assert done.returncode == 2
    assert "internal error" not in done.stderr
    assert_one_error(done.stderr, "cannot write")


def test_a_reader_that_goes_away(model: Path) -> None:
    done = shell("mnncompat rule 2>err | head -n 1; cat err", model.parent)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "<&-", "<&- 2>&-"])
def test_closed_stdin_and_stderr(where: str, model: Path) -> None:
    done = shell(f"mnncompat convert model.onnx -o out.mnn {where}", model.parent)
    assert done.returncode == 0, done.stderr
    assert "converted: " in done.stdout
    assert (model.parent / "out.mnn").stat().st_size > 500


def test_everything_closed_writes_into_no_file(model: Path) -> None:
    done = shell("mnncompat convert model.onnx -o out.mnn <&- >&- 2>&-", model.parent)
    assert done.returncode == 2  # the report could not be written
    converted = (model.parent / "out.mnn").read_bytes()
    assert main(["convert", str(model), "-o", str(model.parent / "again.mnn"), "-q"]) == 0
    assert len((model.parent / "again.mnn").read_bytes()) == len(converted)
    assert b"mnncompat" not in converted


def test_no_home(model: Path) -> None:
    words = [*PROGRAM, "convert", str(model), "-o", str(model.parent / "out.mnn")]
    environment = {key: value for key, value in os.environ.items() if key in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_working_directory_that_is_gone(model: Path) -> None:
    done = shell(
        f"mkdir gone; cd gone; rmdir ../gone; mnncompat check {model} --mnn 0.2.0.4 --output-format sarif", model.parent
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""


def test_no_place_for_temporary_files(model: Path) -> None:
    """`/proc` takes no folders, not even from root."""
    program = "import tempfile; tempfile.gettempdir = lambda: '/proc'; from mnncompat.cli import run; run()"
    words = [sys.executable, "-c", program, "convert", str(model), "-o", str(model.parent / "out.mnn"), "-q"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert_one_error(done.stderr, "no temporary folder can be made")
    assert not (model.parent / "out.mnn").exists()


LONG = "x" * 300
"""The system refuses to look at such a path, as it does where a folder may not be searched."""


@pytest.mark.parametrize(
    "words",
    [
        *(["check", LONG], ["fix", LONG, "-o", "out"], ["fix", LONG, "--in-place"], ["convert", LONG]),
        *(["verify", LONG, "model.onnx"], ["verify", "model.onnx", LONG], ["verify", "--load-data", LONG]),
        *(["convert", "model.onnx", "--input", f"x={LONG}"], ["convert", "model.onnx", "--feeds", f"{LONG}.py:f"]),
        ["fix", LONG, "model.onnx", "--in-place"],
    ],
    ids=lambda words: "-".join(words).replace(LONG, "LONG"),
)
def test_paths_out_of_reach(
    words: list[str], model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert_one_error(captured.err, "ile name too long")
    assert "internal error" not in captured.err + captured.out


def test_a_temporary_folder_out_of_reach(model: Path) -> None:
    done = shell("mnncompat check model.onnx --mnn 0.2.0.4", model.parent, TMPDIR=f"/{LONG}")
    assert (done.returncode, done.stderr) == (1, "")


OPTIONS = {
    "seed": (["--seed", "-1"], "-1"),
    "large seed": (["--seed", str(2**63)], "range"),
    "nan": (["--timeout", "nan"], "nan is no limit of time"),
    "negative": (["--timeout", "-5"], "-5 is no limit of time"),
    "zero": (["--timeout", "0"], "0 is no limit of time"),
    "endless": (["--timeout", "inf"], "inf is no limit of time"),
    "long name": (["-o", "x" * 300], "ile name too long"),
    "no name": (["-o", ""], "names nothing"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options(case: str, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = OPTIONS[case]
    out = [] if "-o" in words else ["-o", str(model.parent / "out.mnn")]
    assert main(["convert", str(model), "-q", *words, *out]) == 2
    assert_one_error(capsys.readouterr().err, expected)


def test_limits_are_positive() -> None:
    for bad in ({"seconds": float("nan")}, {"seconds": -1.0}, {"memory_bytes": 0}, {"output_bytes": -1}):
        with pytest.raises(UsageError):
            Limits(**bad)


# ---- signals ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def started(words: list[str], scratch: Path, **more: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"TMPDIR": str(scratch)}
    return subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **more
    )


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing(number: signal.Signals, tutorial: Path, tmp_path: Path, scratch: Path) -> None:
    out = tmp_path / "out.mnn"
    with started(["convert", str(tutorial), "-o", str(out)], scratch) as child:
        assert child.stderr is not None
        child.stderr.readline()  # the first step has begun
        child.send_signal(number)
        _, stderr = child.communicate(timeout=PATIENCE)
    assert child.returncode == 2
    assert_one_error(stderr, "interrupted")
    assert list(scratch.iterdir()) == []
    assert not out.exists()


def test_an_ignored_signal_stays_ignored(tutorial: Path, tmp_path: Path, scratch: Path) -> None:
    """As with nohup."""
    out = tmp_path / "out.mnn"

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with started(["convert", str(tutorial), "-o", str(out)], scratch, preexec_fn=ignore) as child:
        assert child.stderr is not None
        child.stderr.readline()
        child.send_signal(signal.SIGHUP)
        child.communicate(timeout=PATIENCE)
    assert child.returncode == 0
    assert out.is_file()


def test_the_next_start_removes_what_a_killed_one_left(tutorial: Path, tmp_path: Path, scratch: Path) -> None:
    with started(["convert", str(tutorial), "-o", str(tmp_path / "out.mnn")], scratch) as child:
        assert child.stderr is not None
        for _ in range(3):
            child.stderr.readline()  # MNN runs
        child.kill()
        child.communicate(timeout=PATIENCE)
    left = list(scratch.iterdir())
    assert left, "it was killed while it had a folder"
    end = time.monotonic() + PATIENCE
    while list(scratch.iterdir()) and time.monotonic() < end:  # its child may hold the folder for a moment
        with started(["check", str(tutorial)], scratch) as child:
            child.communicate(timeout=PATIENCE)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("wait", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_an_interruption_of_the_start_prints_no_traceback(wait: float, tutorial: Path, scratch: Path) -> None:
    """Before the program takes over, the signal ends the process; afterwards it says so."""
    program = "import os; from mnncompat.__main__ import run; os.write(1, b'x'); run()"
    command = [sys.executable, "-c", program, "fix", str(tutorial), "-o", str(scratch.parent / "out.onnx")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read(1)
        time.sleep(wait)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=PATIENCE)
    assert child.returncode in (-signal.SIGINT, 0, 2)
    assert b"Traceback" not in stderr
    assert b"Exception ignored" not in stderr


def test_an_interruption_where_nothing_can_be_raised_is_raised_again() -> None:
    handler = signal.getsignal(signal.SIGALRM)

    class Hook:
        exc_value = Interrupted()

    try:
        _unraisable(Hook())  # type: ignore[arg-type]
        with pytest.raises(Interrupted):
            time.sleep(PATIENCE)
    finally:
        signal.signal(signal.SIGALRM, handler)


# ---- time ------------------------------------------------------------------------------------------------------------


def chain(length: int, *, closed: bool) -> onnx.ModelProto:
    """Nodes in the opposite of their order; or a ring of them."""
    nodes = [helper.make_node("Relu", [f"v{i}"], [f"v{i + 1}"], name=f"n{i}") for i in range(length)]
    if closed:
        nodes[0].input[0] = f"v{length}"
    return helper.make_model(
        helper.make_graph(
            nodes[::-1],
            "backwards",
            [helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1])],
            [helper.make_tensor_value_info(f"v{length}", TensorProto.FLOAT, [1])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )


def seconds(path: Path, *, closed: bool) -> float:
    begin = time.process_time()
    with pytest.raises(ModelError, match="cycle") if closed else contextlib.nullcontext():
        load(path)
    return time.process_time() - begin


@pytest.mark.parametrize("closed", [False, True])
def test_the_order_of_nodes_is_judged_in_linear_time(tmp_path: Path, *, closed: bool) -> None:
    """A quadratic way takes a hundred times as long; processor time is counted, which a busy machine hardly changes."""
    small, large = (tmp_path / f"{length}.onnx" for length in (2_000, 20_000))
    for path, length in ((small, 2_000), (large, 20_000)):
        path.write_bytes(chain(length, closed=closed).SerializeToString())
    assert seconds(large, closed=closed) < 60 * max(seconds(small, closed=closed), 0.01)


def fan(count: int) -> onnx.ModelProto:
    """Many readers of one value, each of which the table looks at; and as many findings, each with a remedy."""
    nodes = [helper.make_node("Mish", ["x"], ["m"])]
    nodes += [helper.make_node("Relu", ["m"], [f"r{i}"]) for i in range(count)]
    nodes += [helper.make_node("Mish", [f"r{i}"], [f"y{i}"]) for i in range(count)]
    kinds = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "m", "y0")}
    graph = helper.make_graph(nodes, "fan", [kinds["x"]], [kinds["m"], kinds["y0"]])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_the_check_is_linear_in_readers_and_findings() -> None:
    taken = []
    for count in (10, 1_000, 8_000):
        proto = fan(count)
        begin = time.process_time()
        assert sum(each.code == "MNN001" for each in mnncompat.check(proto).diagnostics) == count + 1
        taken.append(time.process_time() - begin)
    assert taken[2] < 20 * max(taken[1], 0.01)
