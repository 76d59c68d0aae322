"""Products that MNN would fuse to GELU, in an order that it does not fuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.support.relations.normalization import fused_gelu

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_TANGENT = "p = Pow(x, e) q = Mul(p, c) s = Add(x, q) u = Mul(s, k) t = Tanh(u) a = Add(t, one)"
_STORED = "float e = {3.0}, float c = {0.044715}, float one = {1.0}"


class BreakGeluFusion(NodeRewrite):
    """Multiply in another order what MNN would wrongly fuse to GELU.

    **What.** A product of the operators of ``x * ((1 + Tanh((x + x^3 * 0.044715) * 0.7978846)) * 0.5)``, with other
    constants, or another first factor.

    **Why.** MNN fuses such a product to GELU by its operators alone.

    **Before and after**::

        y = x * ((1 + t) * 1.0)
        y = (x * 1.0) * (1 + t)

    **Algebra.** Products are associative, up to rounding.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/merge/FuseGeLu.cpp
    """

    code = "MNN843"
    name = "break-gelu-fusion"
    summary = "multiplied in an order that MNN does not fuse to GELU"
    op_types = ("Mul",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the products."""
        found = fused_gelu(node)
        if found is None:
            raise NotApplicable("it does not look like GELU")
        return new.op("Mul", new.input(found.other) * new.value(found.half), new.value(found.factor))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Another constant, another factor; and GELU."""
        start = "(float[2,8] x) => (float[2,8] y)"
        return (
            rewritten(
                "constant",
                f"""{start} <float k = {{1.5}}, float h = {{0.5}}, {_STORED}> {{
                {_TANGENT} b = Mul(a, h) y = Mul(x, b) }}""",
                becomes="2 Add, 4 Mul, Pow, Tanh",
            ),
            rewritten(
                "factor",
                f"""{start} <float k = {{0.7978846}}, float h = {{0.5}}, {_STORED}> {{
                {_TANGENT} b = Mul(h, a) n = Neg(x) y = Mul(b, n) }}""",
                becomes="2 Add, 4 Mul, Neg, Pow, Tanh",
            ),
            unchanged(
                "GELU",
                f"""{start} <float k = {{0.7978846}}, float h = {{0.5}}, {_STORED}> {{
                {_TANGENT} b = Mul(a, h) y = Mul(x, b) }}""",
            ),
        )
