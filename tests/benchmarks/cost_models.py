"""Models whose cost has one cause: nodes, consumers of one value, matches, blocks of a transformer, many small ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

_FLOAT = TensorProto.FLOAT
_WIDTH, _HEADS, _LENGTH = 16, 2, 12
_UNARY = ("Relu", "Sigmoid", "Abs", "Neg")


def info(name: str, shape: list[int | str]) -> ValueInfoProto:
    """A float value."""
    return helper.make_tensor_value_info(name, _FLOAT, shape)


def save(
    path: Path,
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    stored: list[TensorProto] | None = None,
    *,
    opset: int = 17,
) -> Path:
    """Write a model."""
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored or [])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def chain(path: Path, nodes: int) -> Path:
    """Elementwise operators one after the other; each fifth adds a constant."""
    made, value = [], "x"
    for number in range(nodes):
        op = "Add" if number % 5 == 4 else _UNARY[number % 4]
        operands = [value, "c"] if op == "Add" else [value]
        value = f"v{number}"
        made.append(helper.make_node(op, operands, [value], name=f"n{number}"))
    stored = [numpy_helper.from_array(np.ones(8, np.float32), "c")]
    return save(path, made, [info("x", [1, 8])], [info(value, [1, 8])], stored)


def consumers(path: Path, readers: int) -> Path:
    """One value that many nodes read."""
    nodes = [helper.make_node("Relu", ["x"], ["v"], name="p")]
    nodes += [helper.make_node("Neg", ["v"], [f"w{number}"], name=f"n{number}") for number in range(readers)]
    nodes.append(helper.make_node("Sum", [f"w{number}" for number in range(readers)], ["y"], name="s"))
    return save(path, nodes, [info("x", [1, 8])], [info("y", [1, 8])])


def heads(path: Path, matches: int) -> Path:
    """Nodes of which two fifths are rewritten: Softmax below opset 13 on four axes."""
    trunk = max(8, matches * 3 // 2)
    nodes, value = [], "x"
    for number in range(trunk):
        nodes.append(helper.make_node(_UNARY[number % 2], [value], [f"v{number}"], name=f"n{number}"))
        value = f"v{number}"
    nodes += [
        helper.make_node("Softmax", [f"v{number % trunk}"], [f"o{number}"], name=f"h{number}")
        for number in range(matches)
    ]
    outputs = [info(f"o{number}", [1, 8, 1, 1]) for number in range(matches)]
    return save(path, nodes, [info("x", [1, 8, 1, 1])], outputs, opset=11)


class _Block:
    """Emits the nodes of a transformer."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.stored: list[TensorProto] = []
        self._random = np.random.default_rng(0)

    def store(self, name: str, value: object, dtype: type = np.float32) -> str:
        self.stored.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, op: str, *operands: str, **attributes: Any) -> str:
        result = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(operands), [result], name=f"{op}_{len(self.nodes)}", **attributes))
        return result

    def linear(self, value: str, rows: int, columns: int) -> str:
        number = len(self.stored)
        weight = self.store(f"w{number}", self._random.standard_normal((rows, columns)) * 0.1)
        return self.op("Add", self.op("MatMul", value, weight), self.store(f"b{number}", np.zeros(columns)))

    def norm(self, value: str) -> str:
        number = len(self.stored)
        distance = self.op("Sub", value, self.op("ReduceMean", value, axes=[-1]))
        mean = self.op("ReduceMean", self.op("Pow", distance, "two"), axes=[-1])
        ratio = self.op("Div", distance, self.op("Sqrt", self.op("Add", mean, "epsilon")))
        gain, bias = self.store(f"g{number}", np.ones(_WIDTH)), self.store(f"h{number}", np.zeros(_WIDTH))
        return self.op("Add", self.op("Mul", ratio, gain), bias)

    def attention(self, value: str) -> str:
        three = [self.op("Reshape", self.linear(value, _WIDTH, _WIDTH), "split") for _ in range(3)]
        query, key, content = (self.op("Transpose", each, perm=[0, 2, 1, 3]) for each in three)
        product = self.op("MatMul", query, self.op("Transpose", key, perm=[0, 1, 3, 2]))
        weights = self.op("Softmax", self.op("Div", product, "four"), axis=-1)
        joined = self.op("Transpose", self.op("MatMul", weights, content), perm=[0, 2, 1, 3])
        return self.linear(self.op("Reshape", joined, "join"), _WIDTH, _WIDTH)

    def feed_forward(self, value: str) -> str:
        hidden = self.linear(value, _WIDTH, 2 * _WIDTH)
        error = self.op("Add", self.op("Erf", self.op("Div", hidden, "root")), "one")
        active = self.op("Mul", self.op("Mul", hidden, error), "half")
        return self.linear(active, 2 * _WIDTH, _WIDTH)


def transformer(path: Path, layers: int) -> Path:
    """A transformer of 50 nodes a layer, with a dynamic batch."""
    block = _Block()
    for name, number in (("two", 2.0), ("epsilon", 1e-5), ("four", 4.0), ("half", 0.5), ("one", 1.0), ("root", 1.4142)):
        block.store(name, number)
    block.store("split", [0, 0, _HEADS, _WIDTH // _HEADS], np.int64)
    block.store("join", [0, 0, _WIDTH], np.int64)
    value = "x"
    for _ in range(layers):
        value = block.op("Add", value, block.attention(block.norm(value)))
        value = block.op("Add", value, block.feed_forward(block.norm(value)))
    shape: list[int | str] = ["N", _LENGTH, _WIDTH]
    return save(path, block.nodes, [info("x", shape)], [info(value, shape)], block.stored)


def small_models(folder: Path, count: int) -> list[Path]:
    """Models of a few nodes, no two alike."""
    folder.mkdir()
    return [chain(folder / f"m{number:04}.onnx", 4 + number % 9) for number in range(count)]
