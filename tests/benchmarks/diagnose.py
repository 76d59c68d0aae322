"""How long `mnncompat diagnose` takes, against the bisection of MNN's own `testMNNFromOnnx.py`, on a failing model.

That algorithm is written anew here: the model is converted anew for each question, one draw in [0.1, 1.2] is written as
text, the converter compares, and the path of dominators to the first output is bisected. Each model gets a fault behind
a convolution after a quarter, half and three quarters of it; the median of the ratios is what counts.

    python tests/benchmarks/diagnose.py [--pymnn] [MODEL@1,3,640,640 ...]

What the script does for each question is done here as well: the model is saved, ONNX Runtime starts a session with its
defaults, all inputs and outputs are written with `numpy.savetxt` into files that were opened before, and the converter
reads them (`--testdir`). The run with which a user finds out that the model fails is not counted. The script starts the
program MNNConvert, if one was built, or else `mnnconvert`, which is an interpreter that imports MNN: that is `--pymnn`,
without what MNN's own tools send and install. The program is stood for by a fork that is as quick to start.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
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
MEMORY, BASE = 3, 120_000_000
"""How often the model and its values may be in the largest process, beside the libraries. MNN's converter may take
more: no less than in the bisection."""
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
    return int(bad or wall > LIMIT)


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
    values = sum(int(np.prod(each["shape"])) * np.dtype(each["dtype"]).itemsize for each in result["layers"])
    print(f"  bisection {theirs.wall:6.1f} s, {theirs.processor:6.1f} s of CPU: {theirs.said.strip()}")
    print(f"  diagnose  {ours.wall:6.1f} s, {ours.processor:6.1f} s of CPU: {', '.join(named)}")
    print(
        f"  ratio {ratio:.3f}, of CPU {seconds:.3f}; largest process {ours.peak / 1e6:.0f} MB, of the bisection "
        f"{theirs.peak / 1e6:.0f} MB; the model {size / 1e6:.0f} MB, its values {values / 1e6:.0f} MB",
        flush=True,
    )
    is_large = ours.peak > max(BASE + MEMORY * (size + values), theirs.peak)
    return ratio, seconds, "fault" not in named or is_large


class Used(NamedTuple):
    """What a command took: seconds, and bytes of the largest of its processes; and what it said."""

    wall: float
    processor: float
    peak: int
    said: str


def _used(command: list[str]) -> Used:
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = child.stdout.read()
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    wall = time.perf_counter() - begin
    used = [usage, *_orphans()]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    return Used(wall, seconds, max(each.ru_maxrss for each in used) * 1024, said)


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
        name, steps = bisection.run()
    print(f"{name}, {steps} conversions")
    return 0


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
