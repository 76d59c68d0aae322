"""Relations of DequantizeLinear: its scales, and which nodes read its result."""

from __future__ import annotations

from mnncompat.graph.operator_traits import CONVOLUTIONS
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

_IMAGE_RANK = 4

_CONVOLUTIONS = dict.fromkeys(CONVOLUTIONS, (1, 2))

_READ_WHILE_CONVERTING: dict[str, tuple[int, ...]] = _CONVOLUTIONS | {
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
}

_PAIR = 2


@relation(
    holds="(uint8[1,3] x, float s) => (float[1,3] y) { y = DequantizeLinear(x, s) }",
    fails="(uint8[2,3] x, float s) => (float[2,3] y) { y = DequantizeLinear(x, s) }",
)
def first_operand_has_one_row(facts: NodeFacts) -> bool | None:
    """Input 0 is a matrix of exactly one row; a dynamic number of rows counts as several."""
    shape = facts.shape(facts.node.input[0])
    return None if shape is None else len(shape) == _PAIR and shape[0] == 1


@relation(
    holds="(int8[2,3] x, float[2] s) => (float[2,3] y) { y = DequantizeLinear<axis=0>(x, s) }",
    fails="(int8[2,3] x, float[3] s) => (float[2,3] y) { y = DequantizeLinear<axis=1>(x, s) }",
)
def scales_lie_along_other_axis(facts: NodeFacts) -> bool | None:
    """The scales of DequantizeLinear (input 1) are for blocks, or for the elements of another axis than MNN assumes.

    MNN assumes the last axis, and the first one of an int8 weight of a convolution.
    """
    scales, shape = facts.shape(facts.node.input[1]), facts.shape(facts.node.input[0])
    if scales is None:
        return None
    if len(scales) != 1 or scales == (1,):
        return len(scales) > 1
    if shape is None:
        return None
    axis = int(facts.attribute("axis")) % len(shape)
    if len(shape) != _IMAGE_RANK or facts.dtype(facts.node.input[0]) != "INT8":
        return axis != len(shape) - 1
    view, name = facts.view, facts.node.output[0]
    readers = {view.nodes[index].op_type for index in view.consumers.get(name, [])}
    return axis != 0 or bool(readers.difference(CONVOLUTIONS)) or view.is_external_use(name)


@relation(
    holds=(
        "(float[1,1,2,2] x, float s) => (float[1,1,2,2] z) <int8[1,1,1,1] q = {3}> { y = DequantizeLinear(q, s) z"
        " = Conv(x, y) }"
    ),
    fails=(
        "(float[1,1,2,2] x, float s) => (float[1,1,2,2] z) <int8[1,1,2,2] q = {1, 2, 3, 4}> { y = "
        "DequantizeLinear(q, s) z = MatMul(x, y) }"
    ),
)
def result_is_read_by_converter(facts: NodeFacts) -> bool | None:
    """The result is an operand that MNN's converter itself reads, before the model runs and dequantises it."""
    view = facts.view
    read = [
        (view.nodes[index], position)
        for index in view.consumers.get(facts.node.output[0], [])
        for position, name in enumerate(view.nodes[index].input)
        if name == facts.node.output[0]
    ]
    if not any(position in _READ_WHILE_CONVERTING.get(reader.op_type, ()) for reader, position in read):
        return False
    if any(position != 1 or reader.op_type not in _CONVOLUTIONS for reader, position in read):
        return True
    rank = facts.rank(facts.node.output[0])
    return None if rank is None else rank > _IMAGE_RANK or any(reader.op_type == "Conv" for reader, _ in read)
