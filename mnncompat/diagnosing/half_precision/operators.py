"""How each kind of arithmetic is written with ONNX's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import NodeProto, helper

from mnncompat.diagnosing.half_precision.averages import mean_of_places
from mnncompat.diagnosing.half_precision.products import attribute
from mnncompat.diagnosing.half_precision.weights import in_half
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import rename_captured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnncompat.diagnosing.half_precision.arithmetic import Arithmetics
    from mnncompat.diagnosing.half_precision.emitting import Emitter
    from mnncompat.diagnosing.half_precision.products import Products
    from mnncompat.diagnosing.half_precision.weights import Weights

_SCAN = 9
"""The opset from which on Scan has its form."""
_RECURRENT = ("LSTM", "GRU", "RNN")
_STATISTICS = 4
"""Operands of BatchNormalization beside its input."""


class Operators:
    """Appends nodes as MNN computes them.

    Args:
        emit: Of the simulation.
        table: What the operators do.
        shapes: Value -> its shape in this run, where that is known.
        weights: The constants.
        products: Appends products.
    """

    def __init__(
        self,
        emit: Emitter,
        table: Arithmetics,
        shapes: Mapping[str, tuple[int, ...]],
        weights: Weights,
        products: Products,
    ) -> None:
        self._emit = emit
        self._table = table
        self._shapes = shapes
        self._weights = weights
        self._products = products

    def append(
        self,
        node: NodeProto,
        kind: str,
        inputs: list[str],
        *,
        rounds: bool,
        renamed: Mapping[str, str],
    ) -> dict[str, str]:
        """A node once more.

        Args:
            node: The original.
            kind: Its arithmetic.
            inputs: Its operands in the simulation.
            rounds: Whether the file holds its results; else they are computed inside a larger op.
            renamed: Value -> its name in the simulation, for what bodies capture.

        Returns:
            Its results -> their names in the simulation.
        """
        found = self._special(node, kind, inputs) if rounds or kind in ("product", "average", "running") else None
        if found is None:
            exact = {name: self._emit.name() for name in node.output if name}
            copy = renamed_node(node, inputs, [exact.get(name, "") for name in node.output], renamed)
            self._emit.append(copy)
        else:
            exact = {node.output[0]: found}
        rounded = self._floats_of(node, kind) if rounds or node.op_type in _RECURRENT else ()
        return {
            name: self._finished(node, kind, name, last) if name in rounded else last for name, last in exact.items()
        }

    def _floats_of(self, node: NodeProto, kind: str) -> tuple[str, ...]:
        """The results that are rounded."""
        if kind in ("copied", "float32"):
            return tuple(node.output[:1]) if self._reduces_many(node) else ()
        return tuple(node.output) if node.op_type in _RECURRENT else tuple(node.output[:1])

    def _finished(self, node: NodeProto, kind: str, name: str, value: str) -> str:
        op = node.op_type
        if kind == "float32":
            return self._emit.read(value)
        if op in self._table.noise:
            value = self._emit.noisy(value, [value], self._table.noise[op], self._shapes.get(name))
        if kind == "capped":
            value = self._emit.capped(value, self._table.caps[op])
        return self._emit.rounded(value)

    def _reduces_many(self, node: NodeProto) -> bool:
        """Whether a reduction goes along several axes: MNN reduces one after the other, and stores in between."""
        axes = self._axes(node)
        return node.op_type in ("ReduceSum", "ReduceMean", "ReduceProd") and (axes is None or len(axes) > 1)

    def _axes(self, node: NodeProto) -> list[int] | None:
        if len(node.input) > 1 and node.input[1]:
            array = self._weights.get(node.input[1])
            return None if array is None else [int(each) for each in array.ravel()]
        axes = attribute(node, "axes", None)
        return None if axes is None else [int(each) for each in axes]

    def _special(self, node: NodeProto, kind: str, inputs: list[str]) -> str | None:
        """The result of what is computed in another way than by the operator itself; None of others."""
        if kind == "product" and node.op_type != "Einsum":
            return self._products.append(node, inputs)
        if kind == "composite":
            return self._steps(node, inputs)
        if kind == "average":
            return self._pooled(node, inputs[0])
        if kind == "running":
            return self._running(node, inputs)
        if node.op_type == "BatchNormalization" and len(node.output) == 1:
            return self._scaled(node, inputs[0])
        return None

    def _steps(self, node: NodeProto, inputs: list[str]) -> str:
        emit, value = self._emit, inputs[0]
        axes, keeps = self._axes(node), bool(attribute(node, "keepdims", 1))
        for step in self._table.steps[node.op_type]:
            if step == "ReduceSum":
                value = emit.read(emit.reduce(step, value, axes, keep=keeps))
            elif step == "Square":
                value = emit.rounded(emit.op("Mul", value, value))
            else:
                done = emit.op(step, value)
                cap = self._table.caps.get(step)
                value = emit.rounded(done if cap is None else emit.capped(done, cap))
        return value

    def _pooled(self, node: NodeProto, value: str) -> str | None:
        emit, shape = self._emit, self._shapes.get(node.input[0])
        if node.op_type == "GlobalAveragePool" and shape and emit.opset >= _SCAN:
            channels, places = shape[0] * shape[1], int(np.prod(shape[2:]))
            flat = emit.op("Transpose", emit.reshaped(value, [channels, places]), perm=[1, 0])
            mean = mean_of_places(emit, flat, places, channels)
            return emit.reshaped(mean, [*shape[:2], *[1] * (len(shape) - 2)])
        if node.op_type != "AveragePool":
            return None
        kept = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        count = float(np.prod(kept["kernel_shape"]))
        mean = emit.op("AveragePool", value, **kept)
        random = emit.op("Mul", emit.op("AveragePool", emit.op("Mul", value, value), **kept), emit.number(1 / 6))
        trend = emit.op("Mul", emit.op("Mul", mean, mean), emit.number(count / 3))
        scale = emit.op("Sqrt", emit.op("Add", random, trend))
        return emit.noisy(mean, [scale], self._table.rounding, self._shapes.get(node.output[0]))

    def _running(self, node: NodeProto, inputs: list[str]) -> str:
        emit = self._emit
        kept = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        exact = emit.op("CumSum", *inputs, **kept)
        nothing, shape = emit.op("Mul", exact, emit.number(0.0)), self._shapes.get(node.output[0])
        errors = emit.noisy(nothing, [exact], self._table.rounding, shape)
        return emit.op("Add", exact, emit.op("CumSum", errors, inputs[1], **kept))

    def _scaled(self, node: NodeProto, value: str) -> str | None:
        """A batch normalisation, which MNN computes as `x a + b`."""
        found = [self._weights.get(name) for name in node.input[1 : 1 + _STATISTICS]]
        shape = self._shapes.get(node.input[0])
        if shape is None or any(each is None for each in found):
            return None
        scale, bias, mean, variance = (each.astype(np.float64) for each in found if each is not None)
        factor = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        offset = bias - mean * factor
        places = [1, -1, *[1] * (len(shape) - 2)]
        halves = [in_half(each).reshape(places) for each in (factor, offset)]
        emit = self._emit
        return emit.op("Add", emit.rounded(emit.op("Mul", value, emit.constant(halves[0]))), emit.constant(halves[1]))


def renamed_node(node: NodeProto, inputs: list[str], outputs: list[str], renamed: Mapping[str, str]) -> NodeProto:
    """A copy of a node that reads and computes other values; what its bodies capture is renamed as well."""
    copy = NodeProto()
    copy.CopyFrom(node)
    del copy.input[:], copy.output[:]
    copy.input.extend(inputs)
    copy.output.extend(outputs)
    copy.name = next((each for each in outputs if each), node.name)
    for _, graph in subgraphs(copy):
        rename_captured(graph, renamed)
    return copy
