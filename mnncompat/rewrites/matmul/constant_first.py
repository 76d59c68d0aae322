"""Sums with the constant as the first operand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ConstantFirst(NodeRewrite):
    """Swap the operands of a sum.

    **What.** A constant that is added to the result of a convolution in groups, as output of the graph.

    **Why.** MNN folds the constant into the convolution's bias, makes one convolution of the groups, and loses the name
    of the output. It does so only if the constant is the second operand.

    **Before and after**::

        y = Add(Conv(x, w, group = 3), c)
        y = Add(c, Conv(x, w, group = 3))

    **Algebra.** Addition is commutative.

    **Refuses** nothing.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/merge/ConvBiasAdd.cpp
    """

    code = "MNN903"
    name = "constant-first"
    summary = "its constant is put first"
    op_types = ("Add",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the sum."""
        return new.clone_node(new.input(1), new.input(0))[0]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Groups whose output name is lost, and groups that MNN keeps."""
        return (
            rewritten(
                "three groups of 1 to 2",
                "(float[1,3,5,5] x) => (float[1,6,3,3] y) { s = Conv<group=3>(x, w) y = Add(s, c) }",
                becomes="Add, Conv",
                w=(6, 1, 3, 3),
                c=(6, 1, 1),
            ),
            unchanged(
                "three groups of 1 to 4",
                "(float[1,3,5,5] x) => (float[1,12,3,3] y) { s = Conv<group=3>(x, w) y = Add(s, c) }",
                w=(12, 1, 3, 3),
                c=(12, 1, 1),
            ),
        )
