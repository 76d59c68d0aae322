"""Relations of sines and cosines of positions: whole numbers times constants, of which float16 holds few bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnx import TensorProto

from mnncompat.inference.constant_folding import constant_value, is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.half_norms import producer
from mnncompat.support.relations.registry import relation

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from onnx import NodeProto

    from mnncompat.graph.view import GraphView

_WHOLE = (TensorProto.INT32, TensorProto.INT64)
_FLOATS = (TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE)
_SHAPED = ("Cast", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_FURTHEST = 12
_PAIR = 2
_SINE = "(int64[1,3] p) => (float[1,3,2] y) <int64[1] a = {{2}}, float[2] w = {{1.0, 0.1}}> {{ {} }}"


class Angle(NamedTuple):
    """`after(factor * shaped(whole numbers))`.

    Attributes:
        whole: Name of the whole numbers.
        shaped: What brings them into the shape in which they are multiplied, in order, without casts.
        factor: The constant.
        product: Name of the product.
        after: What is done with the product before the function, in order.
    """

    whole: str
    shaped: tuple[NodeProto, ...]
    factor: NDArray[Any]
    product: str
    after: tuple[NodeProto, ...]


@relation(
    holds=_SINE.format("f = Cast<to=1>(p) u = Unsqueeze(f, a) m = Mul(u, w) y = Sin(m)"),
    fails=_SINE.format("f = Cast<to=1>(p) u = Unsqueeze(f, a) s = Sin(u) y = Mul(s, w)"),
    behind=("Mul", "MatMul", *_SHAPED),
)
def angle_is_of_positions(facts: NodeFacts) -> bool:
    """The operand of Sin or Cos is the product of whole numbers that are computed or given, and a constant.

    Numbers that Range counts from a constant are known when sizes are, and MNN computes the angles in float32 then.
    """
    return angle_of_positions(facts.view, facts.node.input[0]) is not None


def angle_of_positions(view: GraphView, name: str) -> Angle | None:
    """The whole numbers and the constant whose product an angle is; None if it is none."""
    after: list[NodeProto] = []
    node = producer(view, name)
    while node is not None and node.op_type in _SHAPED and len(after) < _FURTHEST:
        after.insert(0, node)
        name = node.input[0]
        node = producer(view, name)
    if node is None or node.op_type not in ("Mul", "MatMul") or len(node.input) != _PAIR:
        return None
    for value, other in (node.input, node.input[::-1]):
        factor = constant_value(view, other) if is_constant(view, other) else None
        if (
            factor is None
            or is_constant(view, value)
            or (node.op_type == "MatMul" and not _is_outer(node, other, factor))
        ):
            continue
        found = _whole(view, value)
        if found is not None:
            return Angle(found[0], found[1], factor, name, tuple(after))
    return None


def _is_outer(node: NodeProto, constant: str, factor: NDArray[Any]) -> bool:
    """Whether a product of matrices adds nothing: the axis over which it would add has one element."""
    return factor.ndim >= _PAIR and factor.shape[-1 if node.input[0] == constant else -2] == 1


def _whole(view: GraphView, name: str) -> tuple[str, tuple[NodeProto, ...]] | None:
    """The whole numbers that a value is, and what brings them into its shape."""
    shaped: list[NodeProto] = []
    for _ in range(_FURTHEST):
        if view.dtype(name) in _WHOLE:
            source = producer(view, name)
            is_known = source is not None and source.op_type == "Range" and is_constant(view, source.input[0])
            return None if is_known else (name, tuple(shaped))
        node = producer(view, name)
        if node is None or node.op_type not in _SHAPED or view.dtype(name) not in _FLOATS:
            return None
        if node.op_type != "Cast":
            shaped.insert(0, node)
        name = node.input[0]
    return None
