"""SpaceToDepth whose channels stay together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class SpaceToDepthTransposed(NodeRewrite):
    """Write a SpaceToDepth of mode CRD as Reshape, Transpose and Reshape.

    **What.** SpaceToDepth of mode ``CRD``.

    **Why.** MNN ignores the mode: channels come in the order of ``DCR``.

    **Before and after**::

        y = SpaceToDepth<mode="CRD", blocksize=b>(x (N, C, H, W))
        y = Reshape(Transpose(Reshape(x, (N, C, H/b, b, W/b, b)), (0, 1, 3, 5, 2, 4)), (N, C*b*b, H/b, W/b))

    **Algebra.** The definition of the mode.

    **Refuses** dynamic channels, heights and widths.

    **Source.** https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html
    """

    code = "MNN869"
    name = "space-to-depth-transposed"
    summary = "written as Reshape and Transpose"
    op_types = ("SpaceToDepth",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the three steps."""
        image, size = new.input(0), int(node.attribute("blocksize"))
        channels, height, width = (image.dim(axis) for axis in (1, 2, 3))
        rows, columns = height // size, width // size
        blocks = new.reshape(image, [0, channels, rows, size, columns, size])
        return new.reshape(new.transpose(blocks, [0, 1, 3, 5, 2, 4]), [0, channels * size * size, rows, columns])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both modes."""
        model = '(float[N,2,4,6] x) => (float[N,8,2,3] y) { y = SpaceToDepth<blocksize=2, mode="CRD">(x) }'
        return (
            rewritten("CRD", model, becomes="2 Reshape, Transpose", opset=28),
            unchanged("DCR", model.replace("CRD", "DCR"), opset=28),
            refused("a dynamic width", "dimension 3 of 'x' is dynamic", model.replace("6]", "W]"), opset=28),
        )
