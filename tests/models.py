"""Small models that several tests use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, parser

RNG = np.random.default_rng(7)


def array(*shape: int) -> np.ndarray:
    """Normal float32 values, different on every call, the same in every run."""
    return RNG.standard_normal(shape).astype(np.float32)


def model_of(
    nodes: Sequence[NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: dict[str, Sequence[int | str] | None],
    weights: dict[str, np.ndarray],
    *,
    opset: int = 13,
    ir_version: int = 8,
) -> ModelProto:
    """A model with float32 inputs and outputs."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def head() -> ModelProto:
    """Conv, Flatten, MatMul + Add, BatchNormalization, Relu, Gemm: a classifier with two fully connected layers."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], name="conv", kernel_shape=[3, 3]),
        helper.make_node("Flatten", ["c"], ["f"], name="flatten"),
        helper.make_node("MatMul", ["f", "w1"], ["m"], name="fc1"),
        helper.make_node("Add", ["m", "b1"], ["a"], name="bias1"),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["n"], name="norm"),
        helper.make_node("Relu", ["n"], ["r"], name="act"),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["y"], name="fc2", transB=1),
    ]
    weights = {"k": array(5, 3, 3, 3), "w1": array(80, 7), "b1": array(7), "w2": array(4, 7), "b2": array(4)}
    weights |= {"scale": array(7), "shift": array(7), "mean": array(7), "variance": array(7) ** 2 + np.float32(1)}
    return model_of(nodes, {"x": ["n", 3, 6, 6]}, {"y": ["n", 4]}, weights)


DETECTOR = """
<ir_version: 8, opset_import: ["" : 13]>
g (float[N,3,8,8] image) => (float[N,4,8,8] boxes) {
    h = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(image, w1)
    r = %s(h)
    boxes = Conv<kernel_shape=[1,1]>(r, w2)
}
"""


def detector(activation: str = "Relu") -> ModelProto:
    """Two convolutions with an activation between them, for images of 8x8."""
    proto = parser.parse_model(DETECTOR % activation)
    for name, shape in (("w1", (64, 3, 3, 3)), ("w2", (4, 64, 1, 1))):
        values = np.random.default_rng(1).standard_normal(shape).astype(np.float32) * 0.3
        proto.graph.initializer.append(numpy_helper.from_array(values, name))
    return proto
