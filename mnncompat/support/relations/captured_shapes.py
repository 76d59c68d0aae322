"""Relations of nodes in branches and bodies whose operators MNN's converter builds by the shapes of their operands.

It gives a value of the graph around a branch one dimension (``OnnxScope::buildSubGraph`` in ``onnxOpConverter.cpp``),
and computes the shape of what is computed from it, rightly or not at all.
"""

from __future__ import annotations

from enum import Enum, auto

from onnx import NodeProto

from mnncompat.graph.operator_traits import ARITHMETIC, FLOAT_FUNCTIONS
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.inference.constant_folding import constant_value, is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

# The converter replaces these by others, whose shape it does not compute.
_WRITTEN_OUT = frozenset(("Celu", "HardSigmoid", "Shrink", "Softplus", "Softsign", "ThresholdedRelu"))
_SAME_SHAPE = (FLOAT_FUNCTIONS - _WRITTEN_OUT) | frozenset(("Cast", "Identity", "LayerNormalization", "Softmax"))
_ONE_AXIS = frozenset(("Concat", "Pad", "Split", "Transpose"))
_FEWER_AXES = frozenset(("Gather", "Squeeze"))
_REDUCTIONS = frozenset(("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"))


# What the converter merges into a product, and Identity.
_ACTIVATIONS = ("Clip", "Identity", "LeakyRelu", "Relu")


class _Known(Enum):
    """What the converter takes the shape of a value in a branch or body for."""

    RIGHT = auto()
    CAPTURED = auto()
    """That of a captured value: one dimension, of one element."""
    SHORT = auto()
    """One dimension, of another size."""
    DEEPER = auto()
    """More dimensions, all of one element."""
    NO_AXIS = auto()
    UNKNOWN = auto()


_BRANCHES = (
    "({}bool c) => (float[A,B,C,D] z) {{{{ z = If(c)<then_branch = t () => (float[A,B,C,D] p) {{{{ {{}} }}}}, "
    "else_branch = e () => (float[A,B,C,D] q) {{{{ q = {} }}}}> }}}}"
)
_RECURRENT = _BRANCHES.format(
    "float[3,1,2] x, float[1,6,2] w, float[1,6,2] r, float[1,12] b, float[3,1,1,2] o, ", "Neg(o)"
)


@relation(
    holds=_RECURRENT.format("y = GRU<hidden_size=2>(x, w, r, b) p = Neg(y)"),
    fails=_RECURRENT.format(
        "k = Constant<value=int64[3] {3,1,2}>() v = Reshape(x, k) y = GRU<hidden_size=2>(v, w, r, b) p = Neg(y)"
    ),
    nested=True,
)
def first_operand_passes_for_one_element(facts: NodeFacts) -> bool:
    """In a branch or body, MNN takes input 0 for one element: a value of the graph around it, or one of its shape."""
    return _known(facts, facts.node.input[0]) in (_Known.CAPTURED, _Known.DEEPER)


@relation(
    holds=_RECURRENT.format(
        "k = Constant<value=int64 {0}>() v = Gather(o, k) y = GRU<hidden_size=2>(v, w, r, b) p = Neg(y)"
    ),
    fails=_RECURRENT.format("v = Transpose<perm=[1,0,2]>(x) y = GRU<hidden_size=2>(v, w, r, b) p = Neg(y)"),
    nested=True,
)
def first_operand_passes_for_scalar(facts: NodeFacts) -> bool:
    """In a branch or body, MNN takes input 0 for a scalar: an axis is taken from a value of the graph around it."""
    return _known(facts, facts.node.input[0]) is _Known.NO_AXIS


_WEIGHTS = _BRANCHES.format("float[1,1,2,2] x, float[1,1,2,2] w, ", "Neg(x)")


@relation(
    holds=_WEIGHTS.format("y = Conv(x, w) p = Neg(y)"),
    fails=_WEIGHTS.format("k = Constant<value=int64[4] {1,1,2,2}>() v = Expand(w, k) y = Conv(x, v) p = Neg(y)"),
    nested=True,
)
def weight_has_no_shape_for_converter(facts: NodeFacts) -> bool:
    """In a branch or body, input 1 is a value of the graph around it, or computed from one: MNN has no shape for it.

    What Expand gives a constant shape has it.
    """
    return _known(facts, facts.node.input[1]) is not _Known.RIGHT


@relation(
    holds=_WEIGHTS.format("y = Conv(x, w) p = Neg(y)"),
    fails=_WEIGHTS.format("k = Constant<value=int64[4] {1,1,2,2}>() v = Expand(x, k) y = Conv(v, w) p = Neg(y)"),
    nested=True,
)
def first_operand_has_no_shape_for_converter(facts: NodeFacts) -> bool:
    """The same for input 0."""
    return _known(facts, facts.node.input[0]) is not _Known.RIGHT


_BOXES = (
    "(float[1,2,4] x, float[1,1,2] s, bool c) => (int64[K,3] z) <int64 n = {{2}}> {{ z = If(c)<then_branch = t () => "
    "(int64[J,3] p) {{ {} p = Identity(y) }}, else_branch = e () => (int64[I,3] q) {{ q = Constant<value=int64[1,3] "
    "{{0, 0, 0}}>() }}> }}"
)


@relation(
    holds=_BOXES.format("y = NonMaxSuppression(x, s, n)"),
    fails=_BOXES.format("k = Constant<value=int64[3] {1,2,4}>() v = Reshape(x, k) y = NonMaxSuppression(v, s, n)"),
    nested=True,
)
def boxes_and_scores_have_wrong_shapes(facts: NodeFacts) -> bool:
    """In a branch or body, MNN believes to know the shapes of inputs 0 and 1, and one of them is wrong.

    It is that of a value of the graph around it, or of one computed from it. Where a shape is unknown, MNN computes
    with those that come at run time.
    """
    both = {_known(facts, name) for name in facts.node.input[:2]}
    return both <= {_Known.RIGHT, _Known.CAPTURED, _Known.DEEPER, _Known.NO_AXIS} and both != {_Known.RIGHT}


_PRODUCTS = (
    "(float[2,2] x, bool c) => (float[2,2] z) <float[2,2] w = {{1.0, 2.0, 3.0, 4.0}}, float b = {{1.0}}> {{ z = If(c)"
    "<then_branch = t () => (float[2,2] p) {{ m = MatMul(x, w) y = Add(m, b) p = {}(y) }}, else_branch = e () => "
    "(float[2,2] q) {{ q = Neg(x) }}> }}"
)


@relation(
    holds=_PRODUCTS.format("Relu"),
    fails=_PRODUCTS.format("Tanh"),
    nested=True,
)
def single_bias_of_short_product(facts: NodeFacts) -> bool:
    """In a branch or body, one element is added to a product with a constant, whose input 0 MNN takes for a vector.

    It is a value of the graph around it, or computed from one. The element has one dimension or none. The sum is what
    the branch or body returns, also by Relu: MNN moves the Squeeze behind other operators, and loses it there.
    """
    if not _is_returned(facts):
        return False
    bias, product = _bias_and_product(facts)
    if bias is None or product is None or not is_constant(facts.view, product.input[1]):
        return False
    rank = facts.rank(bias)
    if facts.elements(bias) != 1 or rank is None or rank > 1 or not is_constant(facts.view, bias):
        return False
    return _known(facts, product.input[0]) in (_Known.CAPTURED, _Known.SHORT, _Known.NO_AXIS)


def _is_returned(facts: NodeFacts) -> bool:
    result, view = facts.node.output[0], facts.view
    readers = [view.nodes[index] for index in view.consumers.get(result, [])]
    behind = [node.output[0] for node in readers if node.op_type in _ACTIVATIONS]
    return not view.outputs.isdisjoint((result, *behind))


def _bias_and_product(facts: NodeFacts) -> tuple[str | None, NodeProto | None]:
    """What is added, and the product: a Gemm itself, or the MatMul that an Add reads, with a Relu between at most."""
    if facts.node.op_type == "Gemm":
        return facts.operand(2), facts.node
    for bias, other in (tuple(facts.node.input), tuple(facts.node.input)[::-1]):
        if is_constant(facts.view, bias):
            product = facts.view.producer(other)
            if product is not None and product.op_type == "Relu":
                product = facts.view.producer(product.input[0])
            return bias, product if product is not None and product.op_type == "MatMul" else None
    return None, None


def takes_length_for_one(facts: NodeFacts) -> bool:
    """In a branch or body, input 0 is of the graph around it: MNN takes its axis 0 for 1, or sees none."""
    return _known(facts, facts.node.input[0]) in (_Known.CAPTURED, _Known.DEEPER, _Known.NO_AXIS)


def _known(facts: NodeFacts, name: str) -> _Known:
    """What the converter knows of a value's shape."""
    view = facts.view
    if view.parent is None or view.is_function or is_constant(view, name) or name in view.input_names:
        return _Known.RIGHT
    node = view.producer(name)
    if node is None:
        return _Known.CAPTURED
    return _computed(facts, node) if is_onnx(node) else _Known.UNKNOWN


def _computed(facts: NodeFacts, node: NodeProto) -> _Known:
    operator = node.op_type
    if operator in ("Expand", "Reshape"):
        return _given_shape(facts, node)
    if operator in ARITHMETIC:
        found = {_Known.UNKNOWN if is_constant(facts.view, each) else _known(facts, each) for each in node.input}
        return found.pop() if len(found) == 1 else _Known.UNKNOWN
    first = _known(facts, node.input[0]) if node.input else _Known.UNKNOWN
    if operator in _SAME_SHAPE or (operator == "Transpose" and _keeps_order(node)):
        return first
    return _moved(facts, node, first)


def _moved(facts: NodeFacts, node: NodeProto, first: _Known) -> _Known:
    """What the converter knows of a result whose shape is not that of the first operand."""
    operator = node.op_type
    if first is _Known.DEEPER:
        return {"Squeeze": _Known.CAPTURED, "Unsqueeze": first}.get(operator, _Known.UNKNOWN)
    if first is not _Known.CAPTURED:
        return _Known.UNKNOWN
    if operator == "Slice":
        return _sliced(facts, node)
    if operator in _FEWER_AXES or (operator in _REDUCTIONS and attribute(node, "keepdims") == 0):
        return _Known.NO_AXIS
    if operator in _ONE_AXIS:
        return _Known.SHORT
    return _Known.DEEPER if operator == "Unsqueeze" else _Known.UNKNOWN


def _given_shape(facts: NodeFacts, node: NodeProto) -> _Known:
    """Of Expand and Reshape: to a constant shape, to that of a value of the graph around, or to another one."""
    shape = facts.view.producer(node.input[1]) if len(node.input) > 1 else None
    if shape is not None and shape.op_type == "Shape" and not shape.attribute:
        return _known(facts, shape.input[0])
    stated = is_constant(facts.view, node.input[1])
    return _Known.RIGHT if node.op_type == "Expand" and stated else _Known.UNKNOWN


def _sliced(facts: NodeFacts, node: NodeProto) -> _Known:
    """Of Slice: the only element remains, unless it starts behind it."""
    starts, axes = _numbers(facts, node, 1, "starts"), _numbers(facts, node, 3, "axes")
    if starts is None:
        return _Known.UNKNOWN
    first = dict(zip(range(len(starts)) if axes is None else axes, starts, strict=False)).get(0, 0)
    return _Known.SHORT if first > 0 else _Known.CAPTURED


def _numbers(facts: NodeFacts, node: NodeProto, position: int, name: str) -> list[int] | None:
    """What an operand, or the attribute before opset 10, holds; None if it is left out or computed."""
    if attribute(node, name) is not None:
        return list(attribute(node, name))
    given = node.input[position] if len(node.input) > position else ""
    value = constant_value(facts.view, given) if given else None
    return None if value is None else [int(each) for each in value.reshape(-1)]


def _keeps_order(node: NodeProto) -> bool:
    """The converter removes a Transpose that moves nothing."""
    order = list(attribute(node, "perm") or ())
    return bool(order) and order == sorted(order)
