"""Relations of functions that are written out: what overflows in float16, or comes below its smallest number."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from onnx import NodeProto

from mnncompat.graph.protos import attribute
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import constant_value, is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.half_norms import divisor_of_inverse, limited, norm_by_root, producer, scaled
from mnncompat.support.relations.registry import relation

_PAIR = 2
_PRODUCTS = ("MatMul", "Einsum")
_SUBNORMAL = 2.0**-19
"""Below it, float16 holds fewer than 6 bits of a number."""
_ZERO = 2.0**-24
"""The smallest number of float16."""
_FAR = 16.0
"""A mean of so many deviations costs 4 of the 11 bits of float16."""
_SHORT = 64
_MANY, _LONG = 256, 1024


def quotient_of(facts: NodeFacts) -> tuple[str, str] | None:
    """Numerator and divisor of Div, or of Mul by a reciprocal; None of other products."""
    node, view = facts.node, facts.view
    if node.op_type == "Div":
        return str(node.input[0]), str(node.input[1])
    for value, other in (node.input, node.input[::-1]):
        inverse = producer(view, other)
        divisor = divisor_of_inverse(view, inverse)
        if divisor:
            return str(value), divisor
    return None


class Summed(NamedTuple):
    """The sum of the exponentials of a value.

    Attributes:
        value: Name of the value.
        axes: Over which they are summed; empty for all.
        keepdims: Whether these axes stay, of size 1.
        epsilon: What is added to the sum.
    """

    value: str
    axes: tuple[int, ...]
    keepdims: bool
    epsilon: float = 0.0


@relation(
    holds="(float[2,3] x) => (float[2,3] y) { e = Exp(x) s = ReduceSum<axes=[1]>(e) y = Div(e, s) }",
    fails="(float[2,3] x) => (float[2,3] y) { m = ReduceMax<axes=[1]>(x) d = Sub(x, m) e = Exp(d) "
    "s = ReduceSum<axes=[1]>(e) y = Div(e, s) }",
    opset=11,
    behind=("Exp", "Reciprocal", "Div"),
)
def exponential_divided_by_its_sum(facts: NodeFacts) -> bool:
    """Exp is divided by its ReduceSum, and nothing was subtracted from its operand."""
    return divided_exponential(facts) is not None


@relation(
    holds="(float[2,3] x) => (float[2,3] y) { s = Softmax<axis=1>(x) y = Log(s) }",
    fails="(float[2,3] x) => (float[2,3] y) { s = Sigmoid(x) y = Log(s) }",
    behind=("Softmax", "Add", "Max", "Clip"),
)
def logarithm_of_softmax(facts: NodeFacts) -> bool:
    """Log of Softmax, or of it beside a tiny number: small probabilities are 0 in float16."""
    return softmax_of_logarithm(facts) is not None


@relation(
    holds="(float[2] x) => (float[2] y) <float o = {1.0}> { e = Exp(x) a = Add(o, e) y = Log(a) }",
    fails="(float[2] x) => (float[2] y) <float o = {1.0}> { e = Sigmoid(x) a = Add(o, e) y = Log(a) }",
    behind=("Add",),
)
def logarithm_of_one_and_exponential(facts: NodeFacts) -> bool:
    """Log(1 + Exp(x)), which is Softplus."""
    return softplus_operand(facts) is not None


@relation(
    holds="(float[2] x) => (float[2] y) <float e = {1e-8}> { a = Add(x, e) y = Log(a) }",
    fails="(float[2] x) => (float[2] y) <float e = {1e-3}> { a = Add(x, e) y = Log(a) }",
    behind=("Add", "Clip", "Max"),
)
def logarithm_has_tiny_floor(facts: NodeFacts) -> bool:
    """Log of a value to which a number is added, or that does not fall below it, of which float16 holds few bits."""
    found = floor_of_logarithm(facts)
    return found is not None and found[1] < _SUBNORMAL and softmax_of_logarithm(facts) is None


@relation(
    holds="(float[2] x, float[2] n) => (float[2] y) <float e = {1e-8}> { a = Add(n, e) y = Div(x, a) }",
    fails="(float[2] x, float[2] n) => (float[2] y) <float e = {1e-3}> { a = Add(n, e) y = Div(x, a) }",
    behind=("Add", "Clip", "Max", "Reciprocal", "Div"),
)
def divisor_has_tiny_floor(facts: NodeFacts) -> bool:
    """A divisor to which a positive number is added, or that it does not fall below, which is 0 in float16."""
    view = facts.view
    quotient = quotient_of(facts)
    divisor = None if quotient is None else producer(view, quotient[1])
    found = None if divisor is None else limited(view, divisor)
    if quotient is None or found is None or found[1] >= _ZERO or is_constant(view, quotient[0]):
        return False
    return norm_by_root(facts) is None and divided_exponential(facts) is None


@relation(
    holds="(float[2,3] a, float[3,2] b) => (float[2,2] y) <float s = {0.5}> { m = MatMul(a, b) y = Mul(m, s) }",
    fails="(float[2,3] a, float[3,2] b) => (float[2,2] y) <float s = {2.0}> { m = MatMul(a, b) y = Mul(m, s) }",
    behind=("MatMul", "Einsum"),
)
def product_of_matrices_is_scaled_down(facts: NodeFacts) -> bool:
    """The product of two matrices that are no constants is multiplied by a number below 1, or divided by more."""
    return scaled_product(facts) is not None


@relation(
    holds="(float[1,2,3] x) => (float[1,2,3] y) <float[2] s = {1.0, 1.0}, float[2] b = {0.0, 0.0}, "
    "float[2] m = {900.0, 1.0}, float[2] v = {1.0, 1.0}> { y = BatchNormalization(x, s, b, m, v) }",
    fails="(float[1,2,3] x) => (float[1,2,3] y) <float[2] s = {1.0, 1.0}, float[2] b = {0.0, 0.0}, "
    "float[2] m = {9.0, 1.0}, float[2] v = {1.0, 1.0}> { y = BatchNormalization(x, s, b, m, v) }",
)
def mean_is_many_deviations(facts: NodeFacts) -> bool | None:
    """The mean of a BatchNormalization is at least 16 times its deviation in a channel, both constant, without a Conv.

    MNN computes ``x * a + b``, whose terms cancel then. Behind a Conv it computes the weights, in float32.
    """
    node, view = facts.node, facts.view
    before = producer(view, node.input[0])
    if before is not None and before.op_type in ("Conv", "ConvTranspose"):
        return False
    if not (is_constant(view, node.input[3]) and is_constant(view, node.input[4])):
        return False
    mean, variance = (constant_value(view, name) for name in node.input[3:5])
    if mean is None or variance is None or mean.shape != variance.shape:
        return None
    epsilon = attribute(node, "epsilon", 1e-5)
    return bool((mean.astype(float) ** 2 >= _FAR**2 * (variance.astype(float) + epsilon)).any())


@relation(
    holds="(float[2,300] x) => (float[2,300] y) <int64 a = {1}> { y = CumSum(x, a) }",
    fails="(float[2,30] x) => (float[2,30] y) <int64 a = {1}> { y = CumSum(x, a) }",
)
def running_sum_is_long(facts: NodeFacts) -> bool | None:
    """CumSum over more than 64 elements."""
    axis, shape = facts.constant_value(facts.node.input[1]), facts.shape(facts.node.input[0])
    if axis is None or axis.size != 1 or not shape:
        return None
    size = shape[int(axis.reshape(())) % len(shape)]
    return size > _SHORT if isinstance(size, int) else None


def divided_exponential(facts: NodeFacts) -> Summed | None:
    """The sum that an exponential is divided by, with what is added to it; None if it is not its own sum."""
    view = facts.view
    quotient = quotient_of(facts)
    power = None if quotient is None else producer(view, quotient[0])
    if quotient is None or power is None or power.op_type != "Exp":
        return None
    node = producer(view, quotient[1])
    beside = None if node is None else scaled(view, node, ("Add",))
    found = summed_exponentials(view, quotient[1] if beside is None else beside[0])
    if found is None or not found.keepdims or power.input[0] != found.value:
        return None
    return found if beside is None else found._replace(epsilon=beside[1])


def summed_exponentials(view: GraphView, name: str) -> Summed | None:
    """The sum of exponentials that a value is; None if it is none, or something is subtracted from what they are of."""
    node = producer(view, name)
    power = producer(view, node.input[0]) if node is not None and node.op_type == "ReduceSum" else None
    if node is None or power is None or power.op_type != "Exp":
        return None
    before = producer(view, power.input[0])
    axes = attribute(node, "axes", ())
    if len(node.input) > 1 and node.input[1]:
        stored = constant_value(view, node.input[1])
        axes = None if stored is None else stored.reshape(-1)
    no_axes = axes is None or (not len(axes) and attribute(node, "noop_with_empty_axes", 0))
    if no_axes or (before is not None and before.op_type == "Sub"):
        return None
    return Summed(str(power.input[0]), tuple(map(int, axes)), bool(attribute(node, "keepdims", 1)))


def softmax_of_logarithm(facts: NodeFacts) -> NodeProto | None:
    """The Softmax that Log takes, alone or beside a tiny number."""
    found = floor_of_logarithm(facts)
    is_tiny = found is not None and found[1] < _SUBNORMAL
    node = producer(facts.view, found[0] if found is not None and is_tiny else facts.node.input[0])
    return node if node is not None and node.op_type == "Softmax" else None


def softplus_operand(facts: NodeFacts) -> str | None:
    """The operand of a Softplus that is written as Log(1 + Exp(x))."""
    node = producer(facts.view, facts.node.input[0])
    found = None if node is None else scaled(facts.view, node, ("Add",))
    power = None if found is None or found[1] != 1 else producer(facts.view, found[0])
    return str(power.input[0]) if power is not None and power.op_type == "Exp" else None


def floor_of_logarithm(facts: NodeFacts) -> tuple[str, float, NodeProto] | None:
    """The value and the number that Log takes the sum or the larger one of, and the node that computes that."""
    node = producer(facts.view, facts.node.input[0])
    found = None if node is None else limited(facts.view, node)
    return None if node is None or found is None else (*found, node)


def scaled_product(facts: NodeFacts) -> tuple[NodeProto, float] | None:
    """The product of matrices, and the number below 1 that it is multiplied by."""
    view = facts.view
    found = scaled(view, facts.node)
    product = None if found is None or found[1] >= 1 else producer(view, found[0])
    if product is None or found is None or product.op_type not in _PRODUCTS or len(product.input) != _PAIR:
        return None
    is_alone = len(view.consumers.get(found[0], ())) == 1 and not view.is_external_use(found[0])
    is_constant_product = any(is_constant(view, name) for name in product.input)
    return None if not is_alone or is_constant_product else (product, found[1])


@relation(
    holds="(float[1,4,40,30] x) => (float[1,4,1,1] y) { y = GlobalAveragePool(x) }",
    fails="(float[1,4,4,4] x) => (float[1,4,1,1] y) { y = GlobalAveragePool(x) }",
)
def average_is_of_many(facts: NodeFacts) -> bool:
    """The window of an average pool has at least 256 elements, or an unknown number."""
    window = facts.attribute("kernel_shape")
    if window is None:
        shape = facts.shape(facts.node.input[0])
        window = None if shape is None else shape[2:]
    sizes = [size for size in window or () if isinstance(size, int)]
    return not window or len(sizes) < len(window) or prod(sizes) >= _MANY


@relation(
    holds="(float[2,2048] a, float[2048,2] b) => (float[2,2] y) { y = MatMul(a, b) }",
    fails="(float[2,512] a, float[512,2] b) => (float[2,2] y) { y = MatMul(a, b) }",
)
def product_has_many_terms(facts: NodeFacts) -> bool | None:
    """The sums of a MatMul by a matrix have at least 1,024 terms."""
    shape = facts.shape(facts.node.input[1])
    if shape is None or len(shape) != _PAIR:
        return None if shape is None else False
    return shape[0] >= _LONG if isinstance(shape[0], int) else None
