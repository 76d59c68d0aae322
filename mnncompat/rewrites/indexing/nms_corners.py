"""NonMaxSuppression of boxes given by centres, written with corners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class NmsCorners(NodeRewrite):
    """Compute the corners of the boxes beforehand.

    **What.** NonMaxSuppression with ``center_point_box = 1``.

    **Why.** MNN reads every box as two corners.

    **Before and after**, for boxes (x, y, width, height)::

        NonMaxSuppression(boxes, center_point_box = 1)
        NonMaxSuppression(Concat(c - s / 2, c + s / 2))          c = (x, y), s = Max((width, height), 0)

    **Algebra.** The area of a box and the intersection of two do not depend on which axis comes first. A box of
    negative size intersects no other, and neither does a box of size 0.

    **Refuses** nothing.

    **Source.** https://onnx.ai/onnx/operators/onnx__NonMaxSuppression.html
    """

    code = "MNN900"
    name = "nms-corners"
    summary = "the corners of its boxes are computed beforehand"
    op_types = ("NonMaxSuppression",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the corners and the operator."""
        centre, size = new.split(new.input(0), [2, 2], 2)
        half = new.op("Max", size, 0.0) * 0.5
        boxes = new.concat([centre - half, centre + half], 2)
        others = [new.value(name) if name else None for name in node.node.input[1:]]
        return new.clone_node(boxes, *others, center_point_box=None)[0]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Centres and corners."""
        text = """(float[1,20,4] boxes) => (int64[K,3] y)
        <int64[1] most = {3}, float[1] overlap = {0.5}> { y = NonMaxSuppression"""
        return (
            rewritten(
                "centres",
                text + "<center_point_box=1>(boxes, scores, most, overlap) }",
                becomes="Add, Concat, Max, Mul, NonMaxSuppression, Split, Sub",
                scores=(1, 2, 20),
            ),
            unchanged("corners", text + "(boxes, scores, most, overlap) }", scores=(1, 2, 20)),
        )
