"""Relations of Split and of sequences: whether their parts have equal shapes, and whether one is empty."""

from __future__ import annotations

from onnx import NodeProto

from mnncompat.graph.protos import attribute
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.operands import operand_shape
from mnncompat.support.relations.registry import relation


@relation(
    holds="(float[5] x) => (float[3] y, float[N] z) { y, z = Split<num_outputs=2>(x) }",
    fails="(float[6] x) => (float[3] y, float[N] z) { y, z = Split<num_outputs=2>(x) }",
    opset=18,
)
def num_outputs_does_not_divide_axis(facts: NodeFacts) -> bool | None:
    """``num_outputs`` does not divide the size of the split axis."""
    shape = operand_shape(facts, 0)
    if shape is None or not shape:
        return None
    size = shape[facts.attribute("axis") % len(shape)]
    return size % facts.attribute("num_outputs") != 0 if isinstance(size, int) else None


@relation(
    holds="(float[4] x) => (float[M] y, float[N] z) <int64[2] p = {0, 4}> { y, z = Split(x, p) }",
    fails="(float[4] x) => (float[M] y, float[N] z) <int64[2] p = {2, 2}> { y, z = Split(x, p) }",
)
def split_has_empty_part(facts: NodeFacts) -> bool | None:
    """A size in input 1 of a Split is 0 while others are not, or is computed as a value minus itself."""
    name = facts.operand(1)
    if name is None:
        return False
    sizes = facts.numbers_through_casts(name)
    if sizes is not None:
        return {each == 0 for each in sizes} == {True, False}
    node = facts.view.producer(_origin(facts, name))
    if node is None or node.op_type != "Concat":
        return None
    return any(_is_nothing(facts, part) for part in node.input) or None


def _is_nothing(facts: NodeFacts, name: str) -> bool:
    node = facts.view.producer(_origin(facts, name))
    return node is not None and node.op_type == "Sub" and len({_origin(facts, each) for each in node.input}) == 1


def _origin(facts: NodeFacts, name: str) -> str:
    node = facts.view.producer(name)
    while node is not None and node.op_type == "Identity":
        name = node.input[0]
        node = facts.view.producer(name)
    return name


@relation(
    holds=(
        "(float[2,6] x) => (float[M,N] y) <int64[3] k = {3, 2, 1}, int64 p = {-1}> { s = "
        "SplitToSequence<axis=1>(x, k) y = SequenceAt(s, p) }"
    ),
    fails=(
        "(float[2,6] x) => (float[M,N] y) <int64[3] k = {2, 2, 2}, int64 p = {-1}> { s = "
        "SplitToSequence<axis=1>(x, k) y = SequenceAt(s, p) }"
    ),
)
def sequence_elements_differ_in_shape(facts: NodeFacts) -> bool | None:
    """The elements of a sequence (input 0) differ in shape; it is made by SplitToSequence or SequenceConstruct."""
    node = facts.view.producer(_origin(facts, facts.node.input[0]))
    if node is None:
        return None
    if node.op_type == "SequenceConstruct":
        shapes = {facts.shape(name) for name in node.input}
        return None if None in shapes else len(shapes) > 1
    if node.op_type != "SplitToSequence":
        return None
    return _splits_unevenly(facts, node) if len(node.input) > 1 and node.input[1] else False


def _splits_unevenly(facts: NodeFacts, node: NodeProto) -> bool | None:
    parts, shape = facts.value_through_casts(node.input[1]), facts.shape(node.input[0])
    if parts is None:
        return None
    if parts.ndim:
        return bool((parts != parts[0]).any())
    axis = int(attribute(node, "axis", 0))
    size = None if shape is None else shape[axis]
    return size % int(parts) != 0 if isinstance(size, int) else None
