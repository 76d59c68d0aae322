"""Negative indices, counted from the start of the axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
from mnncompat.rewrites.indexing.index_arithmetic import counted, reshaped, sizes_of

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


_TABLE = np.array([[-1, 0, 2, -2], [0, -1, 1, 1]])


class IndicesFromStart(NodeRewrite):
    """Count negative indices from the start of the axis.

    **What.** GatherElements, GatherND, ScatterElements, ScatterND and OneHot whose indices are, or may be, negative.

    **Why.** MNN adds nothing to them: it reads or writes before the beginning, or nothing at all.

    **Before and after**::

        y = GatherElements(x, i)
        y = GatherElements(x, Where(i < 0, i + size, i))

    Constant indices are replaced by other constants.

    **Algebra.** ONNX demands ``-size <= i < size``, where ``i < 0`` is ``i + size``; for a OneHot, whose indices
    may lie outside (they give rows without a hot element), those below ``-depth`` stay outside.

    **Why this form.** Where costs no more than Mod(i + size, size): 5.3 and 6.0 ms together with a GatherElements of
    100,000 elements; and it leaves indices outside alone.

    **Refuses** operands whose rank, and indices whose element type, is not known.

    **Source.** https://onnx.ai/onnx/operators/onnx__GatherElements.html; MNN 3.6.1,
    source/backend/cpu/CPURaster.cpp (CPULoop), CPUOneHot.cpp
    """

    code = "MNN850"
    name = "indices-from-start"
    summary = "negative indices are counted from the start"
    op_types = ("GatherElements", "GatherND", "ScatterElements", "ScatterND", "OneHot")
    before = (
        ("gather-nd-single-index", "that one computes positions from indices, which then all count from the start"),
        ("one-hot-stated", "both are needed, and stored indices are counted before a Cast hides them"),
        ("reduction-before-axis", "stored indices are counted while they are stored, not behind a Transpose"),
        ("scatter-reduction", "that one compares and multiplies indices, which then all count from the start"),
    )

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the node with other indices."""
        first, second, *others = new.inputs()
        if node.node.op_type == "OneHot":
            return new.clone_node(_one_hot_indices(new, first), second, *others)
        return new.clone_node(first, counted(new, second, _sizes(node, new, second)), *others)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Each operator, with indices that are stored and computed, and with a computed size."""
        return (
            *_gathers(),
            *_scatter_and_one_hot(),
            unchanged("not negative", "(float[3,4] x) => (float[2,4] y) { y = GatherElements(x, i) }", i=abs(_TABLE)),
            unchanged(
                "of ArgMax", "(float[3,4] x) => (float[1,4] y) { i = ArgMax<axis=0>(x) y = GatherElements(x, i) }"
            ),
            unchanged(
                "counted already",
                """(float[3,4] x, int64[3,4] i) => (float[3,4] y) <int64 zero = {0}, int64 n = {3}> {
                z = Less(i, zero) s = Add(i, n) j = Where(z, s, i) y = GatherElements(x, j) }""",
            ),
            refused(
                "an unknown size",
                "the rank of 'x' is not known",
                """(float[3,4] a, int64[K] s, int64[2,4] i) => (float[2,4] y) {
                x = Reshape(a, s) y = GatherElements<axis=-1>(x, i) }""",
            ),
        )


def _gathers() -> tuple[Example, ...]:
    """Operators that read at the indices."""
    return (
        rewritten(
            "stored",
            "(float[3,4] x) => (float[2,4] y) { y = GatherElements(x, i) }",
            becomes="GatherElements",
            i=_TABLE,
        ),
        rewritten(
            "computed",
            "(float[3,4] x, int64[2,4] i) => (float[2,4] y) { j = Sub(i, two) y = GatherElements(x, j) }",
            becomes="Add, GatherElements, Less, Sub, Where",
            two=np.array(2),
        ),
        rewritten(
            "computed, along a dynamic axis",
            """(float[N,4] x, int64[2,4] i) => (float[2,4] y) {
            j = Sub(i, one) y = GatherElements<axis=-2>(x, j) }""",
            becomes="Add, GatherElements, Less, Reshape, Shape, Slice, Sub, Where",
            one=np.array(1),
        ),
        rewritten(
            "tuples behind a batch",
            """(float[2,3,4] x, int32[2,5,2] i) => (float[2,5] y) {
            k = Sub(i, two) j = Cast<to=7>(k) y = GatherND<batch_dims=1>(x, j) }""",
            becomes="Add, Cast, GatherND, Less, Sub, Where",
            two=np.array(2, np.int32),
        ),
    )


def _scatter_and_one_hot() -> tuple[Example, ...]:
    """Operators that write at the indices."""
    return (
        rewritten(
            "written to",
            "(float[3,4] x, float[2,4] u) => (float[3,4] y) { y = ScatterElements(x, i, u) }",
            becomes="ScatterElements",
            i=np.array([[-1, 0, 2, -3], [0, 1, 1, 1]]),
        ),
        rewritten(
            "hot elements",
            """(int64[5] i) => (float[5,7] y) <int64 depth = {7}, int64 three = {3}, float[2] v = {0, 1}> {
            j = Sub(i, three) y = OneHot<axis=-1>(j, depth, v) }""",
            becomes="Add, 2 Less, OneHot, Reshape, Sub, 2 Where",
        ),
    )


def _sizes(node: NodeFacts, new: SubgraphBuilder, indices: Value) -> Value:
    """Sizes of the axes that the indices, or the elements of their tuples, address."""
    data = new.input(0)
    if node.node.op_type in ("GatherND", "ScatterND"):
        first = int(node.attribute("batch_dims") or 0)
        return sizes_of(new, data, range(first, first + indices.dim(-1)), indices)
    axis = int(node.attribute("axis")) % data.rank
    return reshaped(new, sizes_of(new, data, range(axis, axis + 1), indices), ())


def _one_hot_indices(new: SubgraphBuilder, indices: Value) -> Value:
    """Indices of a OneHot: those below ``-depth`` select nothing, and must stay out of range."""
    depth = new.input(1).constant
    stored = indices.constant
    if stored is not None and depth is not None:
        size = int(depth.reshape(()))
        inside = np.where(stored < -size, size, np.where(stored < 0, stored + size, stored))
        return new.constant(inside.astype(stored.dtype))
    shifted = indices + new.reshape(new.cast(new.input(1), indices.dtype), ())
    shifted = new.op("Where", new.op("Less", shifted, 0), indices, shifted)
    return new.op("Where", new.op("Less", indices, 0), shifted, indices)
