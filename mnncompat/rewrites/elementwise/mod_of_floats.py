"""Mod of floats by that of their magnitudes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_FLOORED_FLOATS = 28
"""The opset since which ``fmod`` may be 0 for floats."""


class ModOfFloats(NodeRewrite):
    """Write Mod of floats as Mod of their magnitudes with the sign that ONNX gives it.

    **What.** Mod of floats, with ``fmod`` 0 or 1.

    **Why.** MNN has the two forms the wrong way round: 0 takes the sign of the dividend and 1 that of the divisor.

    **Before and after**::

        y = Mod<fmod = 1>(a, b)
        r = Mod<fmod = 1>(Abs(a), Abs(b))
        y = Where(Greater(0, r), r + Abs(b), r) * Sign(a)

        y = Mod<fmod = 0>(a, b)
        r = Mod<fmod = 0>(Abs(a), Abs(b)) * Sign(a)
        y = Where(Equal(Sign(r) * Sign(b), -1), r + b, r)

    **Algebra.** Both forms are the same for positive operands. The remainder of a truncated division has the sign of
    the dividend; if that is not the divisor's, one divisor more makes it that of a floored division.

    **Why this form.** ``a - floor(a / b) * b`` is off by a whole b where a / b rounds to an integer, and NaN for an
    infinite b. That is how MNN computes ``fmod = 1``, hence the first Where, which does nothing under ONNX; from opset
    28 on, where floats may have ``fmod = 0``, both forms use that, which MNN computes exactly.

    **Source.** MNN 3.6.1, tools/converter/source/onnx/BinaryOpOnnx.cpp
    """

    code = "MNN820"
    name = "mod-of-floats"
    summary = "computed of magnitudes, and given its sign"
    op_types = ("Mod",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the remainder."""
        a, b = new.input(0), new.input(1)
        size = new.op("Abs", b)
        exact = node.opset >= _FLOORED_FLOATS
        (rest,) = new.clone_node(new.op("Abs", a), size, fmod=0 if exact else 1)
        if not exact:
            rest = new.op("Where", new.op("Greater", new.scalar(0, rest), rest), rest + size, rest)
        rest = rest * new.op("Sign", a)
        if exact:
            rest = rest + (a - a)  # MNN's Abs loses NaN
        if node.attribute("fmod"):
            return rest
        differ = new.op("Equal", new.op("Sign", rest) * new.op("Sign", b), -1)
        return new.op("Where", differ, rest + b, rest)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both forms, shapes that are broadcast; positive operands and integers."""
        return (
            rewritten(
                "truncated",
                "(float[2,3] a, float[3] b) => (float[2,3] y) { y = Mod<fmod=1>(a, b) }",
                becomes="2 Abs, Add, Greater, Mod, Mul, Sign, Where",
            ),
            rewritten(
                "of a constant",
                "(float[2,3] a) => (float[2,3] y) <float b = {-0.3}> { y = Mod<fmod=1>(a, b) }",
                becomes="2 Abs, Add, Greater, Mod, Mul, Sign, Where",
            ),
            unchanged(
                "positive",
                "(float[2,3] a) => (float[2,3] y) <float b = {0.3}> { p = Exp(a) y = Mod<fmod=0>(p, b) }",
            ),
            unchanged("integers", "(int32[6] a) => (int32[6] y) <int32 b = {7}> { y = Mod<fmod=1>(a, b) }"),
        )
