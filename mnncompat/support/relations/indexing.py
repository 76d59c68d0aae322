"""Relations of indices (MNN does not count negative ones from the end) and of the slices that they address."""

from __future__ import annotations

from mnncompat.graph.operator_traits import FINDERS, RESHAPES
from mnncompat.graph.protos import is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.value_bounds import lower_bound
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.operands import element_count
from mnncompat.support.relations.registry import relation


@relation(
    holds="(float[3] x) => (float[1] y) <int64[1] i = {0}> { y = GatherElements(x, i) }",
    fails="(float[3] x) => (float[1] y) <int64[1] i = {-1}> { y = GatherElements(x, i) }",
)
def indices_are_never_negative(facts: NodeFacts) -> bool:
    """The indices (input 1; input 0 of a OneHot) come from operators that give no negative numbers.

    Or they are made so by ``Where(Less(indices, 0), indices + size, indices)``.
    """
    name = facts.operand(0 if facts.node.op_type == "OneHot" else 1)
    return name is not None and lower_bound(facts.view, name) >= 0


@relation(
    holds="(float[3,4] x, int64[1,2,1] i, float[1,2,4] u) => (float[3,4] y) { y = ScatterND(x, i, u) }",
    fails="(float[3,4] x, int64[2,1] i, float[2,4] u) => (float[3,4] y) { y = ScatterND(x, i, u) }",
)
def update_slices_start_elsewhere(facts: NodeFacts) -> bool | None:
    """The slices of ScatterND's updates do not have the size that MNN assumes.

    They begin at axis R - 1, R being the rank of the indices. MNN assumes that they begin at axis K, the length of an
    index tuple.
    """
    indices, updates = (facts.shape(facts.node.input[position]) for position in (1, 2))
    if indices is None or updates is None or not isinstance(indices[-1], int):
        return None
    right, taken = updates[len(indices) - 1 :], updates[indices[-1] :]
    return None if None in (right + taken) else element_count(right) != element_count(taken)


_FOUND = (
    "(float[3,4] m, float{0} x) => (float{1} y) {{ g = Cast<to=9>(m) n = NonZero(g) t = Transpose(n) "
    "y = GatherND(x, t) }}"
)


_FURTHEST = 20
_PASSES_ON = RESHAPES | {"Cast", "Concat", "Gather", "Identity", "Slice", "Split", "Transpose"}


def _is_of_found(view: GraphView, name: str, left: int) -> bool:
    node = view.producer(name)
    if node is None or not left or not is_onnx(node):
        return False
    if node.op_type in FINDERS:
        return True
    operands = node.input if node.op_type == "Concat" else node.input[:1]
    return node.op_type in _PASSES_ON and any(_is_of_found(view, each, left - 1) for each in operands)


@relation(holds=_FOUND.format("[3,4]", "[K]"), fails=_FOUND.format("[3,4,5]", "[K,5]"))
def found_places_may_be_none(facts: NodeFacts) -> bool | None:
    """The indices of a GatherND come from an operator that may find none, and MNN's result would have another shape.

    That is NonZero, NonMaxSuppression or Compress. The shape is two dimensions, 0 and the last one of the data: right
    where the tuples address all axes but the last.
    """
    if not _is_of_found(facts.view, facts.node.input[1], _FURTHEST):
        return False
    rank, indices = facts.rank(facts.node.input[0]), facts.shape(facts.node.input[1])
    if rank is None or indices is None or not isinstance(indices[-1], int):
        return None
    return indices[-1] != rank - 1
