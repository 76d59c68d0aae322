"""How long MNN takes to run fully connected heads: as they are, and in each form that MNN801 can write.

    python tests/benchmarks/heads.py                     # all heads; exit status 1 if what is chosen is slower
    python tests/benchmarks/heads.py norm flatten        # those of these kinds or sources
    python tests/benchmarks/heads.py --record            # write rules/heads.json, from which the form is chosen

All forms of a head are loaded into one process and run in turn, in changing order; what counts is the median of the
ratios of neighbouring runs, original / rewritten: above 1 the rewrite wins. Times of one run are medians; with one
thread they are processor time. Module API, batch 1 and 8, one and two threads. Run it with `make heads`.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.mnn import Converted, ConvertOptions, Limits, convert, worker
from mnncompat.report.version import tool_version
from mnncompat.support.head_form import HeadForm
from mnncompat.support.releases import installed_version
from mnncompat.support.rule_files import root
from mnncompat.support.target import Target

BATCHES, THREADS = (1, 8), (1, 2)
ROUNDS = 90
LEAST_SECONDS = 0.001
"""Duration of one form's part of a round: short heads run several times."""
COMBINED = "combined"
LIMIT = 1 / 1.03
"""The lowest ratio of a chosen form, in the median of its four settings."""
_SETTINGS = [(batch, threads) for threads in THREADS for batch in BATCHES]


class Head(NamedTuple):
    """A head.

    Attributes:
        source: How the features are made: ``flatten``, ``nhwc`` (flattened after a transpose), ``mean`` (over
            height and width), ``pool`` (the same as a pool, flattened) or ``input``.
        features: C, H and W.
        layers: Numbers of outputs and names of operators, in order: ``500 norm relu 10``.
    """

    source: str
    features: tuple[int, int, int]
    layers: str

    @property
    def kind(self) -> str:
        """The layers without their sizes: ``fc norm relu fc``."""
        return " ".join("fc" if each.isdigit() else each for each in self.layers.split())


def heads() -> Iterator[Head]:
    """All heads: C*H*W from 64 to 25,088, 10 to 4,096 outputs, H x W from 1x1 to 14x14."""
    maps = ((64, 1), (512, 1), (2048, 1), (16, 2), (256, 2), (50, 4), (128, 4), (16, 5), (64, 7), (512, 7), (32, 14))
    for channels, side in maps:
        for layers in ("10", "128 relu 10", "512 norm relu 10"):
            yield Head("flatten", (channels, side, side), layers)
    for channels, side in ((512, 1), (50, 4), (64, 7)):
        size = (channels, side, side)
        for layers in _OTHERS:
            yield Head("flatten", size, layers)
        for source in ("nhwc", "input"):
            yield Head(source, size, "10")
            yield Head(source, size, "128 relu 10")
    for channels, side in ((16, 5), (64, 7), (512, 7), (1280, 7), (256, 14), (32, 28)):
        for source in ("mean", "pool"):
            for layers in ("10", "1000", "128 relu 10"):
                yield Head(source, (channels, side, side), layers)
    for channels, side, layers in ((64, 1, "4096 relu 10"), (512, 1, "1000"), (2048, 1, "1000"), (256, 6, "4096")):
        yield Head("flatten", (channels, side, side), layers)
    yield Head("flatten", (512, 7, 7), "4096 relu 4096 relu 1000")


_OTHERS = (
    *("128", "128 relu", "128 norm", "128 norm relu", "128 sigmoid", "128 leaky", "128 softmax"),
    *("128 10", "120 relu 84 relu 10", "128 relu 10 softmax", "128 sigmoid 10", "128 tanh 10", "128 leaky 10"),
)


def model_of(head: Head) -> ModelProto:
    """The head alone, with any batch size; weights do not matter but are the same every time."""
    rng = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    stored: list[TensorProto] = []

    def add(op: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], name=f"n{len(nodes)}", **attributes))
        return str(nodes[-1].output[0])

    def keep(values: np.ndarray) -> str:
        stored.append(numpy_helper.from_array(values.astype(np.float32), f"w{len(stored)}"))
        return str(stored[-1].name)

    shape = (math.prod(head.features),) if head.source == "input" else head.features
    value = _SOURCES[head.source](add)
    size = head.features[0] if head.source in _POOLED else math.prod(head.features)
    for word in head.layers.split():
        if not word.isdigit():
            value = _BETWEEN[word](add, keep, value, size)
            continue
        weight = keep(rng.standard_normal((int(word), size)) / math.sqrt(size))
        size = int(word)
        value = add("Gemm", value, weight, keep(rng.standard_normal(size)), transB=1)
    ends = [("x", ["N", *shape]), (value, ["N", size])]
    given, made = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)] for name, dims in ends)
    graph = helper.make_graph(nodes, "head", given, made, stored)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])


_Add = Callable[..., str]
_Keep = Callable[[np.ndarray], str]


def _norm(add: _Add, keep: _Keep, value: str, size: int) -> str:
    statistics_ = [np.full(size, 1.5), np.full(size, 0.1), np.full(size, 0.2), np.full(size, 0.7)]
    return add("BatchNormalization", value, *map(keep, statistics_))


_POOLED = ("mean", "pool")
_SOURCES: dict[str, Callable[[_Add], str]] = {
    "flatten": lambda add: add("Flatten", "x", axis=1),
    "nhwc": lambda add: add("Flatten", add("Transpose", "x", perm=[0, 2, 3, 1]), axis=1),
    "mean": lambda add: add("ReduceMean", "x", axes=[2, 3], keepdims=0),
    "pool": lambda add: add("Flatten", add("GlobalAveragePool", "x"), axis=1),
    "input": lambda _add: "x",
}
_BETWEEN: dict[str, Callable[[_Add, _Keep, str, int], str]] = {
    "norm": _norm,
    "relu": lambda add, _keep, value, _size: add("Relu", value),
    "sigmoid": lambda add, _keep, value, _size: add("Sigmoid", value),
    "tanh": lambda add, _keep, value, _size: add("Tanh", value),
    "leaky": lambda add, _keep, value, _size: add("LeakyRelu", value, alpha=0.1),
    "softmax": lambda add, _keep, value, _size: add("Softmax", value, axis=1),
}


class Row(NamedTuple):
    """What was measured, a value for each batch size and number of threads.

    Attributes:
        original: Seconds of one run of the head as it is.
        ratios: original / rewritten, by form.
        chosen: What `fix` writes for the installed MNN: a form, or ``combined`` where it has combined layers and left
            the one as it is; empty if it leaves the head alone.
    """

    original: list[float]
    ratios: dict[str, list[float]]
    chosen: str


def measured(head: Head) -> Row:
    """All forms of a head."""
    proto = model_of(head)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        models = {"original": proto} | {
            str(form): fix_model(from_proto(proto), target=Target(head=form), prove=False).model.proto
            for form in HeadForm
        }
        chosen = fix_model(from_proto(proto), prove=False)
        same = [name for name, model in models.items() if model == chosen.model.proto]
        if not same:
            models[COMBINED] = chosen.model.proto
            same = [COMBINED]
        for name, model in models.items():
            source, file = folder / "model.onnx", folder / f"{name}.mnn"
            onnx.save(model, source)
            converted = convert(source, file, options=ConvertOptions(), limits=Limits())
            assert isinstance(converted, Converted), converted
        names = models.keys()
        timed = [timings(head, folder, list(names), threads) for threads in THREADS]
    together = {name: [value for each in timed for value in each[name]] for name in timed[0]}
    original = together.pop("original")
    return Row(original, together, same[0] if chosen.changed else "")


def timings(head: Head, folder: Path, names: list[str], threads: int) -> dict[str, list[float]]:
    """What a process measures: seconds of the original, ratios of the others, for each batch size."""
    features = [math.prod(head.features)] if head.source == "input" else list(head.features)
    request = {"folder": str(folder), "features": features, "names": names, "threads": threads}
    command = [sys.executable, __file__, "--child", json.dumps(request)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found: dict[str, list[float]] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def child(folder: Path, features: list[int], names: list[str], threads: int) -> None:
    """Run the files of a folder in turn; in a process of its own, because threads and caches of others would count."""
    files = [folder / f"{name}.mnn" for name in names]
    modules = [worker.load(str(file), [], [], threads=threads) for file in files]
    clock = time.process_time if threads == 1 else time.perf_counter
    result: dict[str, list[float]] = {file.stem: [] for file in files}
    for batch in BATCHES:
        x = np.random.default_rng(1).standard_normal((batch, *features)).astype(np.float32)

        def seconds(number: int, times: int, x: np.ndarray = x) -> float:
            module = modules[number]
            info = module.get_info()
            begin = clock()
            for _ in range(times):
                worker.forward(module, info["inputs"], ["x"], [x], ["y"])
            return (clock() - begin) / times

        for number in range(len(files)):
            seconds(number, 2)
        times = max(1, round(LEAST_SECONDS / max(1e-7, seconds(0, 3))))
        rounds = [{n: seconds(n, times) for n in _order(turn, len(files))} for turn in range(ROUNDS)]
        result["original"].append(statistics.median(each[0] for each in rounds))
        for number, file in enumerate(files[1:], start=1):
            result[file.stem].append(statistics.median(each[0] / each[number] for each in rounds))
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def _order(turn: int, count: int) -> list[int]:
    """Another one first in every round, forwards and backwards."""
    turned = [(turn + step) % count for step in range(count)]
    return turned if turn // count % 2 else turned[::-1]


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit status is 1 if a form that is chosen became slower than the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only heads whose source or kind has one of these")
    parser.add_argument("--record", action="store_true", help="write them to rules/heads.json")
    options = parser.parse_args(arguments)
    slower = []
    print(f"{'head':<52}{'original in us':>34}   " + "   ".join(f"{form:>22}" for form in HeadForm) + "   chosen")
    for head in heads():
        name = f"{head.source} {'x'.join(map(str, head.features))} {head.layers}"
        if options.words and not set(options.words) & set(name.split()):
            continue
        row = measured(head)
        if options.record:
            _write([_recorded(head, row)])
        base = "".join(f"{value * 1e6:>8.1f}" for value in row.original)
        ratios = "   ".join("".join(f"{ratio:>5.2f}" for ratio in row.ratios[form]) for form in row.ratios)
        print(f"{name:<52}{base}   {ratios}   {row.chosen or '-'}", flush=True)
        if row.chosen and statistics.median(row.ratios[row.chosen]) < LIMIT:
            slower.append(name)
    return int(bool(slower))


def _recorded(head: Head, row: Row) -> dict[str, Any]:
    return {
        "source": head.source,
        "features": list(head.features),
        "layers": head.layers,
        "original": [round(value * 1e6, 1) for value in row.original],
        **{form: [round(ratio, 3) for ratio in ratios] for form, ratios in row.ratios.items()},
    }


def _write(rows: list[dict[str, Any]]) -> None:
    """One line for each head; heads that were not measured this time stay as they are."""
    path = root() / "heads.json"
    known = json.loads(path.read_text(encoding="utf-8"))["heads"] if path.exists() else []
    merged = {(row["source"], *row["features"], row["layers"]): row for row in (*known, *rows)}
    facts = {
        "about": "tests/benchmarks/heads.py --record: microseconds of a run as it is, and original / rewritten by form",
        "mnn": installed_version(),
        "mnncompat": tool_version(),
        "machine": platform.machine(),
        "settings": [{"batch": batch, "threads": threads} for batch, threads in _SETTINGS],
    }
    lines = ",\n    ".join(json.dumps(row) for row in merged.values())
    head = json.dumps(facts, indent=2).removesuffix("\n}")
    path.write_text(f'{head},\n  "heads": [\n    {lines}\n  ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        asked = json.loads(sys.argv[2])
        child(Path(asked["folder"]), asked["features"], asked["names"], asked["threads"])
    else:
        sys.exit(main(sys.argv[1:]))
