"""What check, fix and convert cost, against the libraries that do a part of it: curves, and a table with ratios.

Everything is run in turn, several times, with empty caches of this tool; medians of processor seconds are compared,
those of children included. The peers get an environment of their own, made at the first run. Run it with
`make bench-cost`; `make bench-cost COST="curves"` prints the curves alone, `COST="table"` the table, `COST="check"` its
rows about check, and `COST="weights"` models of many gigabytes (up to COST_MOST_MB, 1000).
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import cost_models as models
from benchmarks import cost_weights

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "examples" / "mnist" / "mnist-fc.onnx"
PEERS = ROOT / "build" / "peers"
PACKAGES = ("polygraphy", "onnxslim", "onnxsim", "onnx", "onnxruntime")
ROUNDS = int(os.environ.get("COST_ROUNDS", "5"))
OURS = [sys.executable, "-m", "mnncompat"]
_LOAD = "import sys, onnx; onnx.load(sys.argv[1])"
_INFER = "import sys, onnx, onnx.shape_inference as s; s.infer_shapes(onnx.load(sys.argv[1]))"

_CONVERT = (
    "import sys, _tools; _tools.mnnconvert(['MNNConvert', '-f', 'ONNX', '--modelFile', sys.argv[1],"
    " '--MNNModel', sys.argv[2], '--bizCode', 'MNN'])"
)
_RUN_ONNX = (
    "import sys, numpy, onnxruntime as o\n"
    "q = o.SessionOptions(); q.intra_op_num_threads = 1\n"
    "s = o.InferenceSession(sys.argv[1], q, providers=['CPUExecutionProvider'])\n"
    "s.run(None, {sys.argv[2]: numpy.ones([int(d) for d in sys.argv[3].split(',')], numpy.float32)})"
)
_RUN_MNN = (
    "import sys, numpy, MNN.nn as nn, MNN.expr as expr\n"
    "m = nn.load_module_from_file(sys.argv[1], [sys.argv[2]], [])\n"
    "s = [int(d) for d in sys.argv[3].split(',')]\n"
    "m.onForward([expr.const(numpy.ones(s, numpy.float32), s, expr.NCHW)])[0].read()"
)


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        name: What is done with which model.
        ours: The command of this tool.
        peer: What it is compared with.
        commands: Those of the peer; their costs are added.
        limit: Ratio that is wanted.
        keeps_cache: Whether runs share a cache of this tool, which the first, uncounted one fills.
    """

    name: str
    ours: list[str]
    peer: str
    commands: list[list[str]]
    limit: float
    keeps_cache: bool = False


def main(arguments: Sequence[str]) -> int:
    """Print what is asked for, or everything; the exit status is 1 if a ratio is above its limit."""
    wanted = set(arguments) or {"table", "curves", "weights"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "curves" in wanted:
            curves(folder)
        if "weights" in wanted:
            os.environ["XDG_CACHE_HOME"] = name
            cost_weights.weights(folder, OURS, peer, min(ROUNDS, 3), int(os.environ.get("COST_MOST_MB", "1000")))
        if "check" in wanted:
            return table(folder, "check")
        return table(folder) if "table" in wanted else 0


def processor_seconds(command: list[str], kept: str = "") -> float:
    """Processor seconds of a command and of its children; the caches of this tool are empty, if none is kept."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": kept or cache, "PYTHONDONTWRITEBYTECODE": ""}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def medians(*sets: list[list[str]], keeps_cache: bool = False) -> list[float]:
    """Medians of the added costs of several sets of commands, run in turn; the first run is not counted."""
    found: list[list[float]] = [[] for _ in sets]
    with tempfile.TemporaryDirectory() as cache:
        for number in range(ROUNDS + 1):
            for seconds, commands in zip(found, sets, strict=True):
                took = sum(processor_seconds(each, cache if keeps_cache else "") for each in commands)
                if number:
                    seconds.append(took)
    return [statistics.median(each) for each in found]


# ---- curves ----------------------------------------------------------------------------------------------------------


def curves(folder: Path) -> None:
    """Cost by the number of nodes, consumers and matches: in the last column it should stay, or fall."""
    nodes, readers, matches = (1_000, 10_000, 50_000, 100_000), (10, 1_000, 10_000, 50_000), (100, 500, 2_000, 5_000)
    curve("check, nodes", nodes, lambda n: [*OURS, "check", str(models.chain(folder / "m.onnx", n))])
    curve("check, consumers", readers, lambda n: [*OURS, "check", str(models.consumers(folder / "m.onnx", n))])
    curve("check, matches", matches, lambda n: [*OURS, "check", str(models.heads(folder / "m.onnx", n))])
    fixed = str(folder / "fixed.onnx")
    curve("fix, matches", matches, lambda n: [*OURS, "fix", str(models.heads(folder / "m.onnx", n)), "-o", fixed])


def curve(name: str, sizes: Sequence[int], command: Callable[[int], list[str]]) -> None:
    """Print seconds by size."""
    start = processor_seconds([*OURS, "check", str(TUTORIAL)])
    print(f"{name:<18}   CPU s   microseconds for each beyond the start")
    for size in sizes:
        made = command(size)
        seconds = min(processor_seconds(made) for _ in range(2))
        print(f"{size:>18} {seconds:7.2f}   {(seconds - start) / size * 1e6:9.1f}", flush=True)


# ---- table -----------------------------------------------------------------------------------------------------------


def table(folder: Path, command: str = "") -> int:
    """Print the rows about a command, or all; 1 if one is above its limit."""
    failed = 0
    print(f"{'case':<40} {'peer':<34} {'ours':>7} {'peer':>7} {'ratio':>6} {'limit':>6}")
    for row in filter(lambda row: row.name.startswith(command), rows(folder)):
        ours, theirs = medians([row.ours], row.commands, keeps_cache=row.keeps_cache)
        ratio = ours / theirs if theirs else float("inf")
        failed |= ratio > row.limit
        print(f"{row.name:<40} {row.peer:<34} {ours:7.2f} {theirs:7.2f} {ratio:6.2f} {row.limit:6.2f}", flush=True)
    failed |= many(folder)
    return int(failed)


def rows(folder: Path) -> list[Row]:
    """The rows that can be run here: the recognition model comes from a package of trained models."""
    found = [Row("check, tutorial", check(TUTORIAL), "onnx.load", [python(_LOAD, TUTORIAL)], 1.1)]
    blocks = models.transformer(folder / "transformer.onnx", 224)
    long = models.chain(folder / "chain.onnx", 50_000)
    wide = models.consumers(folder / "wide.onnx", 20_000)
    many_heads = models.heads(folder / "heads.onnx", 2_000)
    products, _ = cost_weights.build(folder / "products.onnx", 24, 1024)
    fixed = folder / "products-fixed.onnx"
    subprocess.run([*OURS, "fix", str(products), "-o", str(fixed), "--no-verify"], check=True, capture_output=True)
    found += [
        Row("check, transformer of 11,200 nodes", check(blocks), "polygraphy inspect", [inspect(blocks)], 1.0),
        Row("check, 50,000 nodes", check(long), "onnx.load + infer_shapes", [python(_INFER, long)], 2.5),
        Row("check, value with 20,000 consumers", check(wide), "polygraphy inspect", [inspect(wide)], 3.0),
        Row(
            "fix, 2,000 of 5,000 nodes",
            [*OURS, "fix", str(many_heads), "-o", str(folder / "fixed.onnx")],
            "onnxsim",
            [[str(peer("onnxsim")), str(many_heads), str(folder / "simple.onnx")]],
            1.0,
        ),
        converting("100 MB of products", products, fixed, "x:1,8,1024", 2.0, folder),
    ]
    recognition = Path(os.environ.get("COST_RECOGNITION", ""))
    if not recognition.is_file():
        print(
            "set COST_RECOGNITION to ch_PP-OCRv4_rec_infer.onnx of rapidocr-onnxruntime for its rows", file=sys.stderr
        )
        return found
    inferred = [python(_INFER, recognition)]
    simpler = [str(peer("onnxslim")), str(recognition), str(folder / "slim.onnx")]
    fixing = [*OURS, "fix", str(recognition), "-o", str(folder / "fixed.onnx")]
    return [
        *found,
        Row("check, recognition", check(recognition), "onnx.load + infer_shapes", inferred, 1.2),
        Row("check, recognition", check(recognition), "polygraphy inspect", [inspect(recognition)], 1.0),
        Row("fix, recognition", fixing, "onnxslim", [simpler], 1.0),
        converting("recognition", recognition, recognition, "x:1,3,64,96", 2.5, folder),
    ]


def converting(name: str, model: Path, bare: Path, given: str, limit: float, folder: Path) -> Row:
    """Converting a model, the power from its cache, against the converter and one run of each side on one thread.

    Args:
        name: Of the model.
        model: What is converted.
        bare: What the bare converter is given: the model, or what `fix` made of it.
        given: Name and shape of the input of these runs; ours begins with the same.
        limit: Ratio that is wanted.
        folder: For what the converter writes.
    """
    value, shape = given.split(":")
    made = folder / "bare.mnn"
    steps = [python(_CONVERT, bare, made), python(_RUN_ONNX, bare, value, shape), python(_RUN_MNN, made, value, shape)]
    ours = [*OURS, "convert", str(model), "--dry-run", "-q"]
    return Row(f"convert, {name}", ours, "conversion, one run of each", steps, limit, keeps_cache=True)


def many(folder: Path) -> bool:
    """Print how many small models a check takes in a second; True if they are too few."""
    files = [str(each) for each in models.small_models(folder / "small", 1_000)]
    (seconds,) = medians([[*OURS, "check", *files]])
    rate = len(files) / seconds
    print(f"{'check, 1,000 small models in one call':<40} {rate:.0f} models a CPU second; 500 are wanted")
    return rate < 500


def check(model: Path) -> list[str]:
    """The command that checks a model."""
    return [*OURS, "check", str(model), "--fail-on", "never"]


def python(program: str, *words: object) -> list[str]:
    """The command that runs a program in this environment."""
    return [sys.executable, "-c", program, *map(str, words)]


def inspect(model: Path) -> list[str]:
    """What polygraphy says about a model."""
    return [str(peer("polygraphy")), "inspect", "model", str(model)]


def peer(name: str) -> Path:
    """The program of a peer, in an environment that is made if there is none."""
    python_of_peers = PEERS / "bin" / "python"
    if not python_of_peers.exists():
        print(f"making {PEERS} with {', '.join(PACKAGES)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([str(python_of_peers), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return PEERS / "bin" / name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
