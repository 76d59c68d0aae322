"""Relations of differences between large numbers that are close to one another: float16 keeps few bits of them."""

from __future__ import annotations

from onnx import TensorProto

from mnncompat.graph.operator_traits import CASTS, MOVES
from mnncompat.graph.protos import is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.half_norms import producer
from mnncompat.support.relations.registry import relation

_FLOATS = frozenset((TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.BFLOAT16))
_KEPT = MOVES | frozenset(CASTS)
_PAIR = 2


@relation(
    holds="(float[2,3] x) => (float[3,2] y) { t = Transpose(x) y = Softmax(t) }",
    fails="(float[2,3] x) => (float[3,2] y) { t = Transpose(x) s = Sigmoid(t) y = Softmax(s) }",
)
def operand_is_fed(facts: NodeFacts) -> bool:
    """Input 0 holds the floats of a graph input as they are, moved at most: nothing tells how large they are."""
    return _is_fed(facts.view, facts.node.input[0])


@relation(
    holds="(float[2,3] x) => (float[2,3] y) { m = ReduceMax<axes=[1]>(x) y = Sub(x, m) e = Exp(y) }",
    fails="(float[2,3] x) => (float[2,3] y) { m = ReduceMin<axes=[1]>(x) y = Sub(x, m) e = Exp(y) }",
    behind=("ReduceMax", "Identity"),
)
def largest_is_subtracted_from_fed(facts: NodeFacts) -> bool:
    """The largest element is subtracted from the floats of a graph input, and Exp reads it: a Softmax written out."""
    if len(facts.node.input) != _PAIR:
        return False
    value, largest = facts.node.input
    found = producer(facts.view, largest)
    if found is None or found.op_type != "ReduceMax" or found.input[0] != value or not _is_fed(facts.view, value):
        return False
    readers = (facts.view.nodes[index] for index in facts.view.consumers.get(facts.node.output[0], ()))
    return any(is_onnx(each) and each.op_type == "Exp" for each in readers)


def _is_fed(view: GraphView, name: str) -> bool:
    """Whether a value is a graph input of the model, moved at most."""
    if view.parent is not None or view.is_function:
        return False
    node = producer(view, name)
    while node is not None and node.op_type in _KEPT:
        name = node.input[0]
        node = producer(view, name)
    return node is None and name in view.input_names and view.tensor(name) is None and view.dtype(name) in _FLOATS
