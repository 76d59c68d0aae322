"""RMSNormalization as the pattern that MNN fuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class RMSNormPattern(NodeRewrite):
    """Write RMSNormalization as the arithmetic that MNN's converter fuses again.

    **What.** RMSNormalization of an operand of known rank.

    **Why.** MNN's converter registers no such operator, though its runtime has one.

    **Before and after**::

        y = RMSNormalization<axis = -1>(x, scale)
        y = x * (1 / Sqrt(ReduceMean(Pow(x, 2), [-1]) + epsilon)) * scale

    **Algebra.** The definition.

    **Why this form.** MNN makes one LayerNorm of the first product, and fuses a constant scale into it: one operator
    instead of seven. (ONNX's function body divides by the root, and remains seven operators.) A scale that MNN would
    misread there, of fewer elements than are normalised, is stored at full size, or else multiplied first, so that
    nothing is fused.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/merge/FuseLayerNormRMS.cpp and FuseLayerNormRMSGamm.cpp
    """

    code = "MNN838"
    name = "rms-norm-pattern"
    summary = "written as the arithmetic that MNN fuses"
    op_types = ("RMSNormalization",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the arithmetic."""
        given, scale = new.input(0), new.input(1)
        x = new.cast(given, node.attribute("stash_type"))
        axis = node.attribute("axis") % x.rank
        mean = new.reduce("ReduceMean", new.op("Pow", x, 2), list(range(axis, x.rank)))
        root = new.op("Sqrt", mean + node.attribute("epsilon"))
        normalised = x.dims[axis:]
        if scale.constant is not None and scale.constant.shape != normalised:
            if scale.rank > len(normalised) or not all(isinstance(dim, int) for dim in normalised):
                return new.cast(x * new.cast(scale, x.dtype) / root, given.dtype)
            full = np.broadcast_to(scale.constant, [int(dim or 0) for dim in normalised])
            scale = new.constant(full.copy())
        return new.cast(x * (1.0 / root), given.dtype) * scale

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One axis and more, scales of several shapes and at run time, float16; and LayerNormalization."""
        text = "(float[2,N,4] x) => (float[2,N,4] y) { y = RMSNormalization<epsilon=0.1>(x, s) }"
        return (
            rewritten("last axis", text, becomes="Add, Div, 2 Mul, Pow, ReduceMean, Sqrt", opset=23, s=(4,)),
            rewritten("single scale", text, becomes="Add, Div, 2 Mul, Pow, ReduceMean, Sqrt", opset=23, s=(1,)),
            rewritten(
                "scale along another axis",
                text.replace("2,N", "2,3"),
                becomes="Add, Div, Mul, Pow, ReduceMean, Sqrt",
                opset=23,
                s=(3, 1),
            ),
            rewritten(
                "two axes",
                "(float[2,3,4] x, float[3,4] s) => (float[2,3,4] y) { y = RMSNormalization<axis=-2>(x, s) }",
                becomes="Add, Div, 2 Mul, Pow, ReduceMean, Sqrt",
                opset=23,
            ),
            unchanged(
                "LayerNormalization",
                "(float[2,3,4] x) => (float[2,3,4] y) { y = LayerNormalization(x, s) }",
                opset=23,
                s=(4,),
            ),
        )
