"""Sums of exponentials whose largest operand is subtracted first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.half_functions import divided_exponential, summed_exponentials

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_ANY_AXIS = 13


class ExponentialsShifted(NodeRewrite):
    """Subtract the largest operand before Exp.

    **What.** Log-sum-exp, and Exp divided by its sum, spelled out, for half precision.

    **Why.** Exp is limited to 65504 in float16, that of 11.09.

    **Before and after**::

        y = Log(ReduceSum(Exp(x)))
        m = ReduceMax(x)  y = Log(ReduceSum(Exp(x - m))) + m

        y = Exp(x) / ReduceSum(Exp(x))
        y = Softmax(x)

    **Algebra.** ``exp(x - m) = exp(x) / exp(m)``. Over several axes, and before opset 13 over others than the last one,
    the quotient keeps its form, with the largest operand subtracted.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, operands of N(0, 30): log-sum-exp 2 dB
    before and 73 after, the quotient -11 before and 70 after.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): UnaryOp runs in float16
    """

    code = "MNN982"
    name = "exponentials-shifted"
    summary = "the largest operand is subtracted before Exp"
    for_half_precision = True
    op_types = ("Div", "Log", "Mul")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the logarithm or the quotient."""
        is_log = node.node.op_type == "Log"
        found = summed_exponentials(node.view, node.node.input[0]) if is_log else divided_exponential(node)
        if found is None:
            raise NotApplicable("it has no sum of exponentials")
        x = new.value(found.value)
        axes = [axis % x.rank for axis in found.axes] or list(range(x.rank))
        is_any = new.opset >= _ANY_AXIS or axes[0] == x.rank - 1
        if not (is_log or found.epsilon) and len(axes) == 1 and is_any:
            return new.op("Softmax", x, axis=axes[0])
        largest = new.reduce("ReduceMax", x, axes)
        power = new.op("Exp", x - largest)
        total = new.reduce("ReduceSum", power, axes)
        if not is_log:
            return power / (total + new.op("Exp", -largest) * found.epsilon if found.epsilon else total)
        result = new.op("Log", total) + largest
        return result if found.keepdims else new.squeeze(result, axes)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both, of one axis and several; and exponentials of what is already shifted."""
        return (*_rewritten(), *_left())


_TOTAL = "(float[2,3,4] x) => (float[2,3,4] y) <int64[1] a = {1}, int64[2] b = {1, 2}>"


def _rewritten() -> tuple[Example, ...]:
    """Both functions, of one axis and several."""
    return (
        rewritten(
            "logarithm",
            """(float[N,3] x) => (float[N] y) <int64[1] a = {1}> { e = Exp(x) s = ReduceSum<keepdims=0>(e, a)
                y = Log(s) }""",
            becomes="Add, Exp, Log, ReduceMax, ReduceSum, Squeeze, Sub",
            precision="low",
        ),
        rewritten(
            "quotient over one axis",
            f"{_TOTAL} {{ e = Exp(x) s = ReduceSum(e, a) y = Div(e, s) }}",
            becomes="Softmax",
            precision="low",
        ),
        rewritten(
            "quotient over two axes",
            f"{_TOTAL} {{ e = Exp(x) s = ReduceSum(e, b) y = Div(e, s) }}",
            becomes="Div, Exp, ReduceMax, ReduceSum, Sub",
            precision="low",
        ),
        rewritten(
            "a number beside the sum",
            f"{_TOTAL} <float t = {{1e-8}}>".replace("> <", ", ")
            + """ { e = Exp(x) s = ReduceSum(e, a) p = Add(s, t)
                y = Div(e, p) }""",
            becomes="Add, Div, 2 Exp, Mul, Neg, ReduceMax, ReduceSum, Sub",
            precision="low",
        ),
        rewritten(
            "a reciprocal",
            f"{_TOTAL} {{ e = Exp(x) s = ReduceSum(e, a) i = Reciprocal(s) y = Mul(e, i) }}",
            becomes="Softmax",
            precision="low",
        ),
    )


def _left() -> tuple[Example, ...]:
    """Exponentials of what is shifted already, and float32."""
    return (
        unchanged(
            "shifted",
            f"""{_TOTAL} {{ m = ReduceMax<axes=[1]>(x) d = Sub(x, m) e = Exp(d) s = ReduceSum(e, a)
                y = Div(e, s) }}""",
            precision="low",
        ),
        unchanged("in float32", f"{_TOTAL} {{ e = Exp(x) s = ReduceSum(e, a) y = Div(e, s) }}"),
    )
