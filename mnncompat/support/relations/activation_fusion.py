"""Relations of activations that MNN's converter merges into the node before, or moves before it."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto

from mnncompat.graph.operator_traits import ARITHMETIC, CONVOLUTIONS, MATRIX_PRODUCTS, RESHAPES, VARIADIC
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

# Operators that become arithmetic of two operands in the converter, or several operators that end with it.
_MERGED = {*ARITHMETIC, *VARIADIC, "Mod", "Pow", "PRelu", "Softsign", "Gelu"}
_MERGED |= {"LpNormalization", "MeanVarianceNormalization"}

_BIASED = CONVOLUTIONS + MATRIX_PRODUCTS

_DROPPED = ("Identity", "Dropout")

# Operators that MoveUnaryOpBeforeReshape.cpp moves.
_MOVED = frozenset(
    (
        *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Clip", "Cos", "Cosh", "Erf", "Exp"),
        *("Floor", "Gelu", "HardSwish", "LeakyRelu", "Log", "Neg", "PRelu", "Reciprocal", "Relu", "Round"),
        *("Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Sqrt", "Tan", "Tanh"),
    )
)


@relation(
    holds="(float[2] a, float[2] b) => (float[2] s, float[2] y) { s = Add(a, b) y = Relu(s) }",
    fails="(float[2] a, float[2] b) => (float[2] y) { s = Add(a, b) y = Relu(s) }",
)
def activation_replaces_graph_output(facts: NodeFacts) -> bool | None:
    """The operand is the result of arithmetic of two operands and a graph output, and no other node reads it.

    The converter then merges the node into the arithmetic, and the output is lost.
    """
    before = output_behind(facts.view, facts.index)
    return before is not None and _is_arithmetic(facts.view, before)


def output_behind(view: GraphView, index: int) -> NodeProto | None:
    """The node that computes the first operand, if that is an output of the graph and no other node reads it.

    The converter drops copies by Identity and Dropout: they count as the operand.
    """
    name = view.nodes[index].input[0]
    node = view.producer(name)
    while node is not None and node.op_type in _DROPPED and is_onnx(node):
        name = node.input[0]
        node = view.producer(name)
    names = {name, *_copies(view, name)}
    if node is None or not is_onnx(node) or names.isdisjoint(view.outputs) or not names.isdisjoint(view.captured):
        return None
    readers = {reader for each in names for reader in view.consumers.get(each, ())}
    alone = all(reader == index or _copied(view.nodes[reader]) in names for reader in readers)
    return node if alone else None


def is_moved(view: GraphView, node: NodeProto) -> bool:
    """The converter writes the node as an operator that it moves before a change of shape."""
    if not is_onnx(node) or node.op_type not in _MOVED:
        return False
    if node.op_type == "PRelu":
        slope = view.shape(node.input[1])
        return slope is not None and all(size == 1 for size in slope) and is_constant(view, node.input[1])
    return node.op_type != "Clip" or all(is_constant(view, name) for name in node.input[1:] if name)


def ends_in_reshape(view: GraphView, node: NodeProto) -> bool:
    """The converter writes the node as a change of shape, or as other operators followed by one."""
    if node.op_type in ("ArgMax", "ArgMin"):
        return bool(attribute(node, "keepdims", 1) == 1)
    if node.op_type == "Add" and _is_bias(view, node):
        producers = [view.producer(name) for name in node.input]
        return any(each is not None and each.op_type == "MatMul" and ends_in_reshape(view, each) for each in producers)
    if node.op_type in MATRIX_PRODUCTS:
        weight = view.shape(node.input[1])
        return is_constant(view, node.input[1]) and weight is not None and len(weight) == 2  # noqa: PLR2004 - a matrix
    return node.op_type in RESHAPES or (node.op_type == "Einsum" and _einsum_ends_in_reshape(node))


def _einsum_ends_in_reshape(node: NodeProto) -> bool:
    """The converter writes the Einsum as a product of matrices whose result it reshapes, and does not permute."""
    equation = str(attribute(node, "equation", b"").decode()).replace(" ", "")
    operands, arrow, result = equation.replace("...", ".").partition("->")
    terms = operands.split(",")
    if not arrow or not result or len(terms) != 2 or equation == "i,i...->...":  # noqa: PLR2004 - of two operands
        return False
    one, two = terms
    if _is_plain_product(one, two, result):
        return False
    if result[0] == ".":  # an ellipsis is treated as one axis until the end
        return True
    order = [
        *(index for index in result if index in one and index in two),
        *(index for index in result if index not in two),
        *(index for index in result if index not in one),
    ]
    return not set(one) <= set(result) and order == list(result)


def _is_plain_product(one: str, two: str, result: str) -> bool:
    """The converter writes an Einsum of these terms as a product of matrices alone."""
    summed = next((index for index in one if index not in result), None)
    if len(result) == len(one) == len(two) == 4 and summed is not None:  # noqa: PLR2004 - two batches and a matrix
        kept = one.replace(summed, "")
        return result == kept + "".join(index for index in two if index != summed and index not in kept)
    if len(result) == len(one) == len(two) == 3:  # noqa: PLR2004 - a batch and a matrix
        return one[0] == two[0] == result[0] and not set(one[1:]).isdisjoint(two[1:])
    return False


def _is_arithmetic(view: GraphView, node: NodeProto) -> bool:
    if node.op_type == "Relu" and is_onnx(node):  # merged as well, and the next one after it
        before = view.producer(node.input[0])
        alone = len(view.consumers[node.input[0]]) == 1 and not view.is_external_use(node.input[0])
        return before is not None and alone and _is_arithmetic(view, before)
    if node.op_type not in _MERGED or not is_onnx(node):
        return False
    if node.op_type in VARIADIC and len(node.input) != 2:  # noqa: PLR2004 - two operands
        return False
    return node.op_type != "Add" or not _is_bias(view, node)


def _is_bias(view: GraphView, node: NodeProto) -> bool:
    """A constant that is added to a convolution or a product becomes its bias."""
    producers = [view.producer(name) for name in node.input]
    behind = any(each is not None and each.op_type in _BIASED for each in producers)
    return behind and any(is_constant(view, name) for name in node.input)


def _copies(view: GraphView, name: str) -> Iterator[str]:
    pending = [name]
    while pending:
        for index in view.consumers.get(pending.pop(), ()):
            copy = _copied(view.nodes[index])
            if copy is not None:
                yield copy
                pending.append(copy)


def _copied(node: NodeProto) -> str | None:
    """The result of a node that only copies its operand; None for other nodes."""
    return node.output[0] if node.op_type in _DROPPED and is_onnx(node) else None
