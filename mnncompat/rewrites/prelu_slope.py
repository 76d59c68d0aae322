"""PRelu with a slope of the operand's rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.base import Example
from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts
    from mnncompat.rewrites.sketch import Sketch, Value


class PReluSlope(NodeRewrite):
    """Give the slope of PRelu the rank of its operand, or write PRelu with Relu.

    **What.** PRelu whose slope lies along the last axis.

    **Why.** MNN applies a slope of rank 1 to the channels, and before 3.4 every slope of as many elements.

    **Before and after**::

        y = PRelu(x, slope)                               x is [2, 3, 4], slope is [4]
        y = PRelu(x, slope)                               slope is [1, 1, 4]

        y = Relu(x) - slope * Relu(-x)                    in MNN before 3.4

    **Algebra.** Broadcasting fills up with dimensions of 1 in front.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxPrelu.cpp
    """

    code = "MNN827"
    name = "prelu-slope"
    summary = "the slope gets the operand's rank"
    op_types = ("PRelu",)

    def build(self, node: NodeFacts, new: Sketch) -> Value:  # noqa: ARG002
        """PRelu with another constant."""
        x, slope = new.input(0), new.array(1)
        if slope.ndim < x.rank:
            return new.again(x, slope.reshape((1,) * (x.rank - slope.ndim) + slope.shape))[0]
        return new.op("Relu", x) - new.op("Mul", new.constant(slope), new.op("Relu", -x))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A slope along the width, of several types; and slopes of channels and of rank 2."""
        return (
            taken("width", "(float[2,3,4,5] x) => (float[2,3,4,5] y) { y = PRelu(x, s) }", s=(5,)),
            taken("as many as channels", "(float[2,3,3] x) => (float[2,3,3] y) { y = PRelu(x, s) }", s=(3,), opset=9),
            left("channels", "", "(float[2,3,4,5] x) => (float[2,3,4,5] y) { y = PRelu(x, s) }", s=(3, 1, 1)),
            left("matrix", "", "(float[2,5] x) => (float[2,5] y) { y = PRelu(x, s) }", s=(5,)),
        )
