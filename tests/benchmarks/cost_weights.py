"""Models that are large by their weights: processor time and memory of the commands, beside other tools; see `cost.py`.

Memory is the largest sum over a command and all its children, sampled: shared pages are counted once (PSS), and
`anonymous` is what is in no file. It needs Linux.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Peer = Callable[[str], Path]
_SAMPLED = 0.02
_ONE_FILE = 2000
"""Megabytes from which on the other tools stop."""
Contest = tuple[str, dict[str, list[str]], float]
"""Name of a case, commands by name, ours first, and the size of the weights in MB."""
_LAYERS, _WIDTH = 16, 4096
_BARE = (
    "import sys, _tools; _tools.mnnconvert(['', '-f', 'ONNX', '--modelFile', sys.argv[1], '--MNNModel', 'bare.mnn'])"
)
_LOAD = "import sys, onnx; onnx.load(sys.argv[1])"
_SIZES = (10, 100, 1000, 4000)


class Cost(NamedTuple):
    """What one command took.

    Attributes:
        seconds: Processor time, children included.
        peak: Memory, in MB.
        anonymous: Memory that is in no file, in MB.
    """

    seconds: float
    peak: float
    anonymous: float


def weights(folder: Path, ours: Sequence[str], peer: Peer, rounds: int, most: int) -> None:
    """Print check, fix and convert of a model of 1.07 GB in one file, then check and fix by the size of the weights.

    Args:
        folder: For the models; 3 times the size of the largest.
        ours: How this tool is started.
        peer: The program of a peer.
        rounds: How often each command runs.
        most: Largest size of the weights in MB; above 2 GB they are in a file of their own.
    """
    file, megabytes = build(folder / "large.onnx", _LAYERS, _WIDTH)
    _show(check(file, megabytes, ours, peer), rounds)
    _show(fix(file, megabytes, ours, peer), rounds)
    _show(convert(file, megabytes, ours), rounds)
    for size in (each for each in _SIZES if each <= most):
        width = 1024 if size < 1000 else _WIDTH
        file, megabytes = build(folder / f"{size}.onnx", max(1, round(size * 1e6 / (4 * width * width))), width)
        _show(check(file, megabytes, ours, peer), 1)
        _show(fix(file, megabytes, ours, peer if megabytes < _ONE_FILE else None), 1)
        for each in folder.glob(f"{size}.onnx*"):
            each.unlink()


def build(file: Path, layers: int, width: int) -> tuple[Path, float]:
    """Write a chain of products and Relu with a Hardmax at its end, which is rewritten.

    Returns:
        The file, and the size of the weights in MB.
    """
    random = np.random.default_rng(0)
    nodes, stored, value = [], [], "x"
    for number in range(layers):
        weights = random.standard_normal((width, width), dtype=np.float32) / np.float32(np.sqrt(width))
        stored.append(numpy_helper.from_array(weights, f"w{number}"))
        nodes.append(helper.make_node("MatMul", [value, f"w{number}"], [f"h{number}"], name=f"product {number}"))
        nodes.append(helper.make_node("Relu", [f"h{number}"], [f"r{number}"], name=f"relu {number}"))
        value = f"r{number}"
    nodes.append(helper.make_node("Hardmax", [value], ["y"], axis=-1, name="hardmax"))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, width]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    size = 4 * width * width * layers
    onnx.save(model, str(file), save_as_external_data=size > 1.9e9, location=f"{file.name}.data")
    return file, size / 1e6


def check(file: Path, megabytes: float, ours: Sequence[str], peer: Peer) -> Contest:
    """Against loading it, and looking at it with polygraphy."""
    commands = {
        "mnncompat check": [*ours, "check", str(file)],
        "onnx.load": [ours[0], "-c", _LOAD, str(file)],
        "polygraphy inspect": [str(peer("polygraphy")), "inspect", "model", str(file)],
    }
    return "check", commands, megabytes


def fix(file: Path, megabytes: float, ours: Sequence[str], peer: Peer | None) -> Contest:
    """Against tools that rewrite other things, and prove less."""
    out = file.with_name("out.onnx")
    commands = {"mnncompat fix": [*ours, "fix", str(file), "-o", str(out)]}
    if peer is not None:
        commands["onnxslim"] = [str(peer("onnxslim")), str(file), str(out.with_name("slim.onnx"))]
        commands["onnxsim"] = [str(peer("onnxsim")), str(file), str(out.with_name("sim.onnx"))]
    return "fix with one match", commands, megabytes


def convert(file: Path, megabytes: float, ours: Sequence[str]) -> Contest:
    """Against the converter alone, of what `fix` made of the model: it refuses the model itself."""
    fixed = file.with_name("fixed.onnx")
    subprocess.run([*ours, "fix", str(file), "-o", str(fixed), "--no-verify"], check=True, capture_output=True)
    command = [*ours, "convert", str(file), "-o", str(file.with_name("out.mnn"))]
    commands = {
        "mnncompat convert": command,
        "bare converter": [ours[0], "-c", _BARE, str(fixed)],
        "mnncompat, external weights": [*command, "--external-weights"],
    }
    return "convert", commands, megabytes


def _show(contest: Contest, rounds: int) -> None:
    name, commands, megabytes = contest
    found: dict[str, list[Cost]] = {each: [] for each in commands}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for each, command in commands.items():
            cost = measured(command) if each not in failed else ""
            if isinstance(cost, Cost):
                found[each].append(cost)
            elif cost:
                failed[each] = cost
    costs = {
        each: Cost(*(statistics.median(part) for part in zip(*taken, strict=True)))
        for each, taken in found.items()
        if each not in failed
    }
    own = next(iter(costs.values()))
    print(f"\n{name} ({megabytes:.0f} MB of weights)")
    print(f"  {'':<28}{'CPU s':>8}{'peak MB':>9}{'anonymous':>11}{'ours / CPU':>12}{'ours / peak':>13}")
    for each, cost in costs.items():
        ratios = "" if cost is own else f"{own.seconds / cost.seconds:>12.2f}{own.peak / cost.peak:>13.2f}"
        print(f"  {each:<28}{cost.seconds:>8.2f}{cost.peak:>9.0f}{cost.anonymous:>11.0f}{ratios}", flush=True)
    for each, words in failed.items():
        print(f"  {each:<28} {words}")
    print(f"  anonymous memory / weights: {own.anonymous / megabytes:.2f}")


def measured(command: Sequence[str]) -> Cost | str:
    """Run a command to its end; if it is another tool's and fails, say how.

    Raises:
        SystemExit: It is ours and failed; status 1 says that there are findings.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "words").open("w+") as words:
        before = os.times()
        process = subprocess.Popen(command, stdout=words, stderr=words, cwd=folder)
        peak = anonymous = 0.0
        while process.poll() is None:
            both = [_memory(each) for each in _family(process.pid)]
            peak = max(peak, sum(each[0] for each in both))
            anonymous = max(anonymous, sum(each[1] for each in both))
            time.sleep(_SAMPLED)
        after = os.times()
        words.seek(0)
        is_ours = "mnncompat" in command
        if process.returncode not in ((0, 1) if is_ours else (0,)):
            said = words.read()[-2000:]
            if not is_ours:
                return f"failed, exit status {process.returncode}: {' '.join(said.split())[-100:]}"
            raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}\n{said}")
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(seconds, peak / 1000, anonymous / 1000)


def _family(process: int) -> Iterator[int]:
    yield process
    try:
        children = [each for task in Path(f"/proc/{process}/task").iterdir() for each in _words(task / "children")]
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _memory(process: int) -> tuple[float, float]:
    """Proportional and anonymous memory in kB; nothing of a process that has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    sizes = {words[0]: float(words[1]) for words in map(str.split, lines[1:]) if len(words) > 1}
    return sizes.get("Pss:", 0.0), sizes.get("Pss_Anon:", 0.0)
