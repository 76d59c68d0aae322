"""Compress along the first axis, named by 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class CompressAxis(NodeRewrite):
    """Count the axis of a Compress from the start.

    **What.** Compress along the first axis that is named by a negative number.

    **Why.** MNN gives no output.

    **Before and after**::

        y = Compress<axis=-2>(x (A, B), c)
        y = Compress<axis=0>(x (A, B), c)

    **Algebra.** Both name the same axis.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxCompress.cpp
    """

    code = "MNN871"
    name = "compress-axis"
    summary = "the axis is counted from the start"
    op_types = ("Compress",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the node with another axis."""
        return new.clone_node(axis=int(node.attribute("axis")) % new.input(0).rank)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """The first axis and the last."""
        model = "(float[3,2] x) => (float[2,2] y) { y = Compress<axis=-2>(x, c) }"
        return (
            rewritten("first", model, becomes="Compress", c=np.array([True, False, True])),
            unchanged("last", model.replace("-2", "-1").replace("2,2", "3,1"), c=np.array([True, False])),
        )
