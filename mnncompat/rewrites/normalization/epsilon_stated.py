"""Norms with their epsilon stated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class EpsilonStated(NodeRewrite):
    """State the epsilon of a norm.

    **What.** BatchNormalization and InstanceNormalization without ``epsilon``.

    **Why.** ONNX's default is 1e-5, MNN's is 1e-10: operands of small variance are normalised to values that are too
    large.

    **Before and after**::

        y = InstanceNormalization(x, scale, bias)
        y = InstanceNormalization<epsilon=1e-5>(x, scale, bias)

    **Algebra.** The same node with its default written out.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxBatchNormMerge.cpp
    """

    code = "MNN950"
    name = "epsilon-stated"
    summary = "the epsilon is stated"
    op_types = ("BatchNormalization", "InstanceNormalization")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the node with its epsilon."""
        return new.clone_node(epsilon=float(node.attribute("epsilon")))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both norms; norms that state their epsilon, and operands of large variance."""
        return (
            rewritten(
                "instance",
                "(float[1,2,3,4] x) => (float[1,2,3,4] y) { y = InstanceNormalization(x, s, b) }",
                becomes="InstanceNormalization",
                s=(2,),
                b=(2,),
            ),
            rewritten(
                "batch",
                "(float[1,2,3,4] x) => (float[1,2,3,4] y) { y = BatchNormalization(x, s, b, m, v) }",
                becomes="BatchNormalization",
                s=(2,),
                b=(2,),
                m=(2,),
                v=np.array([1, 1e-4], np.float32),
            ),
            unchanged(
                "stated",
                "(float[1,2,3,4] x) => (float[1,2,3,4] y) { y = InstanceNormalization<epsilon=0.001>(x, s, b) }",
                s=(2,),
                b=(2,),
            ),
            unchanged(
                "large variances",
                "(float[1,2,3,4] x) => (float[1,2,3,4] y) { y = BatchNormalization(x, s, b, m, v) }",
                s=(2,),
                b=(2,),
                m=(2,),
                v=np.array([1, 2], np.float32),
            ),
        )
