"""LSTM and GRU as MNN's own ops and as loops: the time of one run and the size of the file, side by side.

`python tests/benchmarks/recurrent_forms.py`; takes a minute. One thread, processor time, medians of alternating runs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mnncompat import mnn
from mnncompat.mnn import ConvertOptions, Limits

LAYERS = ((6, 1, 4, 8, 1), (32, 1, 64, 64, 1), (40, 1, 288, 48, 2), (100, 1, 128, 128, 1), (100, 8, 128, 128, 2))
"""Steps, batch, inputs, units, directions."""
LARGE = (50, 1, 256, 512, 1)
RUN = """
import sys, time
import numpy as np
from MNN import expr, nn
shape = [int(each) for each in sys.argv[1].split(",")]
modules = [nn.load_module_from_file(path, ["x"], ["y"], thread_num=1) for path in sys.argv[2:]]
values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
given = [expr.const(values, shape, expr.NCHW) for _ in modules]
for _ in range(40):
    for module, each in zip(modules, given):
        start = time.process_time()
        module.forward([each])[0].read()
        print("took", time.process_time() - start)
"""


def layer(op: str, steps: int, batch: int, inputs: int, units: int, directions: int) -> onnx.ModelProto:
    """A model of one layer, as torch writes it."""
    gates = {"LSTM": 4, "GRU": 3}[op] * units
    random = np.random.default_rng(0)
    shapes = {"w": (directions, gates, inputs), "r": (directions, gates, units), "b": (directions, 2 * gates)}
    weights = {name: random.uniform(-0.1, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    results = ["y", "h", "c"] if op == "LSTM" else ["y", "h"]
    direction = "bidirectional" if directions > 1 else "forward"
    node = helper.make_node(op, ["x", *shapes], results, hidden_size=units, direction=direction)
    if op == "GRU":
        node.attribute.append(helper.make_attribute("linear_before_reset", 1))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, batch, inputs])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [steps, directions, batch, units])
    stored = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph([node], "layer", [given], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main() -> None:
    """Print one line for each layer."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "layer.onnx"
        for op in ("LSTM", "GRU"):
            for sizes in (*LAYERS, LARGE):
                onnx.save(layer(op, *sizes), source)
                files = [Path(place) / "loops.mnn", Path(place) / "ops.mnn"]
                for file, as_ops in zip(files, (False, True), strict=True):
                    options = ConvertOptions(recurrent_ops=as_ops)
                    done = mnn.convert(source, file, options=options, limits=Limits())
                    assert isinstance(done, mnn.Converted), done
                shape = ",".join(map(str, sizes[:3]))
                words = [sys.executable, "-c", RUN, shape, *map(str, files)]
                told = subprocess.run(words, capture_output=True, check=True, text=True).stdout.splitlines()
                took = [float(line.split()[1]) for line in told if line.startswith("took")]
                loops, ops = (statistics.median(took[place::2][5:]) * 1000 for place in (0, 1))
                bytes_ = " and ".join(f"{file.stat().st_size:,}" for file in files)
                sys.stdout.write(
                    f"{op} {sizes}: loops {loops:.2f} ms, ops {ops:.2f} ms, ratio {ops / loops:.2f}; {bytes_} bytes\n"
                )


if __name__ == "__main__":
    main()
