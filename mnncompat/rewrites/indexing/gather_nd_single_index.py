"""GatherND with batch dimensions, with single indices instead of tuples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
from mnncompat.rewrites.indexing.index_arithmetic import linear, merged

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class GatherNdSingleIndex(NodeRewrite):
    """Flatten the axes that the tuples of a batched GatherND address, and the tuples to single indices.

    **What.** GatherND with ``batch_dims`` and tuples of two indices or more.

    **Why.** MNN adds the offset of a batch to every index of a tuple: only single indices are right.

    **Before and after**::

        y = GatherND<batch_dims=1>(x (B, H, W), i (B, N, 2))
        y = GatherND<batch_dims=1>(Reshape(x, (B, H * W)), ReduceSum(i * (W, 1), -1))

    **Algebra.** In a row-major array (h, w) lies at ``h * W + w``. Negative indices are counted from the start first.

    **Refuses** dynamic sizes of the axes that the tuples address.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxGather.cpp
    """

    code = "MNN851"
    name = "gather-nd-single-index"
    summary = "the tuples are flattened to single indices"
    op_types = ("GatherND",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the flat data, the flat indices and the gathering."""
        data, tuples = new.inputs()
        first, count = int(node.attribute("batch_dims")), tuples.dim(-1)
        flat = merged(new, data, first, first + count)
        positions = linear(new, tuples, data, first)
        stored = positions.constant
        single = new.unsqueeze(positions, [-1]) if stored is None else new.constant(stored[..., np.newaxis])
        return new.clone_node(flat, single)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Tuples that are stored and computed, with slices after them, and batches that MNN computes correctly."""
        tuples = np.array([[[0, 1], [2, -1]], [[1, 3], [-3, 0]]])
        return (
            rewritten(
                "stored",
                "(float[2,3,4] x) => (float[2,2] y) { y = GatherND<batch_dims=1>(x, i) }",
                becomes="GatherND, Reshape",
                i=tuples,
            ),
            rewritten(
                "slices of a dynamic size",
                "(float[2,3,4,N] x) => (float[2,2,N] y) { y = GatherND<batch_dims=1>(x, i) }",
                becomes="GatherND, Reshape",
                i=tuples,
            ),
            rewritten(
                "computed",
                """(float[2,3,4] x, int64[2,5,2] i) => (float[2,5] y) {
                j = Sub(i, two) y = GatherND<batch_dims=1>(x, j) }""",
                becomes="Add, GatherND, Less, Mul, ReduceSum, Reshape, Sub, Unsqueeze, Where",
                two=np.array(2),
            ),
            unchanged(
                "single indices",
                "(float[2,3] x) => (float[2,2] y) { y = GatherND<batch_dims=1>(x, i) }",
                i=np.array([[[0], [1]], [[2], [0]]]),
            ),
            unchanged(
                "no batch", "(float[2,3] x) => (float[2] y) { y = GatherND(x, i) }", i=np.array([[0, 1], [1, 2]])
            ),
            refused(
                "a dynamic axis",
                "dimension 2 of 'x' is dynamic",
                "(float[2,3,N] x) => (float[2,2] y) { y = GatherND<batch_dims=1>(x, i) }",
                i=abs(tuples),
            ),
        )
