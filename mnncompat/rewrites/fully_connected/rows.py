"""Which computed target shapes keep the batch first: [N, ...] with N taken from the Shape of the same batch.

Shape inference follows them from opset 14 on, and only where the batch has a name; exporters wrote them from the start.
"""

from __future__ import annotations

from onnx import NodeProto

from mnncompat.graph.operator_traits import RESHAPES
from mnncompat.graph.protos import attribute
from mnncompat.graph.view import GraphView


def rows_are_samples(view: GraphView, node: NodeProto, features: int) -> bool:
    """True if a reshape to two dimensions of a value with `features` in each sample certainly keeps the batch first."""
    before, after = view.shape(node.input[0]), view.shape(node.output[0])
    if before and after and before[0] is not None and before[0] == after[0]:
        return True
    if node.op_type != "Reshape" or len(node.input) < 2:  # noqa: PLR2004 - the target is an operand from opset 5 on
        return False
    target = _operand(view, node, 1)
    if target is not None:
        copied = target[0] == 0 and not attribute(node, "allowzero", 0)
        return target[-1] == features or copied or (before is not None and before[0] == target[0])
    parts = view.producer(node.input[1])
    while parts is not None and parts.op_type in ("Cast", "Identity"):
        parts = view.producer(parts.input[0])
    if parts is None or parts.op_type != "Concat" or len(parts.input) != 2:  # noqa: PLR2004 - batch and features
        return False
    return _operand(view, parts, 1) == [features] or _is_batch_of(view, parts.input[0], node.input[0])


def _is_batch_of(view: GraphView, name: str, value: str) -> bool:
    """True if `name` holds the first dimension of `value`, or of another value with the same first dimension."""
    node = view.producer(name)
    while node is not None and (node.op_type in RESHAPES or node.op_type in ("Cast", "Identity")):
        node = view.producer(node.input[0])
    if node is None:
        return False
    if node.op_type == "Shape":
        return attribute(node, "start", 0) == 0 and attribute(node, "end") == 1 and _same_batch(view, node, value)
    shape = view.producer(node.input[0])
    first = (node.op_type == "Gather" and _operand(view, node, 1) == [0]) or (
        node.op_type == "Slice" and _bounds(view, node) == ([0], [1])
    )
    return first and shape is not None and shape.op_type == "Shape" and _same_batch(view, shape, value)


def _same_batch(view: GraphView, shape_of: NodeProto, value: str) -> bool:
    if shape_of.input[0] == value:
        return True
    one, other = view.shape(shape_of.input[0]) or (None,), view.shape(value) or (None,)
    return one[0] is not None and one[0] == other[0]


def _bounds(view: GraphView, node: NodeProto) -> tuple[list[int] | None, list[int] | None]:
    if len(node.input) > 1:
        return _operand(view, node, 1), _operand(view, node, 2)
    return attribute(node, "starts"), attribute(node, "ends")


def _operand(view: GraphView, node: NodeProto, position: int) -> list[int] | None:
    values = view.stored_value(node.input[position]) if len(node.input) > position else None
    return None if values is None else [int(value) for value in values.reshape(-1)]
