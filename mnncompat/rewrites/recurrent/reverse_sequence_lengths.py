"""ReverseSequence without empty sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class ReverseSequenceLengths(NodeRewrite):
    """Raise sequence lengths of 0 to 1.

    **What.** ReverseSequence with lengths that are, or may be, 0.

    **Why.** MNN refuses them when it runs.

    **Before and after**::

        y = ReverseSequence(x, lengths)
        y = ReverseSequence(x, Max(lengths, 1))

    **Algebra.** The first element alone is the same reversed.

    **Refuses** lengths that are computed at run time below opset 12, where Max takes no integers.

    **Source.** MNN 3.6.1, source/geometry/GeometryReverseSequence.cpp
    """

    code = "MNN870"
    name = "reverse-sequence-lengths"
    summary = "lengths of 0 are raised to 1, which gives the same"
    op_types = ("ReverseSequence",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:  # noqa: ARG002
        """Emit the node with other lengths."""
        data, lengths = new.inputs()
        if lengths.constant is not None:
            return new.clone_node(data, np.maximum(lengths.constant, 1))
        if new.opset < 12:  # noqa: PLR2004 - since when Max takes integers
            raise NotApplicable(f"Max takes no integers in opset {new.opset}")
        return new.clone_node(data, new.op("Max", lengths, 1))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Stored and computed lengths."""
        model = "(float[4,3] x) => (float[4,3] y) { y = ReverseSequence(x, n) }"
        return (
            rewritten("stored", model, becomes="ReverseSequence", n=np.array([0, 2, 4])),
            rewritten("computed", model.replace("x)", "x, int64[3] n)", 1), becomes="Max, ReverseSequence"),
            unchanged("not empty", model, n=np.array([1, 2, 4])),
            refused(
                "computed, long ago",
                "Max takes no integers in opset 11",
                model.replace("x)", "x, int64[3] n)", 1),
                opset=11,
            ),
        )
