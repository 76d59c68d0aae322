"""Softplus that neither overflows nor loses its small results in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.half_functions import softplus_operand

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class SoftplusByAtanh(NodeRewrite):
    """Write Softplus with an exponential that is at most 1.

    **What.** Softplus, and Log(1 + Exp(x)), for half precision.

    **Why.** MNN computes it as ``Log(Exp(x) + 1)``, in float16: the result is at most 11.09, and of the exponential of
    a number below -7 nothing is left beside 1.

    **Before and after**::

        y = Softplus(x)
        e = Exp(-Abs(x))  y = Relu(x) + 2 * Atanh(e / (e + 2))

    **Algebra.** ``log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))`` and ``log(1 + e) = 2 * atanh(e / (2 + e))``.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`: 61 to 74 dB, where Softplus had 2.7 to 33.
    With ``Log(1 + e)`` instead of Atanh it is 11 dB for operands below -6.

    **Refuses** opsets below 9, which have no Atanh.

    **Source.** MNN 3.6.1, express/NeuralNetWorkOp.cpp, _Softplus
    """

    code = "MNN984"
    name = "softplus-by-atanh"
    summary = "written with an exponential that is at most 1"
    for_half_precision = True
    op_types = ("Log", "Softplus")
    before = (("softplus-above-operand", "its result is not limited either"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the sum of Relu and the logarithm."""
        name = softplus_operand(node) if node.node.op_type == "Log" else node.node.input[0]
        if name is None:
            raise NotApplicable("it is no Softplus")
        x = new.value(name)
        power = new.op("Exp", -new.op("Abs", x))
        return new.op("Relu", x) + new.op("Atanh", power / (power + 2.0)) * 2.0

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both ways to write it, an opset without Atanh; and another logarithm."""
        return (
            rewritten(
                "operator",
                "(float[N,3] x) => (float[N,3] y) { y = Softplus(x) }",
                becomes="Abs, 2 Add, Atanh, Div, Exp, Mul, Neg, Relu",
                precision="low",
            ),
            rewritten(
                "spelled out",
                "(float[2,3] x) => (float[2,3] y) <float o = {1.0}> { e = Exp(x) a = Add(o, e) y = Log(a) }",
                becomes="Abs, 2 Add, Atanh, Div, Exp, Mul, Neg, Relu",
                precision="low",
            ),
            refused(
                "opset 7",
                "has no Atanh",
                "(float[2,3] x) => (float[2,3] y) { y = Softplus(x) }",
                opset=7,
                precision="low",
            ),
            unchanged(
                "of Sigmoid",
                "(float[2,3] x) => (float[2,3] y) <float o = {1.0}> { e = Sigmoid(x) a = Add(o, e) y = Log(a) }",
                precision="low",
            ),
            unchanged("in float32", "(float[2,3] x) => (float[2,3] y) { s = Softplus(x) y = Tanh(s) }"),
        )
