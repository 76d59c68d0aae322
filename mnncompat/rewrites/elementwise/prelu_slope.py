"""PRelu with a slope of the operand's rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class PReluSlope(NodeRewrite):
    """Give the slope of PRelu the rank of its operand, or write PRelu with Relu.

    **What.** PRelu whose slope has a lower rank and lies along another axis than the channels.

    **Why.** MNN applies a slope to the channels if it is of rank 1 or has all its elements along its own axis 1, and
    before 3.4 every slope.

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

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """PRelu with another constant."""
        x, slope = new.input(0), new.array(1)
        if slope.ndim < x.rank:
            return new.clone_node(x, slope.reshape((1,) * (x.rank - slope.ndim) + slope.shape))[0]
        return new.op("Relu", x) - new.op("Mul", new.constant(slope), new.op("Relu", -x))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A slope along the width, of several types; and slopes of channels and of rank 2."""
        return (
            rewritten("width", "(float[2,3,4,5] x) => (float[2,3,4,5] y) { y = PRelu(x, s) }", becomes="PRelu", s=(5,)),
            rewritten(
                "as many as channels",
                "(float[2,3,3] x) => (float[2,3,3] y) { y = PRelu(x, s) }",
                becomes="PRelu",
                s=(3,),
                opset=9,
            ),
            rewritten(
                "of rank 3",
                "(float[2,3,4,5] x) => (float[2,3,4,5] y) { y = PRelu(x, s) }",
                becomes="PRelu",
                s=(1, 4, 1),
            ),
            unchanged("channels", "(float[2,3,4,5] x) => (float[2,3,4,5] y) { y = PRelu(x, s) }", s=(3, 1, 1)),
            unchanged("matrix", "(float[2,5] x) => (float[2,5] y) { y = PRelu(x, s) }", s=(5,)),
        )
