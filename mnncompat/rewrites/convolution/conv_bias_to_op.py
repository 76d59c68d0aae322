"""The bias of a convolution as an Add after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.operator_traits import CONVOLUTIONS
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ConvBiasToOp(NodeRewrite):
    """Add the bias of a convolution after it.

    **What.** Conv and ConvTranspose whose bias is computed at run time while their weight is constant, and 3-D
    ConvTranspose with a bias.

    **Why.** MNN refuses the former, and adds the bias to part of the depth in 3-D.

    **Before and after**::

        y = Conv(x, w, b)
        y = Conv(x, w) + Reshape(b, (1, M, 1, 1))

    **Algebra.** The definition of the bias.

    **Source.** https://onnx.ai/onnx/operators/onnx__Conv.html
    """

    code = "MNN887"
    name = "conv-bias-to-op"
    summary = "its bias is added after it"
    op_types = CONVOLUTIONS
    before = (
        (
            "conv-transpose-3d-by-planes",
            "of two correct rewrites the smaller one goes first: it leaves a node without a bias",
        ),
    )

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the convolution and the Add."""
        weight, bias = new.input(1), new.input(2)
        shape = [1, -1, *[1] * (weight.rank - 2)]
        constant = bias.constant
        along = new.reshape(bias, shape) if constant is None else new.constant(constant.reshape(shape))
        return new.clone_node(new.input(0), weight)[0] + along

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """2-D, 3-D and transposed."""
        return (
            rewritten(
                "2-D",
                "(float[1,4,5,6] x, float[3] b) => (float[1,3,3,4] y) { y = Conv(x, w, b) }",
                becomes="Add, Conv, Reshape",
                w=(3, 4, 3, 3),
            ),
            rewritten(
                "3-D",
                """(float[1,2,4,5,6] x, float[3] b) => (float[1,3,3,4,5] y)
                { y = Conv<kernel_shape=[2,2,2]>(x, w, b) }""",
                becomes="Add, Conv, Reshape",
                w=(3, 2, 2, 2, 2),
            ),
            rewritten(
                "transposed 3-D, constant",
                """(float[1,2,2,3,4] x) => (float[1,3,4,6,8] y)
                { y = ConvTranspose<kernel_shape=[2,2,2], strides=[2,2,2]>(x, w, b) }""",
                becomes="Add, ConvTranspose",
                w=(2, 3, 2, 2, 2),
                b=(3,),
            ),
            unchanged(
                "constant",
                "(float[1,4,5,6] x) => (float[1,3,3,4] y) { y = Conv(x, w, b) }",
                w=(3, 4, 3, 3),
                b=(3,),
            ),
        )
