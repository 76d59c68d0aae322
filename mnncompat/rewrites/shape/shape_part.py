"""Part of a shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ShapePart(NodeRewrite):
    """Take part of a shape with Slice.

    **What.** Shape with ``start`` or ``end``, for MNN before 3.5.

    **Why.** Those releases read neither, and give the whole shape.

    **Before and after**::

        y = Shape<start = 1, end = -1>(x)                 x is of rank 4
        y = Slice(Shape(x), [1], [3], [0])

    **Algebra.** The definition: negative positions count from the end, and all are clamped to the rank.

    **Refuses** an operand of unknown rank, and a part that is empty, for which MNN makes no tensor.

    **Source.** MNN 3.4.1, tools/converter/source/onnx/ShapeOnnx.cpp
    """

    code = "MNN931"
    name = "shape-part"
    summary = "Slice takes the part of the shape"
    op_types = ("Shape",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the whole shape and its part."""
        rank = new.input(0).rank
        start, end, _ = slice(node.attribute("start"), node.attribute("end")).indices(rank)
        if start >= end:
            raise NotApplicable(f"the part from {start} to {end} is empty")
        (whole,) = new.clone_node(start=None, end=None)
        return whole if (start, end) == (0, rank) else new.slice(whole, [start], [end], [0])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Positions of every kind, dynamic sizes, the whole shape; an empty part, and newer releases."""
        dynamic = "(float[N,3,M,5] x) => (int64[K] y)"
        one = f"{dynamic} {{ y = Shape<start=2, end=3>(x) }}"
        return (
            rewritten("one size", one, becomes="Shape, Slice", opset=15, mnn="3.4.1"),
            rewritten(
                "from",
                "(float[N,3] x) => (int64[1] y) { y = Shape<start=1>(x) }",
                becomes="Shape, Slice",
                opset=15,
                mnn="3.0.0",
            ),
            rewritten(
                "from the end",
                f"{dynamic} {{ y = Shape<start=-3, end=-1>(x) }}",
                becomes="Shape, Slice",
                opset=19,
                mnn="3.4.1",
            ),
            rewritten(
                "beyond the rank",
                f"{dynamic} {{ y = Shape<start=-9, end=9>(x) }}",
                becomes="Shape",
                opset=21,
                mnn="3.4.1",
            ),
            rewritten(
                "decides a shape",
                """(float[N,3,4] x) => (float[N,12] y) {
                n = Shape<end=1>(x) s = Concat<axis=0>(n, t) y = Reshape(x, s) }""",
                becomes="Concat, Reshape, Shape, Slice",
                opset=18,
                mnn="3.2.0",
                t=np.array([-1]),
            ),
            refused("empty", "2 to 1 is empty", f"{dynamic} {{ y = Shape<start=2, end=1>(x) }}", opset=15, mnn="3.4.1"),
            unchanged("the whole shape", f"{dynamic} {{ y = Shape(x) }}", opset=15, mnn="3.4.1"),
            unchanged("a release that reads them", one, opset=15, mnn="3.5.0"),
        )
