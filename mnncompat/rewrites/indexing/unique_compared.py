"""Unique by comparison of all pairs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.indexing.index_arithmetic import static

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_MOST_COMPARED = 1 << 24


class UniqueCompared(NodeRewrite):
    """Find the distinct elements, or slices, by comparing each with each.

    **What.** Unique along an axis, unsorted, or of floats that may be negative.

    **Why.** MNN knows no axis, always sorts, and sorts floats by their bits.

    **Before and after**, for n elements or slices::

        y, first, inverse, counts = Unique(x)
        same = x[:, None] == x[None, :]                 # (n, n)
        starts = ArgMax(same, 1) == Range(n)            # no equal one before
        inverse = ReduceSum(starts & (x[:, None] > x[None, :]), 1)
        place = inverse[None, :] == Range(n)[:, None]
        first, counts = ArgMax(place, 1)[:sum(starts)], ReduceSum(place, 1)[:sum(starts)]
        y = Gather(x, first)

    Unsorted, ``inverse`` counts the starts before the first equal element. Slices are compared where they first
    differ.

    **Algebra.** The position of an element is the number of distinct elements before it. NaN equals nothing, and has no
    position.

    **Refuses** more than 2^24 comparisons, and tensors whose rank is not known.

    **Source.** https://onnx.ai/onnx/operators/onnx__Unique.html; MNN 3.6.1, source/backend/cpu/CPUUnique.cpp
    """

    code = "MNN875"
    name = "unique-compared"
    summary = "every pair is compared"
    op_types = ("Unique",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the comparisons and the four outputs."""
        data, axis = new.input(0), node.attribute("axis")
        if axis is None:
            data, axis = new.reshape(data, [-1]), 0
        axis = int(axis) % data.rank
        _check_effort(data, axis)
        rows = _rows(new, data, axis)
        numbers = _numbers(new, rows)
        same, above = _compared(new, rows)
        earliest = new.op("ArgMax", same, axis=1, keepdims=0)
        starts = new.cast(new.op("Equal", earliest, numbers), TensorProto.FLOAT)
        if not node.attribute("sorted"):
            above = new.cast(new.op("Greater", new.unsqueeze(earliest, [1]), numbers), TensorProto.FLOAT)
        inverse = new.cast(new.reduce("ReduceSum", above * starts, [1], keepdims=False), TensorProto.INT64)
        place = new.cast(new.op("Equal", inverse, new.unsqueeze(numbers, [1])), TensorProto.FLOAT)
        count = new.cast(new.reduce("ReduceSum", starts, [0]), TensorProto.INT64)
        first = _front(new, new.op("ArgMax", place, axis=1, keepdims=0), count)
        counts = _front(new, new.reduce("ReduceSum", place, [1], keepdims=False), count)
        return [new.op("Gather", data, first, axis=axis), first, inverse, new.cast(counts, TensorProto.INT64)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Slices of each order, unsorted elements, negative floats."""
        outputs = "float[M%s] y, int64[K] i, int64[%s] v, int64[K] c"
        return (
            rewritten(
                "rows",
                f"(float[4,2] x) => ({outputs % (',2', '4')}) {{ z = Floor(x) y, i, v, c = Unique<axis=0>(z) }}",
                becomes="""3 ArgMax, 7 Cast, 3 Equal, Floor, Gather, GatherElements, Greater, Mul, ReduceMin,
                3 ReduceSum, Reshape, 2 Slice, Squeeze, Sub, 3 Unsqueeze""",
            ),
            rewritten(
                "columns, unsorted",
                """(int64[2,5] x) => (int64[2,M] y, int64[K] i, int64[5] v) {
                y, i, v = Unique<axis=-1, sorted=0>(x) }""",
                becomes="""2 ArgMax, 6 Cast, 3 Equal, Gather, Greater, Mul, ReduceMin, 2 ReduceSum, Reshape, Slice,
                Transpose, 4 Unsqueeze""",
            ),
            rewritten(
                "unsorted",
                f"(float[N,3] x) => ({outputs % ('', 'A')}) {{ z = Round(x) y, i, v, c = Unique<sorted=0>(z) }}",
                becomes="""2 ArgMax, 7 Cast, 3 Equal, Gather, Greater, Mul, Range, 3 ReduceSum, 3 Reshape, Round,
                Shape, 3 Slice, Squeeze, 4 Unsqueeze""",
            ),
            unchanged("sorted integers", "(int64[6] x) => (int64[M] y) { y = Unique(x) }"),
            refused(
                "too many",
                "100000000 comparisons",
                "(float[10000] x) => (float[M] y) { y = Unique<sorted=0>(x) }",
            ),
        )


def _check_effort(data: Value, axis: int) -> None:
    sizes = static(data.dims)
    if sizes is not None and prod(sizes) * sizes[axis] > _MOST_COMPARED:
        raise NotApplicable(f"{sizes[axis]} slices of {sizes} take {prod(sizes) * sizes[axis]} comparisons")


def _rows(new: SubgraphBuilder, data: Value, axis: int) -> Value:
    """The slices as rows, (n, length)."""
    if data.dtype == TensorProto.BOOL:
        data = new.cast(data, TensorProto.INT32)
    if axis:
        order = [axis, *(each for each in range(data.rank) if each != axis)]
        data = new.transpose(data, order)
    return new.reshape(data, [0, -1])


def _numbers(new: SubgraphBuilder, rows: Value) -> Value:
    """From 0 to n - 1."""
    count = rows.dims[0]
    if isinstance(count, int):
        return new.constant(np.arange(count))
    size = new.reshape(new.slice(new.op("Shape", rows), [0], [1], [0]), [])
    return new.op("Range", new.constant(np.asarray(0)), size, new.constant(np.asarray(1)))


def _compared(new: SubgraphBuilder, rows: Value) -> tuple[Value, Value]:
    """Whether rows are equal, and whether the row of axis 0 is above that of axis 1: (n, n) of 0 and 1."""
    one, other = new.unsqueeze(rows, [1]), new.unsqueeze(rows, [0])
    equal = new.cast(new.op("Equal", one, other), TensorProto.FLOAT)
    above = new.cast(new.op("Greater", one, other), TensorProto.FLOAT)
    if rows.dims[1] == 1:
        return new.squeeze(equal, [2]), new.squeeze(above, [2])
    differs = new.op("ArgMax", 1.0 - equal, axis=2, keepdims=1)
    decisive = new.squeeze(new.op("GatherElements", above, differs, axis=2), [2])
    return new.reduce("ReduceMin", equal, [2], keepdims=False), decisive


def _front(new: SubgraphBuilder, values: Value, count: Value) -> Value:
    return new.op("Slice", values, np.array([0]), count, np.array([0]))
