"""Relations of RNN, GRU and LSTM: the lengths of their sequences."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.operator_traits import ARITHMETIC, FLOAT_FUNCTIONS
from mnncompat.graph.protos import attribute, dims_of
from mnncompat.graph.view import GraphView
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.captured_shapes import takes_length_for_one
from mnncompat.support.relations.operands import operand_shape
from mnncompat.support.relations.registry import relation

_FURTHEST = 200
_KEEPS_AXES = (
    ARITHMETIC
    | FLOAT_FUNCTIONS
    | frozenset(
        (
            *("AveragePool", "BatchNormalization", "Cast", "Clip", "Conv", "Dropout", "Elu", "Identity"),
            *("LayerNormalization", "LeakyRelu", "MatMul", "MaxPool", "PRelu", "Relu"),
        )
    )
)
"""Operators whose result has the axes of the first operand, where both have the same rank."""


@relation(
    holds=(
        "(float[3,1,2] x, float[1,2,2] w, float[1,2,2] r) => (float[3,1,1,2] y) <int32[1] l = {3}> { y = "
        "RNN<hidden_size=2>(x, w, r, , l) }"
    ),
    fails=(
        "(float[3,1,2] x, float[1,2,2] w, float[1,2,2] r) => (float[3,1,1,2] y) <int32[1] l = {2}> { y = "
        "RNN<hidden_size=2>(x, w, r, , l) }"
    ),
)
def sequence_lengths_cover_all_steps(facts: NodeFacts) -> bool | None:
    """Every constant sequence length (input 4) is the number of steps (axis 0 of input 0).

    If the lengths differ from each other, it is False whatever the number of steps is.
    """
    shape = operand_shape(facts, 0)
    lengths = facts.value_through_casts(facts.node.input[4])
    if lengths is None:
        return None
    if lengths.size and (lengths != lengths.flat[0]).any():
        return False
    if shape is None or not isinstance(shape[0], int):
        return None
    return bool((lengths == shape[0]).all())


@relation(
    holds=(
        "(float[1,1,2] x, float[1,2,2] w, float[1,2,2] r) => (float[1,1,1,2] y) { y = RNN<hidden_size=2>(x, w, r) }"
    ),
    fails=(
        "(float[3,1,2] x, float[1,2,2] w, float[1,2,2] r) => (float[3,1,1,2] y) { y = RNN<hidden_size=2>(x, w, r) }"
    ),
)
def sequence_has_one_step(facts: NodeFacts) -> bool:
    """The number of steps of a recurrent operator (axis 0 of input 0) is known to be 1."""
    shape = facts.shape(facts.node.input[0])
    return shape is not None and shape[:1] == (1,)


@relation(
    holds=(
        "(float[T,1,2] x, float[1,2,2] w, float[1,2,2] r) => (float[T,1,1,2] y) { y = RNN<hidden_size=2>(x, w, r) }"
    ),
    fails=(
        "(float[3,1,2] x, float[1,2,2] w, float[1,2,2] r) => (float[3,1,1,2] y) { y = RNN<hidden_size=2>(x, w, r) }"
    ),
)
def sequence_length_is_dynamic(facts: NodeFacts) -> bool | None:
    """The number of steps of a recurrent operator (axis 0 of input 0) is a symbol or unknown.

    MNN's converter assumes 1 for axis 0 of an input of the model where that is not fixed, and leaves other sizes open,
    also where a Transpose brings them to the front. After a Concat, Pad or Tile that makes the sequence longer it
    assumes more than 1. In a branch or body it assumes 1 for values of the graph around it alone, and leaves others
    open.
    """
    shape = facts.shape(facts.node.input[0])
    if not _has_open_first_axis(facts.view) or _comes_from_other_axis(facts) or _is_made_longer(facts):
        return False
    if facts.view.parent is not None and not facts.view.is_function and not takes_length_for_one(facts):
        return False
    return None if not shape else not isinstance(shape[0], int)


def _is_made_longer(facts: NodeFacts) -> bool:
    """On the way to input 0, something is added to the sequence: the converter takes what was open for 1."""
    name = facts.node.input[0]
    for _ in range(_FURTHEST):
        node = facts.view.producer(name)
        if node is None:
            return False
        if node.op_type in ("Concat", "Pad", "Tile"):
            return _adds_to_first_axis(facts, node)
        if _axis_before(facts, node, 0) != 0:
            return False
        name = node.input[0]
    return False


def _adds_to_first_axis(facts: NodeFacts, node: NodeProto) -> bool:
    rank = facts.rank(node.output[0])
    if node.op_type == "Concat":
        return len(node.input) > 1 and attribute(node, "axis") in (0, None if rank is None else -rank)
    numbers = facts.value_through_casts(node.input[1]) if len(node.input) > 1 else None
    if numbers is None or not rank:
        return False
    if node.op_type == "Tile":
        return bool(numbers.size == rank and numbers[0] > 1)
    return bool(numbers.size == 2 * rank and numbers[0] + numbers[rank] > 0)


def _comes_from_other_axis(facts: NodeFacts) -> bool:
    """Axis 0 of input 0 is another axis than the first one of an input of the model, or has its symbol."""
    view, name, axis = facts.view, facts.node.input[0], 0
    if view.parent is not None or isinstance(view.graph, FunctionProto):
        return False
    shape = facts.shape(name)
    found = {value.name: dims_of(value) or () for value in view.graph.input if value.name not in view.initializers}
    symbol = shape[0] if shape else None
    firsts = {dims[0] for dims in found.values() if dims}
    others = {dim for dims in found.values() for dim in dims[1:]}
    if isinstance(symbol, str) and symbol in others and symbol not in firsts:
        return True
    for _ in range(_FURTHEST):
        node = view.producer(name)
        if node is None:
            return axis > 0 and name in found
        before = _axis_before(facts, node, axis)
        if before is None:
            return False
        name, axis = node.input[0], before
    return False


def _axis_before(facts: NodeFacts, node: NodeProto, axis: int) -> int | None:
    """The axis of a node's first operand that an axis of its result is; None if that is not known."""
    before, after = facts.rank(node.input[0]), facts.rank(node.output[0])
    if before is None or after is None:
        return None
    if node.op_type == "Transpose":
        perm = attribute(node, "perm") or list(range(before))[::-1]
        return int(perm[axis])
    if node.op_type in ("Squeeze", "Unsqueeze"):
        axes = facts.value_through_casts(node.input[1]) if len(node.input) > 1 else attribute(node, "axes")
        if axes is None:
            return None
        rank = before if node.op_type == "Squeeze" else after
        moved = {int(each) % rank for each in np.asarray(axes).reshape(-1)}
        if node.op_type == "Squeeze":
            return [each for each in range(rank) if each not in moved][axis]
        return None if axis in moved else axis - sum(each < axis for each in moved)
    return axis if before == after and node.op_type in _KEEPS_AXES else None


def _has_open_first_axis(view: GraphView) -> bool:
    """An input of the model has a first axis of no fixed size; so may an input of a subgraph or a function."""
    if view.parent is not None or isinstance(view.graph, FunctionProto):
        return True
    shapes = [dims_of(value) for value in view.graph.input if value.name not in view.initializers]
    return any(shape is None or (shape and not isinstance(shape[0], int)) for shape in shapes)
