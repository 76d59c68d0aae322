"""Relations of norms that are written out: roots of sums of squares, which overflow in float16 above 255."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from onnx import NodeProto

from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import constant_value, is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.normalization import fused_axes
from mnncompat.support.relations.registry import relation

_PAIR, _CLIP_INPUTS, _LARGEST = 2, 3, 1e30
_SHAPED = ("Expand", "Identity", "Unsqueeze")
_UP_TO_ONE = ("Cos", "Erf", "LpNormalization", "Sigmoid", "Sin", "Softmax", "Softsign", "Tanh")
_NORM = "(float[2,3] x) => (float[2,3] y) <float e = {{0.5}}> {{ {} }}"
_SQUARES = "q = Mul(x, x) m = ReduceMean<axes=[-1]>(q) "


class RootOfSquares(NamedTuple):
    """`added + max(floor, sqrt(factor * (sum or mean of value ** 2) + epsilon))`.

    Attributes:
        value: Name of the value whose elements are squared.
        op: `ReduceSum` or `ReduceMean`.
        axes: Over which the squares are summed; empty for all.
        keepdims: Whether these axes stay, of size 1.
        factor: Of the sum.
        epsilon: Beside the sum.
        floor: Below which the root does not fall.
        added: To the root.
    """

    value: str
    op: str
    axes: tuple[int, ...]
    keepdims: bool
    factor: float = 1.0
    epsilon: float = 0.0
    floor: float = 0.0
    added: float = 0.0


@relation(
    holds=_NORM.format(f"{_SQUARES} r = Sqrt(m) y = Div(x, r)"),
    fails=_NORM.format(f"{_SQUARES} a = Add(m, e) r = Sqrt(a) y = Div(x, r)"),
    behind=("Sqrt", "Pow", "ReduceL2", "Add", "Max", "Clip", "Expand", "Unsqueeze", "Reciprocal", "Div", "Mul"),
)
def norm_squares_outside_of_fusion(facts: NodeFacts) -> bool:
    """A value is divided by the root of the sum or mean of squares, in another form than MNN fuses to its own norm.

    It fuses ``x / Sqrt(ReduceMean(x * x) + epsilon)`` in this order, with a constant epsilon, and computes in float32.
    """
    found = norm_by_root(facts)
    return found is not None and not _is_bounded(facts.view, found[1].value)


@relation(
    holds="(float[2,3] x) => (float[2] y) { q = Mul(x, x) s = ReduceMean<axes=[1], keepdims=0>(q) y = Sqrt(s) }",
    fails="(float[2,3] x) => (float[2] y) { q = Exp(x) s = ReduceMean<axes=[1], keepdims=0>(q) y = Sqrt(s) }",
)
def root_of_squares_is_read(facts: NodeFacts) -> bool:
    """The root of the sum or mean of squares, which something else reads than a division by it."""
    name = facts.result(0)
    found = None if name is None else root_of_squares(facts.view, name)
    if name is None or found is None or _is_bounded(facts.view, found.value):
        return False
    return not _only_divides(facts.view, name)


def norm_by_root(facts: NodeFacts) -> tuple[str, RootOfSquares] | None:
    """The value that Div or Mul divides by a root of squares, and that root; None if MNN fuses it, or it is no norm."""
    node, view = facts.node, facts.view
    if len(node.input) != _PAIR:
        return None
    if node.op_type == "Div":
        found = None if is_constant(view, node.input[0]) else root_of_squares(view, node.input[1])
        if found is None or fused_axes(view, node.input[0], node.input[1]) is not None:
            return None
        return node.input[0], found
    for value, factor in (node.input, node.input[::-1]):
        found = _inverse_root(view, factor)
        if found is not None:
            root = divisor_of_inverse(view, producer(view, factor))
            is_fused = bool(root) and node.input[0] == value and fused_axes(view, value, root) is not None
            return None if is_fused else (value, found)
    return None


def root_of_squares(view: GraphView, name: str) -> RootOfSquares | None:
    """The root of a sum or mean of squares that a value is; None if it is none."""
    node = producer(view, name)
    if node is None:
        return None
    if node.op_type in _SHAPED:
        return _shaped(view, node, root_of_squares(view, node.input[0]))
    if node.op_type == "Sqrt" or (node.op_type == "Pow" and number(view, node.input[1]) == 0.5):  # noqa: PLR2004
        return _sum_of_squares(view, node.input[0])
    if node.op_type == "ReduceL2":
        return _reduction(view, node, str(node.input[0]), "ReduceSum")
    return _beside_root(view, node)


def _beside_root(view: GraphView, node: NodeProto) -> RootOfSquares | None:
    """The same where a number is added to the root, or limits it."""
    limit = limited(view, node)
    found = None if limit is None else root_of_squares(view, limit[0])
    if limit is None or found is None or found.floor or found.added:
        return None
    return found._replace(added=limit[1]) if node.op_type == "Add" else found._replace(floor=limit[1])


def _sum_of_squares(view: GraphView, name: str) -> RootOfSquares | None:
    """What `root_of_squares` says about the root of a value."""
    node = producer(view, name)
    if node is None:
        return None
    if node.op_type in _SHAPED:
        return _shaped(view, node, _sum_of_squares(view, node.input[0]))
    if node.op_type in ("ReduceMean", "ReduceSum", "ReduceSumSquare"):
        value = node.input[0] if node.op_type == "ReduceSumSquare" else squared(view, node.input[0])
        op = "ReduceMean" if node.op_type == "ReduceMean" else "ReduceSum"
        return None if value is None else _reduction(view, node, value, op)
    return _beside_sum(view, node)


def _beside_sum(view: GraphView, node: NodeProto) -> RootOfSquares | None:
    """The same where a number is added to the sum, or multiplies or limits it."""
    limit = limited(view, node) or scaled(view, node)
    found = None if limit is None else _sum_of_squares(view, limit[0])
    if found is None or limit is None or found.floor:
        return None
    if node.op_type == "Add":
        return found._replace(epsilon=found.epsilon + limit[1])
    if node.op_type in ("Mul", "Div"):
        return found._replace(factor=found.factor * limit[1], epsilon=found.epsilon * limit[1])
    return None if found.epsilon else found._replace(floor=sqrt(limit[1]))


def _inverse_root(view: GraphView, name: str) -> RootOfSquares | None:
    """The root of squares that a value is the reciprocal of."""
    node = producer(view, name)
    if node is None:
        return None
    if node.op_type in _SHAPED:
        return _shaped(view, node, _inverse_root(view, node.input[0]))
    if node.op_type == "Pow" and number(view, node.input[1]) == -0.5:  # noqa: PLR2004
        return _sum_of_squares(view, node.input[0])
    root = divisor_of_inverse(view, node)
    return root_of_squares(view, root) if root else None


def divisor_of_inverse(view: GraphView, node: NodeProto | None) -> str:
    """The name whose reciprocal a node computes; empty if it computes none."""
    if node is not None and node.op_type == "Reciprocal":
        return str(node.input[0])
    is_inverse = node is not None and node.op_type == "Div" and number(view, node.input[0]) == 1
    return str(node.input[1]) if is_inverse and node is not None else ""


def squared(view: GraphView, name: str) -> str | None:
    """The name of the value whose square a value is."""
    node = producer(view, name)
    if node is None:
        return None
    if node.op_type == "Mul" and node.input[0] == node.input[1]:
        return str(node.input[0])
    if node.op_type == "Pow" and number(view, node.input[1]) == _PAIR:
        return str(node.input[0])
    return None


def _reduction(view: GraphView, node: NodeProto, value: str, op: str) -> RootOfSquares | None:
    axes = attribute(node, "axes", ())
    if len(node.input) > 1 and node.input[1]:
        stored = constant_value(view, node.input[1])
        if stored is None:
            return None
        axes = stored.reshape(-1)
    if not len(axes) and attribute(node, "noop_with_empty_axes", 0):
        return None
    kept = bool(attribute(node, "keepdims", 1))
    return RootOfSquares(value=value, op=op, axes=tuple(map(int, axes)), keepdims=kept)


def _shaped(view: GraphView, node: NodeProto, found: RootOfSquares | None) -> RootOfSquares | None:
    """A root behind Expand, or behind Unsqueeze that brings back the axes of the sum."""
    if found is None or node.op_type != "Unsqueeze":
        return found if found is None or node.op_type == "Identity" or found.keepdims else None
    shape = view.shape(found.value)
    axes = constant_value(view, node.input[1]) if len(node.input) > 1 else attribute(node, "axes")
    if shape is None or axes is None or found.keepdims or not found.axes:
        return None
    back = {int(axis) % len(shape) for axis in axes}
    return found._replace(keepdims=True) if back == {axis % len(shape) for axis in found.axes} else None


def limited(view: GraphView, node: NodeProto) -> tuple[str, float] | None:
    """A value and the positive number that is added to it, or that it does not fall below."""
    if node.op_type == "Clip":
        least = number(view, node.input[1]) if len(node.input) > 1 else attribute(node, "min")
        upper = number(view, node.input[2]) if len(node.input) == _CLIP_INPUTS and node.input[2] else None
        most = attribute(node, "max", upper)
        is_floor = least is not None and least > 0 and (most is None or most > _LARGEST)
        return (str(node.input[0]), float(least)) if is_floor and least is not None else None
    return scaled(view, node, ("Add", "Max"))


def scaled(view: GraphView, node: NodeProto, ops: tuple[str, ...] = ("Mul", "Div")) -> tuple[str, float] | None:
    """A value and the positive number that it is multiplied by, or that one of other ops has beside it."""
    if node.op_type not in ops or len(node.input) != _PAIR:
        return None
    for value, constant in (node.input,) if node.op_type == "Div" else (node.input, node.input[::-1]):
        found = None if is_constant(view, value) else number(view, constant)
        if found is not None and found > 0:
            return str(value), 1 / found if node.op_type == "Div" else found
    return None


def _is_bounded(view: GraphView, name: str) -> bool:
    """Whether no element of a value is above 1, as behind Softmax, or a division by the largest one."""
    node = producer(view, name)
    if node is None or node.op_type != "Div":
        return node is not None and node.op_type in _UP_TO_ONE
    divisor = producer(view, node.input[1])
    while divisor is not None and divisor.op_type == "Max":
        divisor = next(filter(None, (producer(view, each) for each in divisor.input)), None)
    return divisor is not None and divisor.op_type == "ReduceMax"


def _only_divides(view: GraphView, name: str) -> bool:
    """Whether all that reads a root is a division by it, directly or behind what limits or expands it."""
    if view.is_external_use(name) or not view.consumers.get(name):
        return False
    return all(_divides(view, view.nodes[index], name) for index in view.consumers[name])


def _divides(view: GraphView, node: NodeProto, name: str) -> bool:
    if node.op_type == "Div":
        return node.input[1] == name and node.input[0] != name
    if node.op_type == "Reciprocal":
        return True
    return (node.op_type in _SHAPED or limited(view, node) is not None) and _only_divides(view, node.output[0])


def producer(view: GraphView, name: str) -> NodeProto | None:
    """The node of ONNX's own domain that computes a value in this graph."""
    node = view.producer(name)
    return node if node is not None and is_onnx(node) else None


def number(view: GraphView, name: str) -> float | None:
    """The single element of a constant."""
    value = constant_value(view, name) if name and is_constant(view, name) else None
    return float(value.reshape(())) if value is not None and value.size == 1 and value.dtype.kind in "fiu" else None
