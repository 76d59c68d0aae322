"""How long `mnncompat diagnose` takes, against the bisection of MNN's own `testMNNFromOnnx.py`, on a failing model.

That algorithm is written anew here: the model is converted anew for each question, one draw in [0.1, 1.2] is written as
text, the converter compares, and the path of dominators to the first output is bisected. Each model gets a fault behind
a convolution after a quarter, half and three quarters of it; the median of the ratios is what counts.

    python tests/benchmarks/diagnose.py [--pymnn] [MODEL@1,3,640,640 ...]

What the script does for each question is done here as well: the model is saved, ONNX Runtime starts a session with its
defaults, all inputs and outputs are written with `numpy.savetxt` into files that were opened before, and the converter
reads them (`--testdir`). Its first question is whether the model fails at all, before DEBUG begins to bisect, and
`diagnose` asks that first as well: both are counted. It asks all of them in one process, which imports onnx and ONNX
Runtime once, and starts the converter anew each time. That is the program MNNConvert, if one was built, or else
`mnnconvert`, an interpreter that imports MNN: that is `--pymnn`, without what MNN's own tools send and install. The
program is stood for by a fork that is as quick to start, which is the faster of the two. Left out is what it prints.

Memory is the largest sum over all processes at a time, of proportional set sizes, which count what several share once.
At the end a right model of 400 nodes is diagnosed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import onnx
from onnx import helper, numpy_helper

TESTS = Path(__file__).resolve().parents[1]
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
MODELS = tuple(str(LIGHT / f"light_{each}.onnx") for each in ("squeezenet", "inception_v1", "zfnet512", "bvlc_alexnet"))
PLACES = (0.25, 0.5, 0.75)
LIMIT = 1 / 8
MEMORY, BASE = 3, 150_000_000
"""How often the model and its largest value may be in all processes together, beside Python and the libraries."""
NODES, HEALTHY_SECONDS = 400, 20
"""Of the model that is right, and how long its diagnosis may take."""
SAMPLED_SECONDS = 0.1
PYMNN = "--pymnn"
LAUNCHER = """
import _tools, os, sys
words = ["-f", "ONNX", "--bizCode", "MNN", "--modelFile", "onnx/test.onnx", "--MNNModel", "cache.mnn"]
for _ in sys.stdin:
    child = os.fork()
    if not child:
        said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1), os.dup2(said, 2)
        _tools.mnnconvert(["MNNConvert", *words, "--keepInputFormat=1", "--testdir", "onnx"])
        os._exit(0)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""
"""Starts the converter as quickly as a program of its own does, which an interpreter would not."""
SCRIPT = """
import MNN, _tools
words = ["-f", "ONNX", "--bizCode", "MNN", "--modelFile", "onnx/test.onnx", "--MNNModel", "cache.mnn"]
_tools.mnnconvert(["MNNConvert", *words, "--keepInputFormat=1", "--testdir", "onnx"])
"""
"""What `mnnconvert` does, but for MNN.tools."""


def main() -> int:
    """Measure and print; the exit status is 1 if the median is above the limit, a fault is not found, or memory is."""
    words = sys.argv[1:]
    if words[:1] == ["--bisect"]:
        return _bisect(Path(words[-1]), pymnn=PYMNN in words, once="--once" in words)
    sys.path[:0] = [str(TESTS), str(TESTS / "diagnosing")]
    from plant_models import drawn_weights  # of the tests: the bisection does not wait for it

    _collect_orphans()
    bad = False
    ratios: list[tuple[float, float]] = []
    for name, _, sizes in (each.partition("@") for each in [each for each in words if each != PYMNN] or MODELS):
        for place in PLACES:
            with tempfile.TemporaryDirectory() as folder:
                model = Path(folder) / "failing.onnx"
                plain = without_constants(without_softmax(drawn_weights(onnx.load(name))))
                onnx.save(with_fault(with_sizes(plain, sizes), place), model)
                print(f"{Path(name).name}, fault after {place:.0%} of it", flush=True)
                found = _compared(model, words)
            if found is not None:
                ratios.append(found[:2])
                bad |= found[2]
    wall, processor = (statistics.median(each) for each in zip(*ratios, strict=True))
    print(f"medians of {len(ratios)} faults: ratio {wall:.3f}, of CPU {processor:.3f}")
    return int(not _is_quick_on_a_right_model() or bad or wall > LIMIT)


def _is_quick_on_a_right_model() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "right.onnx"
        onnx.save(right_model(), path)
        used = _used([sys.executable, "-m", "mnncompat", "diagnose", str(path), "-q", "--output-format", "json"])
    (result,) = json.loads(used.said)["results"]
    print(
        f"right model of {NODES} nodes: {result['verdict']}, {len(result['culprits'])} culprits, {used.wall:.1f} s, "
        f"{used.processor:.1f} s of CPU, {used.peak / 1e6:.0f} MB"
    )
    return result["verdict"] == "agrees" and not result["culprits"] and used.wall < HEALTHY_SECONDS


def _compared(model: Path, words: list[str]) -> tuple[float, float, bool] | None:
    """Both on one model: ratios of wall and processor time; whether the fault is not found, or memory is too large.

    None if the bisection takes the model for right: it is not a failing one.
    """
    bisection = [sys.executable, __file__, *(each for each in words if each == PYMNN), str(model)]
    if _used([*bisection[:2], "--bisect", "--once", *bisection[2:]]).said.startswith("right"):
        print("  does not show")
        return None
    theirs = _used([*bisection[:2], "--bisect", *bisection[2:]])
    command = [sys.executable, "-m", "mnncompat", "diagnose", str(model), "-q", "--output-format", "json"]
    ours = _used(command)
    size = model.stat().st_size
    (result,) = json.loads(ours.said)["results"]
    named = [node["node"] for each in result["culprits"][:1] for node in each["nodes"]]
    ratio, seconds = ours.wall / theirs.wall, ours.processor / theirs.processor
    value = max(int(np.prod(each["shape"])) * np.dtype(each["dtype"]).itemsize for each in result["layers"])
    print(f"  bisection {theirs.wall:6.1f} s, {theirs.processor:6.1f} s of CPU: {theirs.said.strip()}")
    print(f"  diagnose  {ours.wall:6.1f} s, {ours.processor:6.1f} s of CPU: {', '.join(named)}")
    print(
        f"  ratio {ratio:.3f}, of CPU {seconds:.3f}; memory {ours.peak / 1e6:.0f} MB, of the bisection "
        f"{theirs.peak / 1e6:.0f} MB; the model {size / 1e6:.0f} MB, its largest value {value / 1e6:.1f} MB",
        flush=True,
    )
    is_large = ours.peak > BASE + MEMORY * (size + value)
    return ratio, seconds, "fault" not in named or is_large


class Used(NamedTuple):
    """What a command took: seconds, and bytes of its processes together; and what it said."""

    wall: float
    processor: float
    peak: int
    said: str


def _used(command: list[str]) -> Used:
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with Memory() as memory:
        said = child.stdout.read()
        _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    wall = time.perf_counter() - begin
    used = [usage, *_orphans()]
    return Used(wall, sum(each.ru_utime + each.ru_stime for each in used), memory.peak, said)


class Memory:
    """Linux: the largest sum of what the processes below this one take, sampled. A context manager."""

    def __init__(self) -> None:
        self.peak = 0
        self._ended = threading.Event()
        self._sampling = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._sampling.start()
        return self

    def __exit__(self, *_ending: object) -> None:
        self._ended.set()
        self._sampling.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLED_SECONDS):
            self.peak = max(self.peak, sum(_proportional_size(each) for each in _below(os.getpid())))


def _below(ancestor: int) -> list[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    found = [ancestor]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def _proportional_size(process: int) -> int:
    with contextlib.suppress(OSError):  # it ended
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _collect_orphans() -> None:
    """Linux: become the parent of processes that lose theirs, so that what they took is known."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


def _orphans() -> Iterator[resource.struct_rusage]:
    """What the processes took that were left."""
    while True:
        try:
            yield os.wait4(-1, 0)[2]
        except ChildProcessError:
            return


def _bisect(path: Path, *, pymnn: bool, once: bool) -> int:
    with tempfile.TemporaryDirectory() as folder, Bisection(onnx.load(path), Path(folder), pymnn=pymnn) as bisection:
        if once:
            print("right" if bisection.is_right_as_it_is() else "fails")
            return 0
        bisection.is_right_as_it_is()
        name, steps = bisection.run()
    print(f"{name}, {steps} conversions")
    return 0


def right_model() -> onnx.ModelProto:
    """A chain of convolutions, scales and activations that MNN computes as ONNX does."""
    draws, nodes, held, last = np.random.default_rng(0), [], [], "x"
    for number in range(NODES // 4):
        kernel = draws.normal(0, 0.12, (16, 16, 3, 3)).astype(np.float32)
        held += [
            numpy_helper.from_array(kernel, f"k{number}"),
            numpy_helper.from_array(draws.normal(1, 0.1, (1, 16, 1, 1)).astype(np.float32), f"s{number}"),
        ]
        a, b, c, d = (f"{each}{number}" for each in "abcd")
        nodes += [
            helper.make_node("Conv", [last, f"k{number}"], [a], name=a, pads=[1, 1, 1, 1]),
            helper.make_node("Mul", [a, f"s{number}"], [b], name=b),
            helper.make_node("Sigmoid" if number % 2 else "Relu", [b], [c], name=c),
            helper.make_node("Add", [c, last], [d], name=d),
        ]
        last = d
    of_floats, shape = onnx.TensorProto.FLOAT, [1, 16, 32, 32]
    inputs, outputs = ([helper.make_tensor_value_info(each, of_floats, shape)] for each in ("x", last))
    graph = helper.make_graph(nodes, "right", inputs, outputs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def without_softmax(model: onnx.ModelProto) -> onnx.ModelProto:
    """The scores before a Softmax at the end: of drawn weights it makes a single 1, whatever is wrong before."""
    last = model.graph.node[-1]
    if last.op_type == "Softmax" and last.output[0] == model.graph.output[0].name:
        scores = last.input[0]
        del model.graph.node[-1]
        model.graph.output[0].CopyFrom(onnx.ValueInfoProto(name=scores))
    return model


def without_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants as initializers, and dynamic sizes as upstream takes them: it begins at the first node."""
    kept = []
    for node in model.graph.node:
        value = next((each.t for each in node.attribute if each.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            model.graph.initializer.append(onnx.TensorProto(name=node.output[0]))
            tensor = model.graph.initializer[-1]
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def with_sizes(model: onnx.ModelProto, sizes: str) -> onnx.ModelProto:
    """The sizes of the first input, where it has none: upstream takes 1 for each."""
    for dim, size in zip(
        model.graph.input[0].type.tensor_type.shape.dim, sizes.split(",") if sizes else (), strict=False
    ):
        dim.dim_value = int(size)
    return model


def with_fault(model: onnx.ModelProto, place: float) -> onnx.ModelProto:
    """Mod of floats with negative divisors, which MNN 3.6.1 computes wrongly, behind the convolution at a place."""
    convolutions = [index for index, node in enumerate(model.graph.node) if node.op_type == "Conv"]
    index = convolutions[int(len(convolutions) * place)]
    node = model.graph.node[index]
    result, inner = node.output[0], f"{node.output[0]}__before"
    node.output[0] = inner
    model.graph.initializer.append(numpy_helper.from_array(np.array(-0.37, np.float32), "divisor"))
    model.ir_version = max(model.ir_version, 4)
    model.graph.node.insert(index + 1, helper.make_node("Mod", [inner, "divisor"], [result], name="fault", fmod=1))
    opset = next(each for each in model.opset_import if each.domain == "")
    opset.version = max(opset.version, 10)
    for number, each in enumerate(model.graph.node):
        each.name = each.name or f"node_{number}"
    return model


class Bisection:
    """The algorithm of tools/script/testMNNFromOnnx.py, DEBUG.

    The dominators between the first node and the first output are bisected. Between the two of them that are left, the
    inputs of the wrong node are tried one by one, and where that leads behind another dominator, it is bisected again.
    """

    def __init__(self, model: onnx.ModelProto, folder: Path, *, pymnn: bool) -> None:
        self._pymnn = pymnn
        command = [sys.executable, "-c", LAUNCHER]
        self._launcher = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._model = model
        self._folder = folder
        self._steps = 0
        (folder / "onnx").mkdir()
        self._producer = {name: number for number, node in enumerate(model.graph.node) for name in node.output}
        self._dominator = self._dominators()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ending: object) -> None:
        self._launcher.communicate()

    def is_right_as_it_is(self) -> bool:
        """Whether all outputs agree."""
        return self._is_right([each.name for each in self._model.graph.output])

    def run(self) -> tuple[str, int]:
        """The node that it names, and how many conversions it took."""
        return self._searched(0, self._producer[self._model.graph.output[0].name]), self._steps

    def _searched(self, left: int, right: int) -> str:
        path = [right]
        while path[0] != left:
            path.insert(0, self._dominator[path[0]])
        low, high = 0, len(path) - 1
        while low < high - 1:
            middle = (low + high) // 2
            if self._is_right([self._model.graph.node[path[middle]].output[0]]):
                low = middle
            else:
                high = middle
        last_right, wrong = path[low], path[high]
        while last_right < wrong - 1 and self._dominator.get(wrong) == last_right:
            before = [name for name in self._model.graph.node[wrong].input if name in self._producer]
            found = next((self._producer[name] for name in before if not self._is_right([name])), wrong)
            if found == wrong:
                break
            wrong = found
        if self._dominator.get(wrong, last_right) != last_right and wrong != last_right:
            return self._searched(last_right, wrong)
        return self._model.graph.node[wrong].name

    def _dominators(self) -> dict[int, int]:
        """Immediate dominators of the nodes that are computed from the first one; that one is its own."""
        found = {0: 0}
        for number, node in enumerate(self._model.graph.node):
            before = [
                self._producer[name] for name in node.input if name in self._producer and self._producer[name] in found
            ]
            if number and before:
                found[number] = before[0]
                for each in before[1:]:
                    found[number] = self._meet(found, found[number], each)
        return found

    @staticmethod
    def _meet(found: dict[int, int], one: int, two: int) -> int:
        while one != two:
            if one < two:
                one, two = two, one
            one = found[one]
        return one

    def _is_right(self, names: list[str]) -> bool:
        self._steps += 1
        del self._model.graph.output[:]
        self._model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        onnx.save(self._model, self._folder / "onnx" / "test.onnx")
        self._write_data()
        self._convert()
        told = (self._folder / "said.txt").read_text(errors="replace")
        return "TEST_SUCCESS" in told or "Can't find var" in told

    def _convert(self) -> None:
        """Run the converter, which compares."""
        if self._pymnn:
            with (self._folder / "said.txt").open("w") as said:
                subprocess.run([sys.executable, "-c", SCRIPT], cwd=self._folder, stdout=said, stderr=said, check=False)
            return
        assert self._launcher.stdin is not None
        assert self._launcher.stdout is not None
        self._launcher.stdin.write(b"\n")
        self._launcher.stdin.flush()
        while self._launcher.stdout.readline() not in (b"ended\n", b""):
            pass

    def _write_data(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(str(self._folder / "onnx" / "test.onnx"), options)
        told: dict[str, list[object]] = {"inputs": [], "outputs": [each.name for each in self._model.graph.output]}
        feeds = {}
        for each in session.get_inputs():
            sizes = [size if isinstance(size, int) else 1 for size in each.shape]
            told["inputs"].append({"name": each.name, "shape": sizes})
            feeds[each.name] = np.random.default_rng().uniform(0.1, 1.2, sizes).astype(np.float32)
        (self._folder / "onnx" / "input.json").write_text(json.dumps(told))
        results = dict(zip([str(each) for each in told["outputs"]], session.run(None, feeds), strict=True))
        for name, array in (feeds | results).items():
            path = self._folder / "onnx" / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w") as file:
                np.savetxt(file, array.flatten())


if __name__ == "__main__":
    sys.exit(main())
