"""The command is ended at its limits, whatever code runs, and everything else is still reported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mnncompat.cli import main
from mnncompat.cli.app import application

RUN = [sys.executable, "-m", "mnncompat"]


def saved(path: Path, model: ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def less(source: list[Any], **weights: np.ndarray) -> ModelProto:
    """Some nodes that make `e`, and a comparison that `fix` rewrites, so that ONNX Runtime runs it."""
    nodes = [*source, helper.make_node("Less", ["e", "x"], ["l"]), helper.make_node("Cast", ["l"], ["y"], to=1)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def endless() -> ModelProto:
    flag, value = helper.make_tensor_value_info("c", 9, []), helper.make_tensor_value_info("v", 1, [1])
    results = [helper.make_tensor_value_info("co", 9, []), helper.make_tensor_value_info("w", 1, [1])]
    steps = [helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Neg", ["v"], ["w"])]
    body = helper.make_graph(steps, "b", [helper.make_tensor_value_info("i", 7, []), flag, value], results)
    return less([helper.make_node("Loop", ["n", "", "x"], ["e"], body=body)], n=np.array(2**62, np.int64))


def enormous() -> ModelProto:
    return less([helper.make_node("ConstantOfShape", ["n"], ["e"])], n=np.array([10**9], np.int64))


def fine() -> ModelProto:
    return less([helper.make_node("Neg", ["x"], ["e"])])


def fixed(*arguments: object, scratch: Path) -> subprocess.CompletedProcess[str]:
    command = [*RUN, "fix", *map(str, arguments), "--output-format", "json"]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=120)


def messages(report: str) -> list[str]:
    return [each["message"] for result in json.loads(report)["results"] for each in result.get("diagnostics", ())]


@pytest.mark.parametrize(
    ("build", "limit", "expected"),
    [
        (endless, ["--timeout", "3"], "the work took more than 3 s"),
        (enormous, ["--memory-limit", "300MB"], "memory"),
    ],
)
def test_limits_hold_in_c_code(build: Any, limit: list[str], expected: str, tmp_path: Path) -> None:
    """ONNX Runtime is in a loop of 2^62, or asks for 4 GB: the other models are fixed and reported all the same."""
    (tmp_path / "tmp").mkdir()
    bad = saved(tmp_path / "bad.onnx", build())
    first, last = saved(tmp_path / "a.onnx", fine()), saved(tmp_path / "b.onnx", fine())
    done = fixed(first, bad, last, "--in-place", *limit, scratch=tmp_path / "tmp")
    assert done.returncode == 2, done.stderr
    report = json.loads(done.stdout)
    assert expected in done.stdout
    assert len(report["results"]) == 3, done.stdout
    assert first.read_bytes() == last.read_bytes() != fine().SerializeToString()
    assert bad.read_bytes() == build().SerializeToString()
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_command_in_c_code(sent: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    model = saved(tmp_path / "bad.onnx", endless())
    command = [*RUN, "fix", str(model), "--in-place", "--timeout", "100"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        time.sleep(4)
        begin = time.monotonic()
        parent.send_signal(sent)
        _, stderr = parent.communicate(timeout=60)
    assert time.monotonic() - begin < 30
    assert parent.returncode == 2
    assert stderr.startswith("error: interrupted\n")
    assert list((tmp_path / "tmp").iterdir()) == []


PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from mnncompat.cli.supervisor import supervised
from mnncompat.errors import ModelError
from mnncompat.files import allowance

def work():
    allowance.allow(seconds=2, memory=200_000_000, runs=False)
    try:
        allowance.begin(Path(sys.argv[2]))
    except ModelError as error:
        print("told:", error.message, flush=True)
        return 2
    print("began", os.getpid(), flush=True)
    held = []
    while sys.argv[1] == "hold":
        held.append(bytearray(b"1") * 20_000_000)
        time.sleep(0.01)
    while sys.argv[1] == "wait":
        time.sleep(0.1)
    if sys.argv[1] == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    return 7

sys.exit(supervised(work))
"""


def supervised(how: str, model: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, how, str(model)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_a_crash_is_told(tmp_path: Path) -> None:
    done = supervised("crash", saved(tmp_path / "a b.onnx", fine()))
    assert done.returncode == 2
    assert f"told: {tmp_path}/a b.onnx: the process that worked on it was ended by SIGSEGV" in done.stdout


def test_time_is_told(tmp_path: Path) -> None:
    done = supervised("wait", saved(tmp_path / "model.onnx", fine()))
    assert done.returncode == 2
    assert "model.onnx: the work took more than 2 s" in done.stdout


@pytest.mark.parametrize(
    ("limits", "how", "expected"),
    [
        ("seconds=1, memory=None", "wait", "the command took more than 1 s"),
        ("seconds=50, memory=300_000_000", "hold", "memory"),
    ],
)
def test_limits_of_a_command_hold_for_all_of_it(limits: str, how: str, expected: str, tmp_path: Path) -> None:
    """Also where it reads a file of its own, which has other limits by default."""
    program = PROGRAM.replace("allow(seconds=2, memory=200_000_000, runs=False)", f"allow_command({limits})")
    program = program.replace("supervised(work)", "supervised(told)").replace("sys.exit", TELLING + "sys.exit")
    command = [sys.executable, "-c", program, how, str(saved(tmp_path / "model.onnx", fine()))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert expected in done.stdout + done.stderr
    assert "model.onnx" not in done.stdout + done.stderr


TELLING = """
def told():
    try:
        return work()
    except MemoryError:
        print("out of memory", flush=True)
        return 2

"""


@pytest.mark.parametrize("words", [[], ["dev"]])
def test_every_command_has_both_limits(words: list[str]) -> None:
    """Those of groups too, as `fleet report`."""

    def commands(found: Any) -> list[Any]:
        return [each for group in found.commands.values() for each in commands(group)] if _is_group(found) else [found]

    told = {
        each.name: {option.name for option in each.params}
        for each in commands(typer.main.get_command(application(words)))
    }
    assert len(told) > 3
    assert [name for name, options in told.items() if not {"timeout", "memory_limit"} <= options] == []


def _is_group(command: Any) -> bool:
    return hasattr(command, "commands")


@pytest.mark.parametrize(
    "command",
    [["ops", "Relu"], ["rule", "MNN801"], ["score", "--op", "Relu"], ["device", "list"], ["dev", "next-code"]],
)
def test_commands_without_models_end_at_their_limit(command: list[str]) -> None:
    words = [*RUN, *command, "--timeout", "0.01"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the command took more than 0.01 s\n")


def test_a_limit_of_memory_that_the_system_does_not_enforce_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mnncompat.cli.console.bounds_memory", lambda: False)
    assert main(["rule", "MNN801", "--memory-limit", "1GB"]) == 0
    assert "--memory-limit is not enforced on this system" in capsys.readouterr().err
    assert main(["rule", "MNN801"]) == 0
    assert not capsys.readouterr().err


def test_an_end_of_its_own_keeps_its_status(tmp_path: Path) -> None:
    assert supervised("end", saved(tmp_path / "model.onnx", fine())).returncode == 7


@pytest.mark.skipif(sys.platform != "linux", reason="SIGIO for a closed pipe is Linux's")
def test_the_child_ends_with_its_supervisor(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM.replace("seconds=2", "seconds=50"), "wait"]
    command.append(str(saved(tmp_path / "model.onnx", fine())))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline().split()[1])
        parent.kill()
        parent.wait()
        end = time.monotonic() + 20
        while Path(f"/proc/{child}/stat").exists() and time.monotonic() < end:
            time.sleep(0.05)
    assert not Path(f"/proc/{child}/stat").exists()


def test_a_slow_model_earns_time_and_a_stated_limit_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mnncompat.files import allowance

    reader, writer = os.pipe()
    monkeypatch.setattr(allowance._STATE, "channel", writer)
    monkeypatch.setattr(allowance, "_limit_data", lambda _wanted: None)
    told = []
    for stated in (None, 20.0):
        allowance.allow(seconds=stated, memory=None, runs=True)
        allowance.begin(saved(tmp_path / "m.onnx", fine()))
        allowance.extend(5.0)
        told.append([float(line.split()[0]) for line in os.read(reader, 65536).decode().splitlines()])
    allowance.allow(seconds=None, memory=None, runs=False)
    os.close(reader)
    os.close(writer)
    assert told[0][0] < 13
    assert told[0][1] == allowance.WORK_SECONDS + 5 * 40
    assert told[1] == [20.0]


@pytest.mark.parametrize(
    ("size", "rewrites", "seconds"),
    [(0, True, 12.0), (1_000_000, True, 16.0), (2_000_000, True, 612.0), (1_000_000, False, 312.0)],
)
def test_what_is_only_rewritten_has_less_than_20_seconds_up_to_a_megabyte(
    *, size: int, rewrites: bool, seconds: float
) -> None:
    from mnncompat.files import allowance

    try:
        allowance.allow(seconds=None, memory=None, runs=True, rewrites=rewrites)
        assert allowance.allowance(size, 0).seconds == seconds
        allowance.allow(seconds=99.0, memory=None, runs=True, rewrites=rewrites)
        assert allowance.allowance(size, 0).seconds == 99.0
    finally:
        allowance.allow(seconds=None, memory=None, runs=False)
