"""Gemm whose first operand is transposed by a node of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.base import Example
from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts
    from mnncompat.rewrites.sketch import Sketch, Value


class GemmTransposeApart(NodeRewrite):
    """Transpose the first operand of Gemm before.

    **What.** Gemm with ``transA`` and a constant second operand.

    **Why.** MNN makes a convolution of it, and forgets the transposition.

    **Before and after**::

        y = Gemm<transA = 1>(a, b, c)
        y = Gemm(Transpose(a), b, c)

    **Algebra.** The definition of transA.

    **Source.** https://onnx.ai/onnx/operators/onnx__Gemm.html
    """

    code = "MNN922"
    name = "gemm-transpose-apart"
    summary = "its first operand is transposed before"
    op_types = ("Gemm",)

    def build(self, node: NodeFacts, new: Sketch) -> list[Value]:  # noqa: ARG002
        """Draw the transposition and the product."""
        first, *rest = new.inputs()
        return new.again(new.transpose(first, (1, 0)), *rest, transA=None)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """With and without a bias, and a second operand that is no constant."""
        text = "(float[3,N] a) => (float[N,4] y) { y = Gemm<transA=1, transB=1, alpha=0.5>(a, w) }"
        return (
            taken("transposed", text, w=(4, 3)),
            taken(
                "bias", "(float[3,2] a) => (float[2,4] y) { y = Gemm<transA=1>(a, w, c) }", opset=9, w=(3, 4), c=(4,)
            ),
            left("both at run time", "", "(float[3,2] a, float[3,4] b) => (float[2,4] y) { y = Gemm<transA=1>(a, b) }"),
        )
