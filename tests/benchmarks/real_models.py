"""How long MNN takes to run trained models, before and after `mnncompat fix`.

Both are loaded into one process and run in turn, on one thread, many times; the result is the median of the ratios of
processor time, and the median over several processes: the addresses of memory alone change the time by a percent or
two. A model that `fix` does not change is not measured. Run it with `make bench`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

import mnncompat
from mnncompat.mnn import Converted, ConvertOptions, Limits, convert, worker
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.signature import input_signature, output_names
from mnncompat.results.diagnostics import Severity

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from trained import MODELS, wheels

MEMORY = 1 << 32
PROCESSES, ROUNDS = 3, 41
LEAST_SECONDS = 0.02
"""Duration of one model's part of a round: short models run several times."""
LIMIT = 1.02


class Pair(NamedTuple):
    """What was measured: medians of one run in seconds, and the median of the ratios."""

    original: float
    fixed: float
    ratio: float


def main(names: Sequence[str]) -> int:
    """Measure and print; the exit status is 1 if a model that runs became slower than the limit."""
    slower = []
    for name in names or MODELS:
        was_right = not any(each.severity is Severity.ERROR for each in mnncompat.check(path_of(name)).diagnostics)
        with tempfile.TemporaryDirectory() as folder:
            found = compared(name, Path(folder))
        if isinstance(found, str):
            print(f"{name:<18} {found}")
            continue
        print(
            f"{name:<18} original {found.original * 1e3:8.3f} ms   fixed {found.fixed * 1e3:8.3f} ms   "
            f"ratio {found.ratio:.3f}{'' if was_right else '   (wrong as it was)'}",
            flush=True,
        )
        slower += [name] if was_right and found.ratio > LIMIT else []
    return int(bool(slower))


def path_of(name: str) -> Path:
    """The file of a model."""
    return wheels() / MODELS[name].path


def compared(name: str, folder: Path) -> Pair | str:
    """Both forms of a model, or why there is nothing to compare."""
    model, path = MODELS[name], path_of(name)
    fixed = mnncompat.fix(path, prove=False)
    if not fixed.changed:
        return "as it was"
    proto = onnx.load(path)
    onnx.save(fixed.model.proto, folder / "fixed.onnx")
    files = folder / "original.mnn", folder / "fixed.mnn"
    for source, file in zip((path, folder / "fixed.onnx"), files, strict=True):
        converted = convert(source, file, options=ConvertOptions(), limits=Limits())
        if not isinstance(converted, Converted):
            return f"{file.name}: {converted.message}"
    signature = input_signature(proto)
    static = {spec.name: tuple(dim for dim in spec.shape or () if isinstance(dim, int)) for spec in signature}
    shapes = static | dict(model.shapes)
    plan = next(InputPlanner(proto, signature, shapes, model.inputs, seed=0, memory=MEMORY).plans())
    (draw,) = plan.feeds(["uniform"])
    np.savez(folder / "feeds.npz", *(draw.arrays[spec.name] for spec in signature))
    request = {
        "files": [str(file) for file in files],
        "inputs": [spec.name for spec in signature],
        "outputs": list(output_names(proto)),
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    return sorted((measured(folder) for _ in range(PROCESSES)), key=lambda pair: pair.ratio)[PROCESSES // 2]


def measured(folder: Path) -> Pair:
    """What a process measures."""
    subprocess.run([sys.executable, __file__, "--pair", folder], check=True, stdout=subprocess.DEVNULL)
    return Pair(*json.loads((folder / "result.json").read_text(encoding="utf-8")))


class Run:
    """A loaded file and what it is fed.

    Args:
        file: The `.mnn` file.
        inputs: Names of its inputs.
        outputs: Names of its outputs.
        arrays: What is fed, in the order of `inputs`.
    """

    def __init__(self, file: str, inputs: list[str], outputs: list[str], arrays: list[np.ndarray]) -> None:
        self._module = worker.load(file, inputs, outputs)
        self._entries = self._module.get_info()["inputs"]
        self._inputs, self._outputs, self._arrays = inputs, outputs, arrays

    def seconds(self, times: int) -> float:
        """Processor time of one run, reading the outputs included."""
        begin = time.process_time()
        for _ in range(times):
            worker.forward(self._module, self._entries, self._inputs, self._arrays, self._outputs)
        return (time.process_time() - begin) / times


def measure(folder: Path) -> None:
    """Run both files of a request in turn; in a process of its own, because MNN may end it."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    arrays = list(np.load(folder / "feeds.npz").values())
    runs = [Run(file, request["inputs"], request["outputs"], arrays) for file in request["files"]]
    for run in runs:
        run.seconds(1)
    times = max(1, round(LEAST_SECONDS / runs[0].seconds(1)))
    rounds = [both(runs, times, order=((0, 1), (1, 0))[number % 2]) for number in range(ROUNDS)]
    original, fixed = (statistics.median(side) for side in zip(*rounds, strict=True))
    ratio = statistics.median(after / before for before, after in rounds)
    (folder / "result.json").write_text(json.dumps([original, fixed, ratio]), encoding="utf-8")


def both(runs: Sequence[Run], times: int, *, order: Sequence[int]) -> tuple[float, float]:
    """One round."""
    found = {number: runs[number].seconds(times) for number in order}
    return found[0], found[1]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--pair"]:
        measure(Path(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1:]))
