"""Trilu of matrices without elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class TriluOfNothing(NodeRewrite):
    """Take matrices without elements as they are.

    **What.** Trilu of an operand of rank 3 or more whose matrices have no rows or no columns.

    **Why.** MNN cannot reshape its mask to them.

    **Before and after**::

        y = Trilu(x)                                      x: (2, 0, 5)
        y = x

    **Algebra.** There is nothing to set to zero.

    **Refuses** nothing.

    **Source.** https://onnx.ai/onnx/operators/onnx__Trilu.html
    """

    code = "MNN997"
    name = "trilu-of-nothing"
    summary = "matrices without elements are taken as they are"
    op_types = ("Trilu",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """The operand."""
        return new.input(0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """No rows, and matrices with elements."""
        return (
            rewritten(
                "no rows",
                "(float[2,3] a, float[2,0,5] x) => (float[2,3] b, float[2,0,5] y) { b = Neg(a) y = Trilu(x) }",
                becomes="Identity, Neg",
                opset=14,
            ),
            unchanged("elements", "(float[2,3,5] x) => (float[2,3,5] y) { y = Trilu(x) }", opset=14),
        )
