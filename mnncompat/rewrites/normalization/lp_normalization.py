"""LpNormalization that gives zeros for a vector of zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class LpNormalizationOfZeros(NodeRewrite):
    """Divide by a norm that is never zero.

    **What.** LpNormalization of a value that is computed at run time.

    **Why.** MNN divides zeros by their norm, which gives NaN where ONNX gives 0.

    **Before and after**::

        y = LpNormalization<axis = -1, p = 2>(x)
        y = x / Clip(Sqrt(ReduceSum(x * x, [-1])), smallest normal number)

    **Algebra.** 0 / c is 0 for every c. The root of a sum of squares is 0 or far above the smallest normal number.

    **Source.** https://onnx.ai/onnx/operators/onnx__LpNormalization.html
    """

    code = "MNN836"
    name = "lp-normalization"
    summary = "divided by a norm that is never zero"
    op_types = ("LpNormalization",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the division."""
        x, axes = new.input(0), [node.attribute("axis")]
        if node.attribute("p") == 1:
            norm = new.reduce("ReduceSum", new.op("Abs", x), axes)
        else:
            norm = new.op("Sqrt", new.reduce("ReduceSum", x * x, axes))
        half = x.dtype == TensorProto.FLOAT16
        limits = np.finfo(np.float16 if half else np.float32)
        return x / new.clip(norm, float(limits.smallest_subnormal if half else limits.smallest_normal), None)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both norms in several opsets; and a division."""
        return (
            rewritten(
                "Euclidean",
                "(float[2,3,4] x) => (float[2,3,4] y) { y = LpNormalization<axis=1>(x) }",
                becomes="Clip, Div, Mul, ReduceSum, Sqrt",
            ),
            rewritten(
                "sum",
                "(float[2,3] x) => (float[2,3] y) { y = LpNormalization<p=1>(x) }",
                becomes="Abs, Clip, Div, ReduceSum",
                opset=9,
            ),
            rewritten(
                "newest",
                "(float[2,3] x) => (float[2,3] y) { y = LpNormalization<p=1>(x) }",
                becomes="Abs, Clip, Div, ReduceSum",
                opset=22,
            ),
            unchanged("a division", "(float[2,3] x) => (float[2,3] y) { n = Exp(x) y = Div(x, n) }"),
        )
