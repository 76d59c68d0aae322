"""Quotients whose divisor is 0 in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.half_functions import quotient_of
from mnncompat.support.relations.half_norms import limited

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class QuotientAtZero(NodeRewrite):
    """Keep a tiny number in a divisor from being 0.

    **What.** Division by ``n + e`` or ``Max(n, e)`` with an ``e`` below 6e-8, for half precision.

    **Why.** ``e`` is 0 in float16: where ``n`` is 0 the result is NaN or infinite.

    **Before and after**::

        y = x / (n + 1e-8)
        b = Abs(n) > 0  y = Where(b, x / Where(b, n + 1e-8, 1), x * 1e8)

    **Algebra.** Where ``n`` is 0, or below the limit, the divisor is ``e``.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, a row of zeros: NaN before, 70 dB after.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): BinaryOp runs in float16
    """

    code = "MNN986"
    name = "quotient-at-zero"
    summary = "what its divisor is at 0 is written as a factor"
    for_half_precision = True
    op_types = ("Div", "Mul")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit both quotients, and select."""
        quotient = quotient_of(node)
        divisor = None if quotient is None else node.view.producer(quotient[1])
        found = None if divisor is None else limited(node.view, divisor)
        if quotient is None or divisor is None or found is None:
            raise NotApplicable("its divisor has no floor")
        value, floor, is_added = new.value(found[0]), found[1], divisor.op_type == "Add"
        is_usual = new.op("Greater", new.op("Abs", value), 0.0) if is_added else new.op("Greater", value, floor)
        usual = new.op("Where", is_usual, value + floor if is_added else value, new.scalar(1.0, value))
        over = new.value(quotient[0])
        return new.op("Where", is_usual, over / usual, over * (1 / floor))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A number added, a limit; and one that half precision holds."""
        text = """(float[2,3] x, float[2,1] n) => (float[2,3] y) <float e = {{{}}}> {{
            p = Relu(n) a = {}(p, e) y = Div(x, a) }}"""
        return (
            rewritten(
                "added",
                text.format("1e-8", "Add"),
                becomes="Abs, Add, Div, Greater, Mul, Relu, 2 Where",
                precision="low",
            ),
            rewritten(
                "a limit", text.format("1e-12", "Max"), becomes="Div, Greater, Mul, Relu, 2 Where", precision="low"
            ),
            rewritten(
                "a reciprocal",
                text.format("1e-8", "Add").replace("y = Div(x, a)", "i = Reciprocal(a) y = Mul(x, i)"),
                becomes="Abs, Add, Div, Greater, Mul, Relu, 2 Where",
                precision="low",
            ),
            unchanged("a number that float16 holds", text.format("1e-5", "Add"), precision="low"),
            unchanged("in float32", text.format("1e-8", "Add")),
        )
