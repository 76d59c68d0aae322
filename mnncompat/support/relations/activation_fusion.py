"""Relations of activations that MNN's converter merges into the node before."""

from __future__ import annotations

from onnx import NodeProto

from mnncompat.graph.operator_traits import ARITHMETIC, CONVOLUTIONS, MATRIX_PRODUCTS, VARIADIC
from mnncompat.graph.protos import is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

# Operators that become arithmetic of two operands in the converter, or several operators that end with it.
_MERGED = {*ARITHMETIC, *VARIADIC, "Mod", "Pow", "PRelu", "Softsign", "Gelu"}
_MERGED |= {"LpNormalization", "MeanVarianceNormalization"}

_BIASED = CONVOLUTIONS + MATRIX_PRODUCTS

_DROPPED = ("Identity", "Dropout")


@relation(
    holds="(float[2] a, float[2] b) => (float[2] s, float[2] y) { s = Add(a, b) y = Relu(s) }",
    fails="(float[2] a, float[2] b) => (float[2] y) { s = Add(a, b) y = Relu(s) }",
    behind=(*_DROPPED, *_MERGED, "Relu"),
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
    if node is None or not is_onnx(node):
        return None
    names = _read_by_it_alone(view, name, index)
    is_output = not names.isdisjoint(view.outputs) and names.isdisjoint(view.captured)
    return node if is_output else None


def _is_arithmetic(view: GraphView, node: NodeProto) -> bool:
    if node.op_type == "Relu" and is_onnx(node):  # merged as well, and the next one after it
        before = view.producer(node.input[0])
        alone = len(view.consumers[node.input[0]]) == 1 and not view.is_external_use(node.input[0])
        return before is not None and alone and _is_arithmetic(view, before)
    if node.op_type not in _MERGED or not is_onnx(node):
        return False
    if node.op_type in VARIADIC and len(node.input) != 2:  # noqa: PLR2004 - two operands
        return False
    return node.op_type != "Add" or not is_bias(view, node)


def is_bias(view: GraphView, node: NodeProto) -> bool:
    """A constant that is added to a convolution or a product becomes its bias."""
    producers = [view.producer(name) for name in node.input]
    behind = any(each is not None and each.op_type in _BIASED for each in producers)
    return behind and any(is_constant(view, name) for name in node.input)


def _read_by_it_alone(view: GraphView, name: str, index: int) -> set[str]:
    """A value and its copies, if one node alone reads them apart from copying; empty at the first other reader."""
    names = {name}
    pending = [name]
    while pending:
        for reader in view.consumers.get(pending.pop(), ()):
            copy = _copied(view.nodes[reader])
            if copy is None and reader != index:
                return set()
            if copy is not None and copy not in names:
                names.add(copy)
                pending.append(copy)
    return names


def _copied(node: NodeProto) -> str | None:
    """The result of a node that only copies its operand; None for other nodes."""
    return node.output[0] if node.op_type in _DROPPED and is_onnx(node) else None
