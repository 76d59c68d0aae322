"""Comparisons of floats of which one is expanded first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
from mnncompat.rewrites.indexing.index_arithmetic import static

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class ComparisonExpanded(NodeRewrite):
    """Expand the first operand of a comparison to the shape of the result.

    **What.** Greater, GreaterOrEqual, Less and LessOrEqual of floats that are both broadcast.

    **Why.** MNN broadcasts both in a loop, which compares the bits as if they were integers: of two negative numbers
    the wrong one is greater.

    **Before and after**::

        y = Greater(a (N, 1), b (1, M))
        y = Greater(Expand(a, Shape(b)), b)

    **Algebra.** Expand broadcasts in both directions: it gives the shape of the result.

    **Refuses** operands whose rank is not known.

    **Source.** MNN 3.6.1, source/backend/cpu/CPURaster.cpp (CPULoop)
    """

    code = "MNN876"
    name = "comparison-expanded"
    summary = "the first operand is expanded to the shape of the result"
    op_types = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:  # noqa: ARG002
        """Emit the expansion and the comparison."""
        first, second = new.inputs()
        sizes, others = static(first.dims), static(second.dims)
        if sizes is not None and others is not None:
            shape = new.constant(list(np.broadcast_shapes(sizes, others)))
        else:
            shape = new.op("Shape", second)
        return new.clone_node(new.op("Expand", first, shape), second)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Static and dynamic sizes, missing axes; one operand whole, and integers."""
        return (
            rewritten(
                "pairs",
                "(float[4,1] a, float[1,5] b) => (bool[4,5] y) { y = Greater(a, b) }",
                becomes="Expand, Greater",
            ),
            rewritten(
                "dynamic",
                "(float[N,1,3] a, float[M,3] b) => (bool[N,M,3] y) { y = GreaterOrEqual(a, b) }",
                becomes="Expand, GreaterOrEqual, Shape",
                opset=16,
            ),
            rewritten(
                "less",
                "(float[4,1] a, float[5] b) => (bool[4,5] y) { y = LessOrEqual(a, b) }",
                becomes="Expand, LessOrEqual",
                opset=12,
            ),
            unchanged("one is whole", "(float[4,5] a, float[1,5] b) => (bool[4,5] y) { y = Greater(a, b) }"),
            unchanged("integers", "(int64[4,1] a, int64[1,5] b) => (bool[4,5] y) { y = Greater(a, b) }"),
        )
