"""LSTM and GRU as MNN's own ops and as loops: the time of one run, side by side.

    python tests/benchmarks/recurrent_forms.py               # all layers
    python tests/benchmarks/recurrent_forms.py --units 512   # those of 512 units
    python tests/benchmarks/recurrent_forms.py --record      # write rules/recurrent.json, by which the form is chosen

32 to 512 units, as many inputs, batch 1 to 8, 8 to 64 steps, one direction. One thread, processor time, medians of
alternating runs. Layers that were not measured this time stay in the file as they are.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mnncompat import mnn
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.support.releases import installed_version
from mnncompat.support.rule_files import root

OPS, UNITS, BATCHES, STEPS = ("LSTM", "GRU"), (32, 64, 128, 256, 512), (1, 2, 4, 8), (8, 16, 64)
RUN = """
import json, statistics, sys, time
import numpy as np
from MNN import expr, nn
shape = [int(each) for each in sys.argv[1].split(",")]
modules = [nn.load_module_from_file(path, ["x"], ["y"], thread_num=1) for path in sys.argv[2:]]
values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
given = [expr.const(values, shape, expr.NCHW) for _ in modules]
took = [[] for _ in modules]
begin = time.monotonic()
while len(took[0]) < 6 or (len(took[0]) < 40 and time.monotonic() - begin < 0.6):
    for times, module, each in zip(took, modules, given):
        start = time.process_time()
        module.forward([each])[0].read()
        times.append(1000 * (time.process_time() - start))
print("took", json.dumps([statistics.median(times[1:]) for times in took]))
"""


def layer(op: str, units: int, batch: int, steps: int) -> onnx.ModelProto:
    """A model of one layer, as torch writes it."""
    gates = {"LSTM": 4, "GRU": 3}[op] * units
    random = np.random.default_rng(0)
    shapes = {"w": (1, gates, units), "r": (1, gates, units), "b": (1, 2 * gates)}
    weights = {name: random.uniform(-0.1, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    results = ["y", "h", "c"] if op == "LSTM" else ["y", "h"]
    node = helper.make_node(op, ["x", *shapes], results, hidden_size=units)
    if op == "GRU":
        node.attribute.append(helper.make_attribute("linear_before_reset", 1))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, batch, units])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [steps, 1, batch, units])
    stored = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph([node], "layer", [given], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def measured(op: str, units: int, batch: int, steps: int, folder: Path) -> tuple[float, float]:
    """Milliseconds of a run, as loops and as ops."""
    source, files = folder / "layer.onnx", [folder / "loops.mnn", folder / "ops.mnn"]
    onnx.save(layer(op, units, batch, steps), source)
    for file, as_ops in zip(files, (False, True), strict=True):
        done = mnn.convert(source, file, options=ConvertOptions(recurrent_ops=as_ops), limits=Limits())
        assert isinstance(done, mnn.Converted), done
    words = [sys.executable, "-c", RUN, f"{steps},{batch},{units}", *map(str, files)]
    told = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    (line,) = [each for each in told.splitlines() if each.startswith("took ")]
    loops, ops = json.loads(line.removeprefix("took "))
    return loops, ops


def main() -> None:
    """Print one line for each layer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--units", type=int, action="append", choices=UNITS, help="only layers of this size")
    parser.add_argument("--op", action="append", choices=OPS, help="only layers of this operator")
    parser.add_argument("--record", action="store_true", help="write them to rules/recurrent.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for sizes in itertools.product(options.op or OPS, options.units or UNITS, BATCHES, STEPS):
            op, units, batch, steps = sizes
            loops, ops = measured(*sizes, Path(place))
            sys.stdout.write(f"{op} {units} units, batch {batch}, {steps} steps: ops / loops {ops / loops:.2f}\n")
            sys.stdout.flush()
            if options.record:
                row = {"op": op, "units": units, "batch": batch, "steps": steps}
                _write(row | {"loops": round(loops, 3), "ops": round(ops, 3)})


def _write(row: dict[str, str | int | float]) -> None:
    path = root() / "recurrent.json"
    known = json.loads(path.read_text(encoding="utf-8"))["layers"] if path.exists() else []
    sizes = ("op", "units", "batch", "steps")
    merged = {tuple(each[name] for name in sizes): each for each in (*known, row)}
    facts = {
        "about": "tests/benchmarks/recurrent_forms.py --record: milliseconds of one run, one thread",
        "mnn": installed_version(),
        "machine": platform.machine(),
    }
    lines = ",\n    ".join(json.dumps(each) for each in merged.values())
    head = json.dumps(facts, indent=2).removesuffix("\n}")
    path.write_text(f'{head},\n  "layers": [\n    {lines}\n  ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
