"""Reshape of a tensor without elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class ReshapeEmpty(NodeRewrite):
    """Store the result of a Reshape of a tensor without elements.

    **What.** Reshape with ``allowzero`` of a tensor without elements.

    **Why.** MNN treats the zeros of the shape as sizes to be copied, and finds that the numbers of elements differ.

    **Before and after**::

        y = Reshape<allowzero=1>(x (0, 3, 4), [3, 4, 0])
        y = Constant(value = (3, 4, 0))

    **Algebra.** There is only one tensor of a shape without elements.

    **Refuses** results whose shape is not known.

    **Source.** https://onnx.ai/onnx/operators/onnx__Reshape.html
    """

    code = "MNN863"
    name = "reshape-empty"
    summary = "the result without elements is stored"
    op_types = ("Reshape",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Store the result."""
        shape = new.value(node.node.output[0]).shape
        if 0 not in shape:
            raise NotApplicable(f"the result {shape} has elements")
        return new.constant(np.zeros(shape, new.input(0).element))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """No elements, and a shape that has some."""
        model = """(float[2,3] x, float[0,3,4] z) => (float[2,3] y, float[3,4,0] e) {
            y = Neg(x) e = Reshape<allowzero=1>(z, s) }"""
        return (
            rewritten("reordered", model, becomes="Constant, Neg", s=np.array([3, 4, 0]), opset=14),
            unchanged(
                "elements",
                "(float[2,3] x) => (float[3,2] y) { y = Reshape<allowzero=1>(x, s) }",
                s=np.array([3, 2]),
                opset=14,
            ),
        )
