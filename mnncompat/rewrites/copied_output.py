"""Outputs of the graph that are copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts
    from mnncompat.rewrites.base import Example
    from mnncompat.rewrites.sketch import Sketch, Value


class CopiedOutput(NodeRewrite):
    """Take a graph output from a copy of the node's result.

    **What.** BatchNormalization, Relu and Clip behind a 3-D convolution, the results of which are graph outputs.

    **Why.** MNN merges them into the convolution, and goes on to call the result by the convolution's name: the output
    is not found when the model is loaded.

    **Before and after**::

        y = Relu(Conv(x, w))
        y = Identity(Relu(Conv(x, w)))

    **Algebra.** A copy.

    **Why this form.** MNN still merges the node, and the Identity takes its place as the end of the graph.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/merge/Convolution3DTurn2D.cpp
    """

    code = "MNN944"
    name = "copied-output"
    summary = "the graph's output is a copy of its result"
    op_types = ("BatchNormalization", "Clip", "Relu")

    def build(self, node: NodeFacts, new: Sketch) -> Value:  # noqa: ARG002
        """Draw the node and the copy."""
        return new.op("Identity", new.again()[0])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Each operator, several of them, and what is not merged or not an output."""
        signature = "(float[1,2,4,5,6] x) => (float[1,3,3,4,5] y)"
        conv = "c = Conv<kernel_shape=[2,2,2]>(x, w)"
        weight = (3, 2, 2, 2, 2)
        norm = "BatchNormalization(c, s, s, s, var)"
        return (
            taken("Relu", f"{signature} {{ {conv} y = Relu(c) }}", w=weight),
            taken("Clip, as attributes", f"{signature} {{ {conv} y = Clip<min=0.0, max=6.0>(c) }}", opset=10, w=weight),
            taken("norm", f"{signature} {{ {conv} y = {norm} }}", w=weight, s=(3,), var=(3,)),
            taken("norm and Relu", f"{signature} {{ {conv} n = {norm} y = Relu(n) }}", w=weight, s=(3,), var=(3,)),
            taken(
                "also used",
                "(float[1,2,4,5,6] x) => (float[1,3,3,4,5] y, float[1,3,3,4,5] z) "
                f"{{ {conv} y = Relu(c) z = Sigmoid(y) }}",
                w=weight,
            ),
            taken(
                "transposed",
                """(float[1,2,2,3,4] x) => (float[1,3,4,6,8] y)
                { c = ConvTranspose<kernel_shape=[2,2,2], strides=[2,2,2]>(x, w) y = Relu(c) }""",
                w=(2, 3, 2, 2, 2),
            ),
            left("LeakyRelu", "", f"{signature} {{ {conv} y = LeakyRelu(c) }}", w=weight),
            left("Sigmoid behind", "", f"{signature} {{ {conv} r = Relu(c) y = Sigmoid(r) }}", w=weight),
            left("read twice", "", f"{signature} {{ {conv} r = Relu(c) y = Add(r, c) }}", w=weight),
            left("2-D", "", "(float[1,2,5,6] x) => (float[1,3,4,5] y) { c = Conv(x, w) y = Relu(c) }", w=(3, 2, 2, 2)),
        )
