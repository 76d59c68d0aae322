"""ScatterND whose slices begin at the axis that MNN assumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.indexing.index_arithmetic import reshaped

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class ScatterNdRows(NodeRewrite):
    """Give the indices of a ScatterND the rank with which MNN reads the slices of its updates correctly.

    **What.** ScatterND that writes slices, where the tuples of its indices are not as long as there are axes before
    them.

    **Why.** MNN assumes that the slices begin at axis K of the updates, K being the length of a tuple.

    **Before and after**, for tuples of two::

        y = ScatterND(x (A, B, C), i (N, 2), u (N, C))
        y = ScatterND(x (A, B, C), Reshape(i, (N, 1, 2)), Reshape(u, (N, 1, C)))

    **Algebra.** The shape of the axes before the tuples has no meaning, as long as indices and updates have the same.

    **Refuses** slices with more than one dynamic size.

    **Source.** MNN 3.6.1, source/geometry/GeometryScatter.cpp (GeometryScatterNd)
    """

    code = "MNN854"
    name = "scatter-nd-rows"
    summary = "indices and updates are reshaped so that MNN finds the slices"
    op_types = ("ScatterND",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:  # noqa: ARG002
        """Emit the node with other shapes."""
        data, tuples, updates = new.inputs()
        depth = tuples.dim(-1)
        leading = [-1, *[1] * (depth - 1)]
        slices = [dim if isinstance(dim, int) else -1 for dim in data.dims[depth:]]
        if -1 in slices:
            leading[0] = int(np.prod(tuples.shape[:-1]))
        if slices.count(-1) > 1:
            raise NotApplicable(f"slices of '{data.name}' have {slices.count(-1)} dynamic sizes")
        tuples = reshaped(new, tuples, [-1, *leading[1:], depth])
        return new.clone_node(data, tuples, new.reshape(updates, [*leading, *slices]))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Tuples too short and too long for the rank of the indices, stored and computed."""
        pairs, single = np.array([[0, 1], [2, 0], [1, 1]]), np.array([[[0], [2]], [[3], [1]]])
        slices = "(float[3,2,4] x, float[3,4] u) => (float[3,2,4] y) { y = ScatterND(x, i, u) }"
        return (
            rewritten("pairs", slices, becomes="Reshape, ScatterND", i=pairs),
            rewritten("of a dynamic size", slices.replace("4]", "N]"), becomes="Reshape, ScatterND", i=pairs),
            rewritten(
                "computed",
                """(float[4,3] x, int64[1,2,1] n, float[1,2,3] u) => (float[4,3] y) {
                i = Add(n, apart) y = ScatterND(x, i, u) }""",
                becomes="Add, 2 Reshape, ScatterND",
                apart=np.array([[[0], [2]]]),
            ),
            rewritten(
                "singles",
                "(float[4,3] x, float[2,2,3] u) => (float[4,3] y) { y = ScatterND(x, i, u) }",
                becomes="Reshape, ScatterND",
                i=single,
            ),
            unchanged("elements", "(float[3,2] x, float[3] u) => (float[3,2] y) { y = ScatterND(x, i, u) }", i=pairs),
            refused(
                "slices of two dynamic sizes",
                "slices of 'x' have 2 dynamic sizes",
                "(float[3,2,N,M] x, float[3,N,M] u) => (float[3,2,N,M] y) { y = ScatterND(x, i, u) }",
                i=pairs,
            ),
        )
