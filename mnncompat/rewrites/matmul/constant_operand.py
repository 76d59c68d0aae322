"""Constants that MNN would treat as a bias, or as packed channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ConstantOperand(NodeRewrite):
    """Subtract the negative of a constant that must not become a bias, and give single constants no dimensions.

    **What.** Add and Sum of a constant and the result of Conv, Gemm, MatMul or a written-out normalisation, where the
    constant is no bias, or in a branch or body has one element; operators of two operands, one of them a constant of
    one element in front of a channel-packed value, or of more dimensions than it.

    **Why.** MNN folds an added constant into the layer by the number of its elements alone, whatever axis it lies
    along, and before the layer's activation. In a branch or body it takes a value of the graph around it for a vector,
    and gives a product a third dimension if one element is added. A result has the layout of the operand with more
    dimensions, or of the first: next to a constant of one element with dimensions, MNN reads packed channels as plain.

    **Before and after**::

        y = Conv(x, w) + c                                c is [1, 1, 1, W], and W the number of channels
        y = Conv(x, w) - (-c)

        y = c - x                                         c is [1, 1, 1, 1]
        y = c - x                                         c is []

    **Algebra.** a + c and a - (-c) are the same number in floating point. One element broadcasts alike.

    **Why this form.** MNN folds no subtraction, and the constant keeps its size.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/merge/ConvBiasAdd.cpp
    """

    code = "MNN842"
    name = "constant-operand"
    summary = "the constant is written so that MNN reads it correctly"
    op_types = (
        *("Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul"),
        *("Or", "Pow", "Sub", "Sum", "Xor"),
    )

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """The node with another constant."""
        operands = [new.input(0), new.input(1)]
        is_sum = node.node.op_type in ("Add", "Sum")
        place = next((each for each in (0, 1) if operands[each].constant is not None), None)
        if place is None:
            raise NotApplicable("neither operand is constant")
        constant, other = operands[place].constant, operands[1 - place]
        assert constant is not None  # noqa: S101 - it was chosen for that
        if constant.size == 1 and constant.ndim > other.rank:
            other = new.unsqueeze(other, list(range(constant.ndim - other.rank)))
            constant = constant.reshape(())
        if is_sum:
            return new.op("Sub", other, -constant)
        if constant.size != 1:
            raise NotApplicable(f"'{operands[place].name}' has several elements")
        single = constant.reshape(())
        return new.clone_node(*((single, other) if place == 0 else (other, single)))[0]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Constants after Conv, its activation, Gemm and MatMul, and as first operands; and a bias."""
        return (
            *_rewritten_examples(),
            *_single_examples(),
            unchanged(
                "a bias",
                "(float[1,2,4,3] x) => (float[1,3,4,3] y) { c = Conv(x, w) y = Add(c, d) }",
                w=(3, 2, 1, 1),
                d=(3, 1, 1),
            ),
        )


def _rewritten_examples() -> tuple[Example, ...]:
    """Constants after Conv, its activation, MatMul and a norm."""
    return (
        rewritten(
            "width as many as channels",
            "(float[1,2,4,3] x) => (float[1,3,4,3] y) { c = Conv(x, w) y = Add(c, d) }",
            becomes="Conv, Sub",
            w=(3, 2, 1, 1),
            d=(1, 1, 1, 3),
        ),
        rewritten(
            "behind the activation",
            "(float[1,2,4,3] x) => (float[1,3,4,3] y) { c = Conv(x, w) r = Relu(c) y = Add(r, d) }",
            becomes="Conv, Relu, Sub",
            w=(3, 2, 1, 1),
            d=(3,),
        ),
        rewritten(
            "column",
            "(float[3,4] x) => (float[3,3] y) { c = MatMul(x, w) y = Sum(d, c) }",
            becomes="MatMul, Sub",
            w=(4, 3),
            d=(3, 1),
        ),
        rewritten(
            "behind a norm",
            """(float[2,3,4,3] x) => (float[2,3,4,3] y) <float e = {0.1}, float two = {2.0}> {
            u = ReduceMean<axes=[1]>(x) v = Sub(x, u) p = Pow(v, two) m = ReduceMean<axes=[1]>(p) a = Add(m, e)
            s = Sqrt(a) n = Div(v, s) q = Mul(n, c) y = Add(q, b) }""",
            becomes="Add, Div, Mul, Pow, 2 ReduceMean, Sqrt, 2 Sub",
            c=(3, 1, 1),
            b=(3,),
        ),
    )


def _single_examples() -> tuple[Example, ...]:
    """Constants of one element beside packed channels: in front, and of more dimensions."""
    return (
        rewritten(
            "in front",
            "(float[1,2,4,3] x) => (float[1,6,4,3] y) { c = Conv(x, w) y = Sub(d, c) }",
            becomes="Conv, Sub",
            w=(6, 2, 1, 1),
            d=(1, 1, 1, 1),
        ),
        rewritten(
            "in front of what follows a pool",
            """(float[1,2,4,4] x) => (bool[1,2,3] y) { p = MaxPool<kernel_shape=[2,2], strides=[1,1]>(x)
            s = Slice(p, zero, one, three) q = Squeeze(s, three) y = Greater(d, q) }""",
            becomes="Greater, MaxPool, Slice, Squeeze",
            d=(1, 1, 1),
            zero=np.array([0]),
            one=np.array([1]),
            three=np.array([3]),
        ),
        rewritten(
            "of more dimensions",
            "(float[1,2,4,3] x) => (float[1,1,6,4,3] y) { c = Conv(x, w) y = Sub(c, d) }",
            becomes="Conv, Sub, Unsqueeze",
            w=(6, 2, 1, 1),
            d=(1, 1, 1, 1, 1),
        ),
        rewritten(
            "of more dimensions, added",
            "(float[1,2,4,3] x) => (float[1,1,6,4,3] y) { c = Conv(x, w) y = Add(d, c) }",
            becomes="Conv, Sub, Unsqueeze",
            w=(6, 2, 1, 1),
            d=(1, 1, 1, 1, 1),
        ),
    )
