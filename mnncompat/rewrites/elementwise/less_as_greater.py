"""Less as Greater."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class LessAsGreater(NodeRewrite):
    """Write Less as Greater with its operands exchanged.

    **What.** Less of floats, unless one operand is known to be positive.

    **Why.** On x86 MNN compares the bits of two floats as if they were integers, in Less alone: of two negative numbers
    the wrong one is less.

    **Before and after**::

        y = Less(a, b)
        y = Greater(b, a)

    **Algebra.** a < b if and only if b > a; both are false for NaN.

    **Source.** MNN 3.6.1, source/math/Vec.hpp
    """

    code = "MNN814"
    name = "less-as-greater"
    summary = "written as Greater with its operands exchanged"
    op_types = ("Less",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """The operands exchanged."""
        return new.op("Greater", new.input(1), new.input(0))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Operands of several shapes, a negative bound; a positive one, and integers."""
        return (
            rewritten(
                "two operands",
                "(float[2,3] a, float[3] b) => (bool[2,3] y) { y = Less(a, b) }",
                becomes="Greater",
                opset=9,
            ),
            rewritten(
                "negative bound",
                "(float[2,3] a) => (bool[2,3] y) <float b = {-0.5}> { y = Less(a, b) }",
                becomes="Greater",
            ),
            unchanged("positive bound", "(float[2,3] a) => (bool[2,3] y) <float b = {0.5}> { y = Less(a, b) }"),
            unchanged("integers", "(int32[2,3] a, int32[3] b) => (bool[2,3] y) { y = Less(a, b) }"),
        )
