"""Relations of nodes that MNN's converter fuses to LayerNorm and GELU by their operators alone, though they differ."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from onnx import NodeProto

from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

_PAIR = 2

_ROUNDED = 1e-3
"""How far the constants of GELU may be rounded, as a share of each."""


class FusedNorm(NamedTuple):
    """A product of a constant and a value that MNN fuses to LayerNorm.

    Attributes:
        gain: Position of the constant among the node's inputs.
        value: Name of the value that is normalised.
        root: Name of the root of the mean of its squares.
        factor: Name of the reciprocal of the root; empty if the value is divided by the root.
        axes: Over which the mean is taken.
    """

    gain: int
    value: str
    root: str
    factor: str
    axes: tuple[int, ...]


@relation(
    holds=(
        "(float[2,3] x) => (float[2,3] y) <float e = {0.5}, float[2,1] g = {1.0, 2.0}> { q = Mul(x, x) m = "
        "ReduceMean<axes=[-1]>(q) a = Add(m, e) r = Sqrt(a) i = Reciprocal(r) p = Mul(x, i) y = Mul(p, g) }"
    ),
    fails=(
        "(float[2,3] x) => (float[2,3] y) <float e = {0.5}, float[3] g = {1.0, 2.0, 3.0}> { q = Mul(x, x) m = "
        "ReduceMean<axes=[-1]>(q) a = Add(m, e) r = Sqrt(a) i = Reciprocal(r) p = Mul(x, i) y = Mul(p, g) }"
    ),
    behind=("Div", "Mul"),
)
def gain_axes_differ_from_normalized_axes(facts: NodeFacts) -> bool | None:
    """The constant factor of a normalisation that is written in single operators has not exactly the normalised axes.

    MNN fuses ``x * (1 / Sqrt(ReduceMean(x * x) + epsilon))``, in this order, to one operator, and treats every constant
    that the result is multiplied by as its gain, without checking the shape.
    """
    found = fused_norm(facts)
    if found is None:
        return False
    shape, gain = facts.shape(found.value), facts.shape(facts.node.input[found.gain])
    if shape is None or gain is None:
        return None
    if len(gain) > len(shape):
        return True
    full = (1,) * (len(shape) - len(gain)) + tuple(gain)
    axes = {axis % len(shape) for axis in found.axes}
    wanted = [dim if axis in axes else 1 for axis, dim in enumerate(shape)]
    return any(size != dim if isinstance(dim, int) else size == 1 for size, dim in zip(full, wanted, strict=True))


@relation(
    holds=(
        "(float[2,2] x) => (float[2,2] y) <float e = {0.5}, float two = {2.0}, float[2] g = {1.0, 2.0}, "
        "float[2,1] b = {3.0, 4.0}> { u = ReduceMean<axes=[-1]>(x) d = Sub(x, u) q = Pow(d, two) m = "
        "ReduceMean<axes=[-1]>(q) a = Add(m, e) r = Sqrt(a) i = Reciprocal(r) p = Mul(d, i) n = Mul(p, g) y = "
        "Add(n, b) }"
    ),
    fails=(
        "(float[2,2] x) => (float[2,2] y) <float e = {0.5}, float two = {2.0}, float[2] g = {1.0, 2.0}, float[2] "
        "b = {3.0, 4.0}> { u = ReduceMean<axes=[-1]>(x) d = Sub(x, u) q = Pow(d, two) m = "
        "ReduceMean<axes=[-1]>(q) a = Add(m, e) r = Sqrt(a) i = Reciprocal(r) p = Mul(d, i) n = Mul(p, g) y = "
        "Add(n, b) }"
    ),
    behind=("Div", "Mul"),
)
def bias_axes_differ_from_gain_axes(facts: NodeFacts) -> bool | None:
    """The constant after the gain of a normalisation in single operators has as many elements as it, on other axes.

    MNN fuses it as well if the mean is subtracted, and compares nothing but the numbers of elements.
    """
    node, view = facts.node, facts.view
    for position in range(len(node.input) if len(node.input) == _PAIR else 0):
        index = view.producers.get(node.input[1 - position])
        if (
            index is None
            or not is_constant(view, node.input[position])
            or view.nodes[index].op_type not in ("Mul", "Div")
        ):
            continue
        product = NodeFacts(view, index, {})
        norm = fused_norm(product)
        if norm is None or _producer(view, norm.value, "Sub") is None:
            continue
        gain, bias = facts.shape(product.node.input[norm.gain]), facts.shape(node.input[position])
        if gain is None or bias is None:
            return None
        sizes = [[int(dim or 0) for dim in shape] for shape in (gain, bias)]
        rank = max(len(gain), len(bias))
        one, other = ([1] * (rank - len(shape)) + shape for shape in sizes)
        return prod(one) == prod(other) and one != other
    return False


def fused_norm(facts: NodeFacts) -> FusedNorm | None:
    """The normalisation that a product with a constant (Mul, or Div by it) would be fused with; None if it is none."""
    node, view = facts.node, facts.view
    positions = (1,) if node.op_type == "Div" else (1, 0)
    gain = next((each for each in positions if len(node.input) == _PAIR and is_constant(view, node.input[each])), None)
    product = None if gain is None else _producer(view, node.input[1 - gain])
    if gain is None or product is None or product.op_type not in ("Mul", "Div"):
        return None
    value, root = product.input
    factor = ""
    if product.op_type == "Mul":
        factor = root
        root = _inverse_of(view, factor)
    axes = fused_axes(view, value, root)
    return None if axes is None else FusedNorm(gain=gain, value=value, root=root, factor=factor, axes=axes)


class FusedGelu(NamedTuple):
    """A product that MNN treats as the approximation of GELU by Tanh.

    Attributes:
        other: Position of the factor that MNN does not check.
        factor: Name of one plus the tangent.
        half: Name of the constant that it is multiplied by.
        is_gelu: Whether it is GELU, up to rounding.
    """

    other: int
    factor: str
    half: str
    is_gelu: bool


@relation(
    holds=(
        "(float[2] x) => (float[2] y) <float three = {3.0}, float a = {0.044715}, float f = {0.7978846}, float "
        "one = {1.0}, float half = {0.25}> { c = Pow(x, three) k = Mul(c, a) s = Add(x, k) t = Mul(s, f) h = "
        "Tanh(t) o = Add(h, one) m = Mul(o, half) y = Mul(x, m) }"
    ),
    fails=(
        "(float[2] x) => (float[2] y) <float three = {3.0}, float a = {0.044715}, float f = {0.7978846}, float "
        "one = {1.0}, float half = {0.5}> { c = Pow(x, three) k = Mul(c, a) s = Add(x, k) t = Mul(s, f) h = "
        "Tanh(t) o = Add(h, one) m = Mul(o, half) y = Mul(x, m) }"
    ),
    behind=("Mul",),
)
def tanh_product_differs_from_gelu(facts: NodeFacts) -> bool:
    """The operators are those of ``x * ((1 + Tanh((x + x^3 * 0.044715) * 0.7978846)) * 0.5)``, the numbers are not.

    MNN fuses it to GELU by the operators alone: neither the constants nor the first factor are compared.
    """
    found = fused_gelu(facts)
    return found is not None and not found.is_gelu


def fused_gelu(facts: NodeFacts) -> FusedGelu | None:
    """The product that MNN treats as GELU; None if it does not."""
    node, view = facts.node, facts.view
    position = next((each for each, name in enumerate(node.input) if _producer(view, name, "Mul") is not None), None)
    outer = None if position is None else _with_constant(view, node.input[position], "Mul", "Add")
    inner = None if outer is None else _with_constant(view, outer[0], "Add", "Tanh")
    tangent = None if inner is None else _producer(view, inner[0], "Tanh")
    scaled = None if tangent is None else _with_constant(view, tangent.input[0], "Mul", "Add")
    added = None if scaled is None else _producer(view, scaled[0], "Add")
    if position is None or outer is None or inner is None or scaled is None or added is None:
        return None
    term = next((each for each, name in enumerate(added.input) if _producer(view, name, "Mul") is not None), None)
    cube = None if term is None else _with_constant(view, added.input[term], "Mul", "Pow")
    power = None if cube is None else _producer(view, cube[0], "Pow")
    if term is None or cube is None or power is None:
        return None
    value = added.input[1 - term]
    constants = ((outer[1], 0.5), (inner[1], 1.0), (scaled[1], 0.7978846), (cube[1], 0.044715), (power.input[1], 3.0))
    is_gelu = value == power.input[0] == node.input[1 - position] and all(
        _is(view, name, number, within=_ROUNDED) for name, number in constants
    )
    return FusedGelu(other=1 - position, factor=outer[0], half=outer[1], is_gelu=is_gelu)


def _with_constant(view: GraphView, name: str, op: str, inner: str) -> tuple[str, str] | None:
    """Operands of a node of type `outer` with two operands: the result of an `inner` node, and a constant."""
    node = _producer(view, name, op)
    if node is None or len(node.input) != _PAIR:
        return None
    for one, other in (node.input, node.input[::-1]):
        if _producer(view, one, inner) is not None and is_constant(view, other):
            return str(one), str(other)
    return None


def _producer(view: GraphView, name: str, op: str = "") -> NodeProto | None:
    node = view.producer(name)
    while node is not None and node.op_type == "Identity":
        node = view.producer(node.input[0])
    return node if node is not None and is_onnx(node) and op in ("", node.op_type) else None


def _inverse_of(view: GraphView, name: str) -> str:
    """The name whose reciprocal a value is; empty if it is no reciprocal."""
    node = _producer(view, name)
    if node is not None and node.op_type == "Reciprocal":
        return str(node.input[0])
    return str(node.input[1]) if node is not None and node.op_type == "Div" and _is(view, node.input[0], 1) else ""


def fused_axes(view: GraphView, value: str, root: str) -> tuple[int, ...] | None:
    """Axes of the mean whose root, with a constant added, is taken; None unless it is that of the value's squares."""
    taken = _producer(view, root, "Sqrt") if root else None
    added = None if taken is None else _producer(view, taken.input[0], "Add")
    shifted = added is not None and is_constant(view, added.input[1])
    mean = _producer(view, added.input[0], "ReduceMean") if added is not None and shifted else None
    square = None if mean is None else _producer(view, mean.input[0])
    if mean is None or square is None or not _is_square(view, square, value):
        return None
    if len(mean.input) < _PAIR:
        axes = attribute(mean, "axes")
    else:
        small, stored = view.stored_numbers(mean.input[1]), None
        if small is None:
            stored = view.stored_value(mean.input[1])
        axes = small.values if small is not None else None if stored is None else stored.reshape(-1)
    return None if axes is None else tuple(map(int, axes)) or None


def _is_square(view: GraphView, node: NodeProto, value: str) -> bool:
    if node.input[0] != value:
        return False
    if node.op_type == "Pow":
        return _is(view, node.input[1], 2)
    return node.op_type == "Mul" and node.input[1] == value and _producer(view, value, "Sub") is None


def _is(view: GraphView, name: str, number: float, within: float = 0.0) -> bool:
    small = view.stored_numbers(name)
    if small is not None:
        return len(small.values) == 1 and abs(small.values[0] / number - 1) <= within
    constant = view.stored_value(name)
    return constant is not None and constant.size == 1 and abs(float(constant.reshape(())) / number - 1) <= within
