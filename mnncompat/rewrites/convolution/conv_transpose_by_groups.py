"""Transposed convolutions in groups, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ConvTransposeByGroups(NodeRewrite):
    """Convolve each group by itself.

    **What.** ConvTranspose in groups whose weight is computed at run time.

    **Why.** MNN mixes the groups up unless each has as many input channels as output channels.

    **Before and after**::

        y = ConvTranspose(x, w, group = 2)
        y = Concat(ConvTranspose(x1, w1), ConvTranspose(x2, w2), axis = 1)       x1, x2 = Split(x), w1, w2 = Split(w)

    **Algebra.** The definition of groups.

    **Source.** https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
    """

    code = "MNN901"
    name = "conv-transpose-by-groups"
    summary = "each group is convolved by itself"
    op_types = ("ConvTranspose",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the splits, the convolutions and the Concat."""
        groups = int(node.attribute("group") or 1)
        x, weight = new.input(0), new.input(1)
        size = x.dim(1) // groups
        images = new.split(x, [size] * groups, 1)
        kernels = new.split(weight, [size] * groups, 0)
        bias = new.input(2) if new.has(2) else None
        biases = [None] * groups if bias is None else new.split(bias, [weight.dim(1)] * groups, 0)
        parts = [
            new.clone_node(image, kernel, add, group=None)[0]
            for image, kernel, add in zip(images, kernels, biases, strict=True)
        ]
        return new.concat(parts, 1)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """With and without bias; groups that MNN computes correctly."""
        return (
            rewritten(
                "two groups",
                """(float[1,4,3,3] x, float[4,3,2,2] w) => (float[1,6,6,6] y)
                { y = ConvTranspose<group=2, kernel_shape=[2,2], strides=[2,2]>(x, w) }""",
                becomes="Concat, 2 ConvTranspose, 2 Split",
            ),
            rewritten(
                "bias, opset 11",
                """(float[N,6,3,3] x, float[6,1,2,2] w, float[3] b) => (float[N,3,4,4] y)
                { y = ConvTranspose<group=3>(x, w, b) }""",
                becomes="Concat, 3 ConvTranspose, 3 Split",
                opset=11,
            ),
            unchanged(
                "as many before as behind",
                """(float[1,4,3,3] x, float[4,2,2,2] w) => (float[1,4,6,6] y)
                { y = ConvTranspose<group=2, kernel_shape=[2,2], strides=[2,2]>(x, w) }""",
            ),
        )
