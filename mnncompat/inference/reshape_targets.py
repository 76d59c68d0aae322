"""Computed Reshape targets, resolved so that ONNX shape inference can follow them.

Exporters write ``x.view(n, -1, 1, 1)`` as Shape -> Gather -> Unsqueeze -> Concat -> Reshape. Inference loses the rank
after such a Reshape below opset 14, and with it everything downstream. Where each entry of the target is a number or
the dimension of a value whose shape is known, the target is replaced by a constant: a dimension that the reshaped value
has at the same position becomes 0 (copy), a single unknown entry becomes -1. Only the weightless copy that inference
works on is changed, never the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from onnx import GraphProto, NodeProto, TensorProto

from mnncompat.graph.operator_traits import RESHAPES
from mnncompat.graph.payloads import is_external
from mnncompat.graph.protos import attribute
from mnncompat.graph.small_tensors import integers_tensor, small_tensor
from mnncompat.graph.tensor_values import tensor_array
from mnncompat.inference.inferred_values import InferredValues

_LONGEST = 16


class _DimOf(NamedTuple):
    """A dimension of a value."""

    value: str
    axis: int


_Entry = int | _DimOf | None


def resolve_targets(graph: GraphProto, values: InferredValues) -> bool:
    """Replace computed targets by constants where that is certain.

    Args:
        graph: The graph to change.
        values: What inference says about its values.

    Returns:
        True if anything was replaced, so that inference may find more now.
    """
    evaluation = _Evaluation(graph, values)
    replaced = False
    for number, node in enumerate(graph.node):
        if node.op_type != "Reshape" or len(node.input) < 2 or evaluation.is_stored(node.input[1]):  # noqa: PLR2004
            continue
        target = evaluation.target(node)
        if target is not None:
            name = f"{node.input[1]} resolved {number}"
            graph.initializer.append(integers_tensor(target, (len(target),), name))
            node.input[1] = name
            replaced = True
    return replaced


class _Evaluation:
    """Evaluates small integer vectors symbolically."""

    def __init__(self, graph: GraphProto, values: InferredValues) -> None:
        self._values = values
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._shape = values.dims
        self._vectors: dict[str, list[_Entry] | None] = {}

    def is_stored(self, name: str) -> bool:
        if name in self._stored:
            return True
        node = self._values.producers.get(name)
        return node is not None and node.op_type == "Constant"

    def target(self, node: NodeProto) -> list[int] | None:
        """The target of a Reshape as numbers, or None if it is not certain."""
        if any(item.name == "allowzero" and item.i for item in node.attribute):
            return None
        entries = self._vector(node.input[1], 0)
        if entries is None:
            return None
        numbers = [self._number(entry, node.input[0], axis) for axis, entry in enumerate(entries)]
        unknown = [axis for axis, number in enumerate(numbers) if number is None]
        if len(unknown) + numbers.count(-1) > 1:
            return None
        return [-1 if number is None else number for number in numbers]

    def _number(self, entry: _Entry, reshaped: str, axis: int) -> int | None:
        if not isinstance(entry, _DimOf):
            return entry
        dims = self._shape(entry.value)
        dim = dims[entry.axis] if dims is not None and entry.axis < len(dims) else None
        if isinstance(dim, int):
            return dim
        if entry == (reshaped, axis):
            return 0
        own = self._shape(reshaped)
        return 0 if dim is not None and own is not None and axis < len(own) and own[axis] == dim else None

    def _vector(self, name: str, depth: int) -> list[_Entry] | None:
        """The entries of a vector that is not long, each found once however many read it."""
        if name not in self._vectors:
            found = self._followed(name, depth)
            self._vectors[name] = found if found is not None and len(found) <= _LONGEST else None
        return self._vectors[name]

    def _followed(self, name: str, depth: int) -> list[_Entry] | None:
        if name in self._stored:
            tensor = self._stored[name]
            return None if is_external(tensor) else _numbers(tensor)
        node = self._values.producers.get(name)
        if node is None or depth > _LONGEST:
            return None
        if node.op_type == "Constant":
            return _stated(node)
        if node.op_type in RESHAPES or node.op_type in ("Cast", "Identity"):
            return self._vector(node.input[0], depth + 1)
        if node.op_type == "Concat" and len(node.input) <= _LONGEST:
            parts = [self._vector(part, depth + 1) or [None] * self._length(part) for part in node.input]
            return [entry for part in parts for entry in part] if all(parts) else None
        return self._selected_entries(node)

    def _length(self, name: str) -> int:
        dims = self._shape(name)
        length = dims[0] if dims else 0
        return length if isinstance(length, int) and length <= _LONGEST else 0

    def _selected_entries(self, node: NodeProto) -> list[_Entry] | None:
        """Entries picked from a Shape, by its own attributes, a Gather or a Slice."""
        if node.op_type == "Shape":
            return _range(node.input[0], attribute(node, "start", 0), attribute(node, "end"))
        shape = self._values.producers.get(node.input[0]) if node.input else None
        if shape is None or shape.op_type != "Shape" or shape.attribute:
            return None
        rest = [self._integers(name) for name in node.input[1:]]
        if node.op_type == "Gather" and rest and rest[0] and min(rest[0]) >= 0:
            return [_DimOf(shape.input[0], axis) for axis in rest[0]]
        if node.op_type == "Slice":
            return _slice(shape.input[0], node, rest)
        return None

    def _integers(self, name: str) -> list[int] | None:
        vector = self._vector(name, 0)
        return None if vector is None else [entry for entry in vector if isinstance(entry, int)]


def _slice(value: str, node: NodeProto, operands: Sequence[list[int] | None]) -> list[_Entry] | None:
    named = {item.name: list(item.ints) for item in node.attribute}
    starts, ends = named.get("starts"), named.get("ends")
    if operands:
        starts, ends = operands[0], operands[1]
        if len(operands) > 3 and operands[3] != [1]:  # noqa: PLR2004 - starts, ends, axes, steps
            return None
    if not starts or not ends:
        return None
    return _range(value, starts[0], ends[0])


def _range(value: str, start: int, end: int | None) -> list[_Entry] | None:
    """Dimensions `start` to `end` of a value; None where that depends on its rank."""
    if end is None or start < 0 or not start < end <= _LONGEST:
        return None
    return [_DimOf(value, axis) for axis in range(start, end)]


def _stated(constant: NodeProto) -> list[_Entry] | None:
    """What a Constant says, if these are a few integers."""
    tensor = attribute(constant, "value")
    if isinstance(tensor, TensorProto):
        return None if is_external(tensor) else _numbers(tensor)
    one, several = attribute(constant, "value_int"), attribute(constant, "value_ints")
    values = several if one is None else [one]
    return None if values is None or len(values) > _LONGEST else list(values)


def _numbers(tensor: TensorProto) -> list[_Entry] | None:
    if tensor.data_type not in (TensorProto.INT64, TensorProto.INT32) or prod(tensor.dims) > _LONGEST:
        return None
    small = small_tensor(tensor)
    return [int(value) for value in (tensor_array(tensor).reshape(-1) if small is None else small.values)]
