"""Relations of products of matrices: their rows and columns, and whether their batches match."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod

from onnx import FunctionProto

from mnncompat.graph.protos import Dim, dims_of
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

_PAIR = 2
_kept = lru_cache(maxsize=4096)


@relation(
    holds="(float[3,1] a, float[3,2] b) => (float[1,2] y) { y = Gemm<transA=1>(a, b) }",
    fails="(float[3,2] a, float[3,2] b) => (float[2,2] y) { y = Gemm<transA=1>(a, b) }",
    of_types=True,
)
def first_operand_has_one_column(facts: NodeFacts) -> bool | None:
    """Input 0 has exactly one column; a dynamic number of columns counts as several."""
    shape = facts.shape(facts.node.input[0])
    return None if shape is None else shape[-1] == 1


@relation(
    holds="(float[2,1,2,3] a, float[2,3,2] b) => (float[2,2,2,2] y) { y = MatMul(a, b) }",
    fails="(float[2,1,2,3] a, float[2,1,3,2] b) => (float[2,1,2,2] y) { y = MatMul(a, b) }",
    of_types=True,
)
def batches_match_in_number_only(facts: NodeFacts) -> bool | None:
    """The operands of a product have the same number of matrices, in batches of different shapes."""
    shapes = [facts.shape(name) for name in facts.node.input[:2]]
    if shapes[0] is None or shapes[1] is None:
        return None
    batches = [_significant(shape[:-2]) for shape in (shapes[0], shapes[1])]
    if () in batches:
        return False
    counts = [_count(batch) for batch in batches]
    if None in counts:
        return None
    return counts[0] == counts[1] and batches[0] != batches[1]


def _significant(batch: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The batch dimensions without leading ones, which have no effect."""
    first = next((axis for axis, dim in enumerate(batch) if dim != 1), len(batch))
    return batch[first:]


def _count(batch: tuple[Dim, ...]) -> int | None:
    count = 1
    for dim in batch:
        if not isinstance(dim, int):
            return None
        count *= dim
    return count


def _may_match_at_one(facts: NodeFacts) -> bool | None:
    """Whether an open batch size decides, as far as the shapes of the operands of a product tell."""
    one, two = (facts.shape(name) for name in facts.node.input[:_PAIR])
    return None if one is None or two is None else bool(_dims_that_decide(one, two))


@relation(
    holds="(float[N,2,3] a, float[4,3,2] b) => (float[4,2,2] y) { y = MatMul(a, b) }",
    fails="(float[4,2,3] a, float[4,3,2] b) => (float[4,2,2] y) { y = MatMul(a, b) }",
    first=_may_match_at_one,
)
def open_batch_matches_only_at_one(facts: NodeFacts) -> bool | None:
    """A batch size that an input of the model leaves open must be 1 for the batches of a product to be the same.

    MNN determines which operand is broadcast when a session is first resized, and not again if none was.
    """
    return _matches_at_one(facts, _is_declared_open)


@relation(
    holds=(
        "(float[5,2,3] x, bool[5] c, float[4,3,2] b) => (float[M,2,2] y) { a = Compress<axis=0>(x, c) y = "
        "MatMul(a, b) }"
    ),
    fails="(float[4,2,3] a, float[4,3,2] b) => (float[4,2,2] y) { y = MatMul(a, b) }",
    first=_may_match_at_one,
)
def unknown_batch_matches_only_at_one(facts: NodeFacts) -> bool | None:
    """A batch size that is unknown for another reason must be 1 for the batches of a product to be the same."""
    return _matches_at_one(facts, lambda _, dim: not isinstance(dim, int)) and not open_batch_matches_only_at_one(facts)


def _matches_at_one(facts: NodeFacts, may_change: Callable[[NodeFacts, Dim], bool]) -> bool | None:
    one, two = (facts.shape(name) for name in facts.node.input[:_PAIR])
    if one is None or two is None:
        return None
    dims = _dims_that_decide(one, two)
    if not dims or any(_is_expanded(facts, name) for name in facts.node.input[:_PAIR]):
        return False
    return any(may_change(facts, dim) for dim in dims)


@_kept
def _dims_that_decide(one: tuple[Dim, ...], two: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The batch dimensions of two operands, if their batches are the same only where open ones are 1; else nothing."""
    rank = max(len(one), len(two))
    batches = [(1,) * (rank - len(shape)) + shape[:-2] for shape in (one, two)]
    if all(isinstance(dim, int) for batch in batches for dim in batch):
        return ()
    small, large = ([_opened(batch, size) for batch in batches] for size in (1, 2))
    counts, later = [[prod(batch) for batch in each] for each in (small, large)]
    is_open = (counts[0] == counts[1] or 1 in counts) and large[0] != large[1] and 1 not in later
    return (*batches[0], *batches[1]) if is_open else ()


def _is_expanded(facts: NodeFacts, name: str) -> bool:
    """A value is expanded to sizes that the model computes, whether or not inference can follow them."""
    producer = facts.view.producer(name)
    return (
        producer is not None and producer.op_type == "Expand" and facts.value_through_casts(producer.input[1]) is None
    )


def _opened(batch: tuple[Dim, ...], size: int) -> list[int]:
    return [dim if isinstance(dim, int) else size for dim in batch]


def _is_declared_open(facts: NodeFacts, dim: Dim) -> bool:
    view = facts.view
    while view.parent is not None:
        view = view.parent
    values = () if isinstance(view.graph, FunctionProto) else view.graph.input
    return isinstance(dim, str) and any(dim in (dims_of(value) or ()) for value in values)
