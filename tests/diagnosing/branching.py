"""Models with two outputs, and with an If and a Loop between convolutions."""

from __future__ import annotations

import numpy as np
import onnx
from models import array, model_of
from onnx import TensorProto, helper


def _value(name: str, shape: list[int] | None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def with_if() -> onnx.ModelProto:
    """The branch that runs has a convolution and a Tanh; both read what is computed outside."""
    then = helper.make_graph(
        [
            helper.make_node("Conv", ["r1", "kt"], ["tc"], name="inner_conv", kernel_shape=[1, 1]),
            helper.make_node("Tanh", ["tc"], ["then_out"], name="inner_tanh"),
        ],
        "then",
        [],
        [_value("then_out", [1, 8, 6, 6])],
    )
    otherwise = helper.make_graph(
        [helper.make_node("Neg", ["r1"], ["else_out"], name="negated")], "else", [], [_value("else_out", [1, 8, 6, 6])]
    )
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["c1"], name="trunk", kernel_shape=[1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="act"),
        helper.make_node("ReduceMax", ["r1"], ["top"], name="top", keepdims=0),
        helper.make_node("Greater", ["top", "bound"], ["cond"], name="asks"),
        helper.make_node("If", ["cond"], ["chosen"], name="choice", then_branch=then, else_branch=otherwise),
        helper.make_node("Conv", ["chosen", "k2"], ["y"], name="last", kernel_shape=[1, 1]),
    ]
    weights = {
        "k1": array(8, 3, 1, 1),
        "kt": array(8, 8, 1, 1),
        "k2": array(4, 8, 1, 1),
        "bound": np.array(-1, np.float32),
    }
    return model_of(nodes, {"x": [1, 3, 6, 6]}, {"y": [1, 4, 6, 6]}, weights)


def with_loop() -> onnx.ModelProto:
    """A state that is multiplied with a matrix and shifted in each of four steps."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"], name="goes_on"),
            helper.make_node("MatMul", ["state", "w"], ["product"], name="inner_product"),
            helper.make_node("Tanh", ["product"], ["bent"], name="inner_tanh"),
            helper.make_node("Add", ["bent", "shift"], ["next"], name="inner_shift"),
        ],
        "body",
        [_value("step", [], TensorProto.INT64), _value("go", [], TensorProto.BOOL), _value("state", [2, 6])],
        [_value("go_on", [], TensorProto.BOOL), _value("next", [2, 6])],
    )
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["start"], name="scaled"),
        helper.make_node("Loop", ["count", "yes", "start"], ["end"], name="loop", body=body),
        helper.make_node("MatMul", ["end", "v"], ["y"], name="last"),
    ]
    weights = {
        "scale": array(6),
        "w": array(6, 6),
        "shift": array(6),
        "v": array(6, 3),
        "count": np.array(4, np.int64),
        "yes": np.array(True),  # noqa: FBT003 - the condition
    }
    return model_of(nodes, {"x": [2, 6]}, {"y": [2, 3]}, weights)


def two_branches() -> onnx.ModelProto:
    """Two outputs from a trunk of convolutions; one branch has a residual, the other one a fully connected head."""
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["c1"], name="trunk", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="act"),
        helper.make_node("Conv", ["r1", "k2"], ["c2"], name="left", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "r1"], ["left_out"], name="residual"),
        helper.make_node("Sigmoid", ["r1"], ["s"], name="gate"),
        helper.make_node("Mul", ["s", "r1"], ["g"], name="gated"),
        helper.make_node("GlobalAveragePool", ["g"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "w", "b"], ["right_out"], name="head"),
    ]
    weights = {"k1": array(8, 3, 3, 3), "k2": array(8, 8, 3, 3), "w": array(8, 5), "b": array(5)}
    return model_of(nodes, {"x": [1, 3, 8, 8]}, {"left_out": [1, 8, 8, 8], "right_out": [1, 5]}, weights)
