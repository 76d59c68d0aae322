"""LayerNormalization with its axis counted from the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class LayerNormAxis(NodeRewrite):
    """Count the axis of LayerNormalization from the end.

    **What.** LayerNormalization from axis 0 on.

    **Why.** MNN 3.6 treats axis 0 as not stated.

    **Before and after**::

        y = LayerNormalization<axis = 0>(x, scale)        x is [2, 3]
        y = LayerNormalization<axis = -2>(x, scale)

    **Algebra.** The same axis.

    **Source.** MNN 3.6.1, tools/converter/source/onnx/LayerNormOnnx.cpp
    """

    code = "MNN839"
    name = "layer-norm-axis"
    summary = "its axis is counted from the end"
    op_types = ("LayerNormalization",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """The node with another axis."""
        return new.clone_node(axis=node.attribute("axis") - new.input(0).rank)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Axis 0; and another."""
        return (
            rewritten(
                "axis 0",
                "(float[2,3] x) => (float[2,3] y) { y = LayerNormalization<axis=0>(x, s) }",
                becomes="LayerNormalization",
                opset=17,
                s=(2, 3),
            ),
            unchanged(
                "axis 1",
                "(float[2,3] x) => (float[2,3] y) { y = LayerNormalization<axis=1>(x, s) }",
                opset=17,
                s=(3,),
            ),
        )
