"""What MNN's converter merges an activation into, see `mnncompat.relations`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from onnx import NodeProto

from mnncompat.facts import NodeFacts, is_constant
from mnncompat.view import GraphView, is_onnx

# What the converter writes as arithmetic of two operands, or as several operators of which that is the last one.
_OPERATIONS = ("Add", "Sub", "Mul", "Div", "Mod", "Pow", "Max", "Min", "Sum", "Mean")
_ARITHMETIC = {*_OPERATIONS, "PRelu", "Softsign", "Gelu", "LpNormalization", "MeanVarianceNormalization"}
_OF_TWO = ("Max", "Min", "Sum", "Mean")  # of another number of operands they are not
_BIASED = ("Conv", "ConvTranspose", "MatMul", "Gemm")
_DROPPED = ("Identity", "Dropout")


def clips_what_is_an_output(facts: NodeFacts) -> bool:
    """The operand is arithmetic of two operands and a graph output, and nothing else in the graph reads it.

    The converter merges the node into the arithmetic then, and the output is gone. Copies by Identity and Dropout are
    dropped before, and count for the operand.
    """
    view, name = facts.view, facts.node.input[0]
    node = view.producer(name)
    while node is not None and node.op_type in _DROPPED and is_onnx(node):
        name = node.input[0]
        node = view.producer(name)
    if node is None or not _is_arithmetic(view, node):
        return False
    names = {name, *_copies(view, name)}
    if names.isdisjoint(view.outputs) or not names.isdisjoint(view.captured):
        return False
    readers = {index for each in names for index in view.consumers.get(each, ())}
    return all(index == facts.index or _copied(view.nodes[index]) in names for index in readers)


def _is_arithmetic(view: GraphView, node: NodeProto) -> bool:
    if node.op_type == "Relu" and is_onnx(node):  # merged as well, and the next one after it
        before = view.producer(node.input[0])
        alone = len(view.consumers[node.input[0]]) == 1 and not view.is_external_use(node.input[0])
        return before is not None and alone and _is_arithmetic(view, before)
    if node.op_type not in _ARITHMETIC or not is_onnx(node):
        return False
    if node.op_type in _OF_TWO and len(node.input) != 2:  # noqa: PLR2004 - two operands
        return False
    return node.op_type != "Add" or not _is_bias(view, node)


def _is_bias(view: GraphView, node: NodeProto) -> bool:
    """A constant that is added to a convolution or a product becomes its bias."""
    producers = [view.producer(name) for name in node.input]
    behind = any(each is not None and each.op_type in _BIASED for each in producers)
    return behind and any(is_constant(view, name) for name in node.input)


def _copies(view: GraphView, name: str) -> Iterator[str]:
    for index in view.consumers.get(name, ()):
        copy = _copied(view.nodes[index])
        if copy is not None:
            yield copy
            yield from _copies(view, copy)


def _copied(node: NodeProto) -> str | None:
    """The result of a node that does nothing; None of others."""
    return node.output[0] if node.op_type in _DROPPED and is_onnx(node) else None


ACTIVATION_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {
    "clips-what-is-an-output": clips_what_is_an_output,
}
