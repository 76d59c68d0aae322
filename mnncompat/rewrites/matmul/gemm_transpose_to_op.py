"""Gemm whose first operand is transposed by a node of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class GemmTransposeToOp(NodeRewrite):
    """Transpose the first operand of Gemm by a node of its own.

    **What.** Gemm with ``transA`` and a constant second operand.

    **Why.** MNN makes a convolution of the node, and drops the transposition.

    **Before and after**::

        y = Gemm<transA = 1>(a, b, c)
        y = Gemm(Transpose(a), b, c)

    **Algebra.** The definition of transA.

    **Source.** https://onnx.ai/onnx/operators/onnx__Gemm.html
    """

    code = "MNN922"
    name = "gemm-transpose-to-op"
    summary = "its first operand is transposed by a Transpose before it"
    op_types = ("Gemm",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:  # noqa: ARG002
        """Emit the transposition and the product."""
        first, *rest = new.inputs()
        return new.clone_node(new.transpose(first, (1, 0)), *rest, transA=None)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """With and without a bias, and a second operand that is no constant."""
        text = "(float[3,N] a) => (float[N,4] y) { y = Gemm<transA=1, transB=1, alpha=0.5>(a, w) }"
        return (
            rewritten("transposed", text, becomes="Gemm, Transpose", w=(4, 3)),
            rewritten(
                "bias",
                "(float[3,2] a) => (float[2,4] y) { y = Gemm<transA=1>(a, w, c) }",
                becomes="Gemm, Transpose",
                opset=9,
                w=(3, 4),
                c=(4,),
            ),
            unchanged(
                "both at run time", "(float[3,2] a, float[3,4] b) => (float[2,4] y) { y = Gemm<transA=1>(a, b) }"
            ),
        )
