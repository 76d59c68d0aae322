"""Ten uses of operators that MNN 3.6.1 refuses, dies on or computes wrongly, each in the middle of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from models import array, model_of
from onnx import NodeProto, helper

_Middle = Callable[[str, str], NodeProto]
SIZE = 4
"""Channels, height and width: halved until a repro is minimal, and MNN packs so many channels."""


def network(middle: _Middle, *, opset: int = 13, weights: dict[str, np.ndarray] | None = None) -> onnx.ModelProto:
    """Conv, Relu, what is known to fail (under the name `fault`), Conv, Sigmoid."""
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["c1"], name="before", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], name="act"),
        middle("r1", "m"),
        helper.make_node("Conv", ["m", "k2"], ["c2"], name="after", kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["c2"], ["y"], name="last"),
    ]
    held = {"k1": array(SIZE, 3, 3, 3) * np.float32(0.3), "k2": array(SIZE, SIZE, 1, 1) * np.float32(0.1)}
    return model_of(nodes, {"x": [1, 3, SIZE, SIZE]}, {"y": None}, held | (weights or {}), opset=opset)


def _node(op: str, *operands: str, **attributes: Any) -> _Middle:
    return lambda source, result: helper.make_node(op, [source, *operands], [result], name="fault", **attributes)


def _resize(source: str, result: str) -> NodeProto:
    return helper.make_node("Resize", [source, "", "scales"], [result], name="fault", mode="cubic")


def _steps(source: str, result: str) -> NodeProto:
    return helper.make_node("Slice", [source, "starts", "ends", "", "steps"], [result], name="fault")


_LAST = {"last": np.full((1, SIZE, SIZE, SIZE), -1, np.int64)}
_AXES = {"axes": np.array([2], np.int64)}
_SCALES = {"scales": np.array([1, 1, 2, 2], np.float32)}
_RANGE = {"starts": np.zeros(4, np.int64), "ends": np.array([1, SIZE, SIZE, SIZE]), "steps": np.array([1, 1, 2, 2])}
_BOUNDS = {"low": np.array(2, np.float32), "high": np.array(1, np.float32)}
_WINDOW: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [1, 1]}
FAULTS: dict[str, Callable[[], onnx.ModelProto]] = {
    "pool without strides": lambda: network(_node("AveragePool", kernel_shape=[2, 2])),
    "Hardmax": lambda: network(_node("Hardmax", axis=1)),
    "Max of one": lambda: network(_node("Max")),
    "Softmax without axis": lambda: network(_node("Softmax"), opset=11),
    "Mod of floats": lambda: network(_node("Mod", "divisor", fmod=1), weights={"divisor": -abs(array(SIZE, 1, 1)) - 1}),
    "negative indices": lambda: network(_node("GatherElements", "last", axis=1), weights=_LAST),
    "ReduceL1 with axes": lambda: network(_node("ReduceL1", "axes", keepdims=1), opset=18, weights=_AXES),
    "cubic Resize": lambda: network(_resize, weights=_SCALES),
    "steps without axes": lambda: network(_steps, weights=_RANGE),
    "dilated pool": lambda: network(_node("MaxPool", **_WINDOW, dilations=[2, 2])),
    "crossed bounds": lambda: network(_node("Clip", "low", "high"), weights=_BOUNDS),
}
"""Name -> the model."""
