"""Split with the sizes of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class SplitSizes(NodeRewrite):
    """State the sizes of the parts of a Split instead of their number.

    **What.** Split of opset 18 and newer whose ``num_outputs`` does not divide the axis.

    **Why.** MNN makes all parts equal.

    **Before and after**::

        a, b, c = Split<num_outputs=3>(x (7,))
        a, b, c = Split(x, [3, 3, 1])

    **Algebra.** All parts but the last have the size rounded up.

    **Refuses** axes of dynamic size, and numbers that leave nothing for the last part.

    **Source.** https://onnx.ai/onnx/operators/onnx__Split.html
    """

    code = "MNN861"
    name = "split-sizes"
    summary = "the sizes of the parts are given"
    op_types = ("Split",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the node with sizes."""
        axis, parts = int(node.attribute("axis")), int(node.attribute("num_outputs"))
        size = new.input(0).dim(axis)
        each = -(-size // parts)
        sizes = [each] * (parts - 1) + [size - each * (parts - 1)]
        if sizes[-1] <= 0:
            raise NotApplicable(f"{parts} parts of {each} leave nothing of {size} for the last one")
        return new.clone_node(new.input(0), new.constant(sizes), num_outputs=None)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Uneven parts of either end, and even ones."""
        return (
            rewritten(
                "seven in three",
                "(float[7] x) => (float[3] a, float[3] b, float[1] c) { a, b, c = Split<num_outputs=3>(x) }",
                becomes="Split",
                opset=18,
            ),
            rewritten(
                "the last axis",
                "(float[N,5] x) => (float[N,3] a, float[N,2] b) { a, b = Split<axis=-1, num_outputs=2>(x) }",
                becomes="Split",
                opset=18,
            ),
            unchanged("even", "(float[6] x) => (float[3] a, float[3] b) { a, b = Split<num_outputs=2>(x) }", opset=18),
        )
