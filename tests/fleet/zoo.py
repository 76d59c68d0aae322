"""Models of 20 kinds, as many as are wanted, all different: what a company's folder of models holds, small.

python tests/fleet/zoo.py FOLDER --count 1000
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from onnx import ModelProto, helper, numpy_helper, parser

# Name -> text; W, V, B and C are weights of the shapes that stand in front.
_CONV = "W:{c},3,3,3 B:{c} | (float[1,3,{s},{s}] x) => (float[1,{c},{t},{t}] y) { %s }"
_MLP = "W:{s},{c} V:{c},4 B:{c} | (float[2,{s}] x) => (float[2,4] y) { %s }"
_SEQ = "W:{c},{c} V:{c},{c} B:{c} | (float[1,{s},{c}] x) => (float[1,{s},{c}] y) { %s }"
_IMAGE = "W:{c},3,3,3 V:4,{c} B:{c} | (float[1,3,{s},{s}] x) => (float[1,4] y) { %s }"
_HEAD = "p = GlobalAveragePool(r) f = Flatten(p) y = Gemm <transB=1> (f, V)"
KINDS = {
    "conv-relu": _CONV % "c = Conv(x, W, B) y = Relu(c)",
    "conv-sigmoid": _CONV % "c = Conv(x, W, B) y = Sigmoid(c)",
    "conv-clip": _CONV
    % "c = Conv(x, W, B) l = Constant <value = float {0.0}> () h = Constant <value = float {6.0}> () y = Clip(c, l, h)",
    "conv-leaky": _CONV % "c = Conv(x, W, B) y = LeakyRelu <alpha=0.1> (c)",
    "conv-swish": _CONV % "c = Conv(x, W, B) s = Sigmoid(c) y = Mul(c, s)",
    "conv-hardswish": _CONV % "c = Conv(x, W, B) y = HardSwish(c)",
    "classifier": _IMAGE % f"c = Conv(x, W, B) r = Relu(c) {_HEAD}",
    "classifier-softmax": _IMAGE
    % "c = Conv(x, W, B) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p) g = Gemm <transB=1> (f, V) y = Softmax(g)",
    "classifier-pool": _IMAGE % f"c = Conv(x, W, B) r = MaxPool <kernel_shape=[2,2], strides=[2,2]> (c) {_HEAD}",
    "classifier-average": _IMAGE % f"c = Conv(x, W, B) r = AveragePool <kernel_shape=[2,2]> (c) {_HEAD}",
    "mlp-relu": _MLP % "a = MatMul(x, W) b = Add(a, B) r = Relu(b) y = MatMul(r, V)",
    "mlp-tanh": _MLP % "a = MatMul(x, W) b = Add(a, B) r = Tanh(b) y = MatMul(r, V)",
    "mlp-erf": _MLP % "a = MatMul(x, W) b = Add(a, B) r = Erf(b) y = MatMul(r, V)",
    "mlp-softmax": _MLP % "a = MatMul(x, W) b = Add(a, B) r = Relu(b) z = MatMul(r, V) y = Softmax(z)",
    "mlp-gemm": _MLP % "a = Gemm(x, W, B) r = Elu(a) y = MatMul(r, V)",
    "sequence-scores": _SEQ
    % (
        "q = MatMul(x, W) k = MatMul(x, V) t = Transpose <perm=[0,2,1]> (k) s = MatMul(q, t) "
        "p = Softmax(s) y = MatMul(p, x)"
    ),
    "sequence-norm": _SEQ % "a = MatMul(x, W) y = LayerNormalization <axis=-1> (a, B)",
    "sequence-gate": _SEQ % "a = MatMul(x, W) b = MatMul(x, V) g = Sigmoid(b) y = Mul(a, g)",
    "sequence-residual": _SEQ % "a = MatMul(x, W) r = Relu(a) b = MatMul(r, V) y = Add(x, b)",
    "sequence-less": _SEQ % "a = MatMul(x, W) l = Less(a, x) f = Cast <to=1> (l) y = Mul(f, a)",
}


def model(number: int) -> tuple[str, ModelProto]:
    """Name and model of a number."""
    name = list(KINDS)[number % len(KINDS)]
    draw = np.random.default_rng(number)
    sizes = {"c": int(draw.integers(4, 17)), "s": int(draw.integers(8, 25))}
    text = KINDS[name].replace("{t}", str(sizes["s"] - 2))
    for key, value in sizes.items():
        text = text.replace(f"{{{key}}}", str(value))
    weights, _, graph = text.partition("|")
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> net {graph}')
    used = {each for node in made.graph.node for each in node.input}
    for each in weights.split():
        weight, _, shape = each.partition(":")
        if weight in used:
            array = (draw.standard_normal(tuple(map(int, shape.split(",")))) * 0.3).astype(np.float32)
            made.graph.initializer.append(numpy_helper.from_array(array, weight))
    made.producer_name = f"zoo {number}"
    return f"{name}-{number:05}", helper.make_model(
        made.graph, opset_imports=made.opset_import, ir_version=8, producer_name=made.producer_name
    )


def write(folder: Path, count: int) -> list[Path]:
    """Write models into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(count):
        name, made = model(number)
        found.append(folder / f"{name}.onnx")
        found[-1].write_bytes(made.SerializeToString())
    return found


if __name__ == "__main__":
    wanted = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    wanted.add_argument("folder", type=Path)
    wanted.add_argument("--count", type=int, default=1000)
    given = wanted.parse_args()
    write(given.folder, given.count)
