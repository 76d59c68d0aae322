"""Unique with all of its outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class UniqueOutputs(NodeRewrite):
    """Declare all four outputs of a Unique.

    **What.** Unique of two outputs, the values and their first positions.

    **Why.** MNN computes the inverse as the second of two outputs.

    **Before and after**::

        y, first = Unique(x)
        y, first, _, _ = Unique(x)

    **Algebra.** Unused outputs have no effect.

    **Source.** MNN 3.6.1, source/backend/cpu/CPUUnique.cpp
    """

    code = "MNN874"
    name = "unique-outputs"
    summary = "all outputs are declared"
    op_types = ("Unique",)
    before = (("unique-compared", "with all outputs declared, MNN's own operator may be right, and it is one node"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the node with four outputs."""
        return new.clone_node(outputs=4)[: len(node.node.output)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Two outputs and four."""
        return (
            rewritten("two", "(int64[6] x) => (int64[M] y, int64[M] i) { y, i = Unique(x) }", becomes="Unique"),
            unchanged("four", "(int64[6] x) => (int64[M] y, int64[M] i) { y, i, v, c = Unique(x) }"),
        )
