"""Products of matrices that are scaled down before they are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.protos import attribute
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.half_functions import scaled_product

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class ScaleBeforeProduct(NodeRewrite):
    """Scale an operand of a product of matrices instead of the result.

    **What.** MatMul of two values that are computed, and its result multiplied by a number below 1: the scores of an
    attention, for half precision.

    **Why.** The product overflows in float16 above 65504, also where the scaled result would not.

    **Before and after**::

        y = (q @ k) * 0.125
        y = (q * 0.125) @ k

    **Algebra.** Products with a number commute.

    **Why this form.** As many operators as before. Measured on an emulated Cortex-A76, `precision = low`: infinite
    before and 58 dB after where the product overflows, 58 dB both ways where it does not.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): MatMul runs in float16
    """

    code = "MNN987"
    name = "scale-before-product"
    summary = "an operand of the product of matrices is multiplied instead"
    for_half_precision = True
    op_types = ("Div", "Mul")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the product of the scaled operand."""
        found = scaled_product(node)
        if found is None:
            raise NotApplicable("it scales no product of matrices")
        product, factor = found
        operands = new.value(product.input[0]) * factor, new.value(product.input[1])
        return new.op(product.op_type, *operands, equation=attribute(product, "equation"))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Mul and Div; a constant operand, a factor above 1, and a product that something else reads."""
        text = """(float[2,3,4] q, float[2,4,3] k) => (float[2,3,3] y) <float s = {{{}}}> {{
            m = MatMul(q, k) y = {}(m, s) }}"""
        return (
            rewritten("multiplied", text.format("0.5", "Mul"), becomes="MatMul, Mul", precision="low"),
            rewritten("divided", text.format("8.0", "Div"), becomes="MatMul, Mul", precision="low"),
            rewritten(
                "as Einsum",
                """(float[2,3,4] q, float[2,3,4] k) => (float[2,3,3] y) <float s = {0.5}> {
                m = Einsum<equation="bid,bjd->bij">(q, k) y = Mul(m, s) }""",
                becomes="Einsum, Mul",
                precision="low",
            ),
            unchanged("enlarged", text.format("2.0", "Mul"), precision="low"),
            unchanged(
                "a constant operand",
                "(float[2,4] q) => (float[2,3] y) <float s = {0.5}> { m = MatMul(q, w) y = Mul(m, s) }",
                w=(4, 3),
                precision="low",
            ),
            unchanged("in float32", text.format("0.5", "Mul")),
        )
