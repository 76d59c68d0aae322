"""Relations of values that MNN keeps in channel-packed layout (NC4HW4), and what reads them as if they were plain.

Two passes decide on the layout of a value. The converter asks for packed operands of convolutions and their like, lets
others follow their operands (`tools/converter/source/optimizer/postconvert/AddTensorFormatConverter.cpp`), and puts a
conversion in between where the two differ. At run time each result has the layout that its operator computes: that of a
binary operator is the layout of the operand with more dimensions, of the first if there are as many
(`source/shape/ShapeBinaryOp.cpp`). A constant counts as packed for the converter beside a packed value, and is plain.
"""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto

from mnncompat.graph.operator_traits import (
    ARITHMETIC,
    CASTS,
    COMPARISONS,
    CONVOLUTIONS,
    FLOAT_FUNCTIONS,
    LOGIC,
    POOLS,
    RESHAPES,
    RESIZES,
)
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

_PACKING = frozenset(
    (
        *(*CONVOLUTIONS, *POOLS, *RESIZES, "BatchNormalization", "GlobalAveragePool", "GlobalMaxPool", "GridSample"),
        *("InstanceNormalization", "LRN", "MaxRoiPool", "RoiAlign"),
    )
)
"""Their results are packed."""
_FOLLOWING = (
    (FLOAT_FUNCTIONS - {"Celu", "Shrink", "ThresholdedRelu"})
    | RESHAPES
    | frozenset(
        (
            *(*CASTS, "Clip", "DepthToSpace", "Dropout", "Expand", "Identity", "Not", "Pad", "ReverseSequence"),
            *("Slice", "SpaceToDepth", "Split", "Tile", "Transpose"),
        )
    )
)
"""Their results have the layout of the first operand, as that of PRelu with a single slope has. MNN writes the others
among the functions as several operators."""
_BINARY = frozenset((*ARITHMETIC, *COMPARISONS, *(LOGIC - {"Not"}), "Max", "Min", "Mod", "Pow", "Sum"))
_PAIR = 2


def _may_decide_layout(facts: NodeFacts) -> bool | None:
    """What the types of the operands of `single_constant_decides_layout_of_packed_value` exclude."""
    return _single_constant_decides(facts, lambda _: None)


@relation(
    holds=(
        "(float[1,1,2,2] x, float[1,1,1,1] w) => (float[1,1,2,2] y) <float[1,1,1,1] s = {2.0}> { c = Conv(x, w) y"
        " = Mul(s, c) }"
    ),
    fails="(float[1,1,2,2] x) => (float[1,1,2,2] y) <float[1,1,1,1] s = {2.0}> { y = Mul(s, x) }",
    first=_may_decide_layout,
)
def single_constant_decides_layout_of_packed_value(facts: NodeFacts) -> bool | None:
    """A constant of one element has more dimensions than the packed value beside it, or precedes it with as many.

    The value may have changed its shape since it was packed: after Slice and Squeeze it is still packed. The result
    takes the layout of the constant, and since one element needs no broadcast, the value is not converted. If its
    axes but the second are 1, both layouts are the same.
    """
    return _single_constant_decides(facts, lambda name: is_packed(facts, name))


def _single_constant_decides(facts: NodeFacts, packed: Callable[[str], bool | None]) -> bool | None:
    operands = [facts.operand(0), facts.operand(1)]
    if len(facts.node.input) != _PAIR or None in operands:
        return False
    for name, other, ties in ((operands[0], operands[1], True), (operands[1], operands[0], False)):
        if name is not None and other is not None and facts.is_constant(name) and facts.elements(name) == 1:
            return _decides(facts, name, other, packed, ties=ties)
    return False


def _decides(
    facts: NodeFacts, constant: str, other: str, packed: Callable[[str], bool | None], *, ties: bool
) -> bool | None:
    rank, shape = facts.rank(constant), facts.shape(other)
    if not rank or facts.is_constant(other):
        return False
    if shape is not None:
        if rank < len(shape) + (not ties) or all(dim == 1 for axis, dim in enumerate(shape) if axis != 1):
            return False
        return packed(other)
    if rank < len("NC") or packed(other) is False:
        return False
    return None


def is_packed(facts: NodeFacts, name: str) -> bool | None:
    """True if MNN holds a value of the node's graph packed at run time, None if unknown ranks decide that."""
    known: dict[str, bool | None] = facts.view.kept.setdefault(is_packed, {})
    pending = [name]
    while pending:
        value = pending[-1]
        node = facts.view.producer(value)
        followed = [] if node is None else _followed(facts, node)
        missing = [each for each in followed if each not in known]
        if value not in known and missing:
            known[value] = False  # of a value that depends on itself
            pending += missing
            continue
        pending.pop()
        known[value] = False if node is None else _layout(facts, node, followed, known)
    return known[name]


def _followed(facts: NodeFacts, node: NodeProto) -> list[str]:
    """The operands, none of them constant, whose layout decides that of the result."""
    kind = node.op_type
    if kind in _FOLLOWING or (kind == "PRelu" and facts.elements(node.input[1]) == 1):
        operands = list(node.input[:1])
    elif kind == "Concat" or (kind in _BINARY and len(node.input) == _PAIR):
        operands = list(node.input)
    else:
        return []
    return [operand for operand in operands if operand and not facts.is_constant(operand)]


def _layout(facts: NodeFacts, node: NodeProto, followed: list[str], known: dict[str, bool | None]) -> bool | None:
    """The layout of a node's results; that of a Concat is the one of most operands, and constants are plain."""
    if node.op_type in _PACKING:
        return True
    found = [known[each] for each in followed]
    if not found or (node.op_type != "Concat" and False in found):
        return False
    if node.op_type == "Concat":
        packed, plain = found.count(True), found.count(False) + len(node.input) - len(found)
        return None if None in found else packed > plain
    if None in found or node.op_type not in _BINARY or len(found) == _PAIR:
        return None if None in found else True
    return _beside_constant(facts, node, followed[0])


def _beside_constant(facts: NodeFacts, node: NodeProto, packed: str) -> bool | None:
    """Of a packed value and a constant: the one with more dimensions decides, the first if there are as many."""
    is_first = node.input[1] == packed
    constant, value = facts.rank(node.input[0 if is_first else 1]), facts.rank(packed)
    if constant is not None and constant <= 1:
        return True
    if constant is None or value is None:
        return None
    return constant < value + (not is_first)
