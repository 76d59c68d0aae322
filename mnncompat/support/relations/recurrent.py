"""Relations of RNN, GRU and LSTM: the lengths of their sequences."""

from __future__ import annotations

from onnx import FunctionProto

from mnncompat.graph.protos import dims_of
from mnncompat.graph.view import GraphView
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.operands import operand_shape
from mnncompat.support.relations.registry import relation


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

    MNN's converter assumes 1 for axis 0 of an input of the model where that is not fixed, and leaves other sizes open.
    After a Pad that makes the sequence longer it assumes more than 1.
    """
    shape = facts.shape(facts.node.input[0])
    if not _has_open_first_axis(facts.view):
        return False
    producer = facts.view.producer(facts.node.input[0])
    if producer is not None and producer.op_type == "Pad" and shape and len(producer.input) > 1:
        widths = facts.value_through_casts(producer.input[1])
        if widths is not None and widths.size == 2 * len(shape) and widths[0] + widths[len(shape)] > 0:
            return False
    return None if not shape else not isinstance(shape[0], int)


def _has_open_first_axis(view: GraphView) -> bool:
    """An input of the model has a first axis of no fixed size; so may an input of a subgraph or a function."""
    if view.parent is not None or isinstance(view.graph, FunctionProto):
        return True
    shapes = [dims_of(value) for value in view.graph.input if value.name not in view.initializers]
    return any(shape is None or (shape and not isinstance(shape[0], int)) for shape in shapes)
