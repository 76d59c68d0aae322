"""Softplus of large operands, where MNN's result is limited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class SoftplusAboveOperand(NodeRewrite):
    """Keep Softplus from falling below its operand.

    **What.** Softplus whose operand may be any number and whose result is read by other nodes than Tanh and Sigmoid.

    **Why.** MNN computes it as ``Log(Exp(x) + 1)``, and its Exp clamps ``x`` to 87: the result is never larger than 87.

    **Before and after**::

        y = Softplus(x)
        y = Max(Softplus(x), x)

    **Algebra.** ``log(1 + exp(x)) > x``, so Max changes nothing that is right. Above 87 the two differ by less than
    ``exp(-87)``, far less than float rounds to, and MNN's 87 is the smaller one.

    **Why this form.** One operator more: a million numbers took 4.3 ms instead of 3.8 on one thread (x86, AVX2).
    ``Relu(x) + Log(1 + Exp(-Abs(x)))`` took 4.8.

    **Source.** MNN 3.6.1, express/NeuralNetWorkOp.cpp, _Softplus
    """

    code = "MNN930"
    name = "softplus-above-operand"
    summary = "not below its operand"
    op_types = ("Softplus",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the larger of both."""
        x = new.input(0)
        return new.op("Max", new.clone_node()[0], x)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A graph output, another reader than Tanh, a dynamic size; and operands or results that are bounded."""
        return (
            rewritten("output", "(float[2,3] x) => (float[2,3] y) { y = Softplus(x) }", becomes="Max, Softplus"),
            rewritten(
                "old opset",
                "(float[2,3] x) => (float[2,3] y) { s = Softplus(x) y = Sqrt(s) }",
                becomes="Max, Softplus, Sqrt",
                opset=7,
            ),
            rewritten(
                "dynamic",
                "(float[N,3] x) => (float[N,3] y) { a = Neg(x) s = Softplus(a) y = Mul(s, x) }",
                becomes="Max, Mul, Neg, Softplus",
            ),
            rewritten(
                "two readers",
                "(float[2,3] x) => (float[2,3] y, float[2,3] z) { s = Softplus(x) y = Tanh(s) z = Sqrt(s) }",
                becomes="Max, Softplus, Sqrt, Tanh",
            ),
            unchanged("Mish", "(float[2,3] x) => (float[2,3] y) { s = Softplus(x) t = Tanh(s) y = Mul(x, t) }"),
            unchanged("of Tanh", "(float[2,3] x) => (float[2,3] y) { t = Tanh(x) y = Softplus(t) }"),
            unchanged("with Max already", "(float[2,3] x) => (float[2,3] y) { s = Softplus(x) y = Max(x, s) }"),
        )
