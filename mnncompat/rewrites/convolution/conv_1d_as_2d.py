"""1-D convolutions as 2-D ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnncompat.graph.operator_traits import CONVOLUTIONS
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.support.window_geometry import windows_of

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_LISTS = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}


class Conv1dAs2d(NodeRewrite):
    """Give a 1-D convolution a height of 1.

    **What.** Conv and ConvTranspose of rank 3.

    **Why.** MNN does the same, but moves the Squeeze after the following nodes, and loses it where the result is an
    output of the graph: the output has a fourth dimension.

    **Before and after**::

        y = Conv(x, w)                                       x: (N, C, L), w: (M, C, k)
        y = Squeeze(Conv(Unsqueeze(x, 2), Unsqueeze(w, 2)), 2)

    **Algebra.** A kernel of height 1 on an image of height 1.

    **Why this form.** Measured with MNN 3.6.1 on x86-64: as fast as the 1-D form followed by an Identity.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/merge/Conv1dSqueezeMove.cpp
    """

    code = "MNN886"
    name = "conv-1d-as-2d"
    summary = "given a height of 1"
    op_types = CONVOLUTIONS

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the 2-D convolution."""
        stated: dict[str, Any] = {}
        for name, neutral in _LISTS.items():
            if node.given(name):
                stated[name] = [neutral, *node.attribute(name)]
        if node.given("output_shape"):
            stated["output_shape"] = [1, node.attribute("output_shape")[-1]]
        if node.given("pads"):
            begin, end = node.attribute("pads")
            stated["pads"] = [0, begin, 0, end]
        if node.node.op_type == "Conv" and str(node.attribute("auto_pad")).startswith("SAME"):
            windows = windows_of(node, new.input(1).shape[2:], new.input(0).dims[2:])
            if windows is not None:
                stated |= {"auto_pad": None, "pads": [0, windows[0].begin, 0, windows[0].end]}
        image, weight = (_with_height(new, new.input(position)) for position in (0, 1))
        bias = new.input(2) if new.has(2) else None
        (result,) = new.clone_node(image, weight, bias, **stated)
        return new.squeeze(result, [2])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both operators, with an output of the graph as result."""
        return (
            rewritten(
                "convolution",
                """(float[1,4,9] x) => (float[1,6,5] y)
                { y = Conv<kernel_shape=[3], strides=[2], pads=[1,1], group=2>(x, w, b) }""",
                becomes="Conv, Squeeze, Unsqueeze",
                w=(6, 2, 3),
                b=(6,),
            ),
            rewritten(
                "before Relu",
                "(float[1,4,9] x) => (float[1,6,5] y) { h = Conv<dilations=[2]>(x, w) y = Relu(h) }",
                becomes="Conv, Relu, Squeeze, Unsqueeze",
                w=(6, 4, 3),
            ),
            rewritten(
                "transposed, weight at run time",
                """(float[1,4,5] x, float[4,3,3] w) => (float[1,3,10] y)
                { y = ConvTranspose<strides=[2], pads=[1,0], output_padding=[0]>(x, w) }""",
                becomes="ConvTranspose, Squeeze, 2 Unsqueeze",
            ),
            unchanged(
                "followed by Sigmoid",
                "(float[1,4,9] x) => (float[1,6,7] y) { h = Conv(x, w) y = Sigmoid(h) }",
                w=(6, 4, 3),
            ),
        )


def _with_height(new: SubgraphBuilder, value: Value) -> Value:
    """(A, B, L) as (A, B, 1, L); a constant stays one."""
    constant = value.constant
    return new.unsqueeze(value, [2]) if constant is None else new.constant(constant[:, :, None])
