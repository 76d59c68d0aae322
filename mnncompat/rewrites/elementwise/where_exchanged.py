"""Where with its operands exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class WhereExchanged(NodeRewrite):
    """Exchange the operands of Where and negate its condition.

    **What.** Where whose last operand alone must be broadcast.

    **Why.** MNN reads past the end of the last operand if the one before it has the size of the result.

    **Before and after**::

        z = Where(c, x, y)
        z = Where(Not(c), y, x)

    **Algebra.** The definition of Where.

    **Source.** Measured: MNN 3.0.0 to 3.6.1; either operand but the last may be smaller
    """

    code = "MNN828"
    name = "where-exchanged"
    summary = "its operands are exchanged"
    op_types = ("Where",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit it."""
        return new.op("Where", new.op("Not", new.input(0)), new.input(2), new.input(1))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """The last operand smaller; and the one before it."""
        return (
            rewritten(
                "last",
                "(bool[2,3] c, float[2,3] x, float[3] y) => (float[2,3] z) { z = Where(c, x, y) }",
                becomes="Not, Where",
            ),
            rewritten(
                "integers",
                "(bool[3] c, int32[2,3] x, int32[2,1] y) => (int32[2,3] z) { z = Where(c, x, y) }",
                becomes="Not, Where",
            ),
            unchanged("other", "(bool[2,3] c, float[3] x, float[2,3] y) => (float[2,3] z) { z = Where(c, x, y) }"),
        )
