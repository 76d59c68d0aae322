"""Relations of nodes in branches and bodies that read values of the graph around them.

MNN's converter gives such a value the type int32 and one dimension, whatever it is (``OnnxScope::buildSubGraph`` in
``onnxOpConverter.cpp``), and hands both on to what is computed from it.
"""

from __future__ import annotations

from mnncompat.graph.operator_traits import ARITHMETIC, FLOAT_FUNCTIONS, RESHAPES, ROUNDINGS
from mnncompat.graph.protos import is_onnx
from mnncompat.inference.constant_folding import is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

_MOVES = RESHAPES | frozenset(("Concat", "Gather", "Identity", "Pad", "Slice", "Split", "TopK", "Transpose"))
_REDUCTIONS = frozenset(("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"))
# What takes the type of its first operand where the converter removes casts.
_KEEPS_TYPE = _MOVES | _REDUCTIONS | ARITHMETIC | frozenset(("Clip", "Max", "Min", "Pow", "Sqrt"))
_ONE_OPERAND = (
    (FLOAT_FUNCTIONS - {"HardSigmoid"})
    | ROUNDINGS
    | frozenset(("Abs", "CumSum", "Elu", "Expand", "LayerNormalization", "Neg", "Relu", "Softmax", "Tile"))
)
# What takes it where the converter looks for the type of an operand.
_KEEPS_INFO = _MOVES | _REDUCTIONS | _ONE_OPERAND

_BRANCHES = (
    "(float[2] x, bool c) => (float[2] z) {{ z = If(c)<then_branch = t () => (float[2] p) {{ {} }}, "
    "else_branch = e () => (float[2] q) {{ q = Abs(x) }}> }}"
)


@relation(
    holds=_BRANCHES.format("v = Sub(x, x) y = Cast<to=7>(v) p = Cast<to=1>(y)"),
    fails=_BRANCHES.format("v = Abs(x) y = Cast<to=7>(v) p = Cast<to=1>(y)"),
)
def operand_passes_for_whole_number(facts: NodeFacts) -> bool:
    """In a branch or body, input 0 is a value of the graph around it, or takes its type: the converter removes casts.

    Functions of one operand, products of matrices and operands that are cast have their own type.
    """
    return _is_derived(facts, facts.node.input[0], _KEEPS_TYPE)


@relation(
    holds=_BRANCHES.format("v = Abs(x) y = Clip(v, l) p = Neg(y)").replace(" {", " <float l = {-1.0}> {", 1),
    fails=_BRANCHES.format("v = Cast<to=1>(x) y = Clip(v, l) p = Neg(y)").replace(" {", " <float l = {-1.0}> {", 1),
)
def operand_passes_for_captured_value(facts: NodeFacts) -> bool:
    """In a branch or body, input 0 is a value of the graph around it, or has its type in the eyes of the converter.

    What is computed with a constant, by a product of matrices or by a cast has its own.
    """
    return _is_derived(facts, facts.node.input[0], _KEEPS_INFO)


@relation(
    holds=_BRANCHES.format("v = Cast<to=1>(x) y, i = TopK(v, k) p = Neg(y)").replace(" {", " <int64[1] k = {1}> {", 1),
    fails="(float[2] x) => (float[1] y, int64[1] i) <int64[1] k = {1}> { v = Neg(x) y, i = TopK(v, k) }",
)
def rank_passes_for_one(facts: NodeFacts) -> bool:
    """In a branch or body, input 0 is a value of the graph around it, or takes its rank: one, for the converter."""
    return _is_derived(facts, facts.node.input[0], _KEEPS_INFO | ARITHMETIC | {"Cast", "Clip", "Max", "Min", "Pow"})


def _is_derived(facts: NodeFacts, name: str, through: frozenset[str]) -> bool:
    view = facts.view
    if view.parent is None or view.is_function:
        return False
    node = view.producer(name)
    while node is not None and is_onnx(node) and node.op_type in through:
        name = node.input[0]
        node = view.producer(name)
    return node is None and not is_constant(view, name) and name not in view.input_names
