"""3-D pools as two 2-D pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.operator_traits import POOLS
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.pooling.pool_pad_to_op import pool_windows
from mnncompat.support.window_geometry import Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_SINGLE = Windows(size=None, kernel=1, stride=1, dilation=1, begin=0, end=0)


class Pool3dByPlanes(NodeRewrite):
    """Pool height and width of every plane, then the depth.

    **What.** MaxPool, AveragePool and LpPool over three axes, in the forms that MNN computes wrongly.

    **Why.** MNN pools the first image of a batch only, reads the padding before the data for both sides, ignores
    ``ceil_mode`` and has no 3-D LpPool.

    **Before and after**::

        y = AveragePool(x, kernel_shape = [d, h, w])                x: (N, C, D, H, W)
        p = AveragePool(Reshape(x, (N, C*D, H, W)), kernel_shape = [h, w])
        y = Reshape(AveragePool(Reshape(p, (N, C, D, H'*W')), kernel_shape = [d, 1]), (N, C, D', H', W'))

    **Algebra.** A window is the product of one range for each axis, and so is the part of it that counts: the largest
    element, the average and the sum of powers over it are those of the planes' results.

    **Refuses** dynamic channels or spatial sizes, and dilations, which the remedy of their own row removes first.

    **Why this form.** MNN itself computes a 3-D pool as two 2-D ones.

    **Source.** MNN 3.6.1, source/geometry/GeometryPooling3D.cpp
    """

    code = "MNN883"
    name = "pool-3d-by-planes"
    summary = "planes are pooled first, then the depth"
    op_types = POOLS

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit two pools between three reshapes."""
        windows = pool_windows(node, new)
        if any(each.dilation != 1 for each in windows):
            raise NotApplicable(f"dilations {node.attribute('dilations')}")
        x = new.input(0)
        channels, depth, height, width = (x.dim(axis) for axis in (1, 2, 3, 4))
        counts = [each.count or 0 for each in windows]
        planes = new.reshape(x, [0, channels * depth, height, width])
        planes = _pooled(new, planes, windows[1:])
        rows = new.reshape(planes, [0, channels, depth, counts[1] * counts[2]])
        rows = _pooled(new, rows, [windows[0], _SINGLE])
        return [new.reshape(rows, [0, channels, *counts])]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Batches, padding, rounding up and Lp."""
        return (
            rewritten(
                "batch",
                """(float[2,3,4,5,6] x) => (float[2,3,3,2,3] y)
                { y = MaxPool<kernel_shape=[2,3,2], strides=[1,2,2], pads=[0,0,0,0,0,0]>(x) }""",
                becomes="2 MaxPool, 3 Reshape",
            ),
            rewritten(
                "padded average",
                """(float[1,2,4,5,6] x) => (float[1,2,5,5,3] y)
                { y = AveragePool<kernel_shape=[2,3,2], strides=[1,1,2], pads=[1,1,0,1,1,0]>(x) }""",
                becomes="2 AveragePool, 3 Reshape",
            ),
            rewritten(
                "rounded up, dynamic batch",
                """(float[N,2,4,5,6] x) => (float[N,2,2,3,3] y)
                { y = MaxPool<kernel_shape=[3,2,2], strides=[2,2,2], pads=[0,0,0,0,0,0], ceil_mode=1>(x) }""",
                becomes="2 MaxPool, 3 Reshape",
            ),
            rewritten(
                "Lp",
                "(float[1,2,4,5,6] x) => (float[1,2,3,4,5] y) { y = LpPool<kernel_shape=[2,2,2], p=3>(x) }",
                becomes="2 LpPool, 3 Reshape",
            ),
            refused(
                "dynamic depth",
                "dimension 2 of 'x' is dynamic",
                """(float[2,2,D,5,6] x) => (float[2,2,E,5,6] y)
                { y = MaxPool<kernel_shape=[2,1,1], strides=[1,1,1], pads=[0,0,0,0,0,0]>(x) }""",
            ),
            unchanged(
                "one image",
                """(float[1,2,4,5,6] x) => (float[1,2,3,4,5] y)
                { y = MaxPool<kernel_shape=[2,2,2], strides=[1,1,1], pads=[0,0,0,0,0,0]>(x) }""",
            ),
        )


def _pooled(new: SubgraphBuilder, value: Value, windows: Sequence[Windows]) -> Value:
    """The node's pool over two axes; a pool of single elements is omitted, unless it takes their absolute values."""
    if new.node.node.op_type != "LpPool" and all(
        (each.kernel, each.stride, each.begin, each.end) == (1, 1, 0, 0) for each in windows
    ):
        return value
    (result,) = new.clone_node(
        value,
        outputs=1,
        auto_pad=None,
        dilations=None,
        kernel_shape=[each.kernel for each in windows],
        strides=[each.stride for each in windows],
        pads=[each.begin for each in windows] + [each.end for each in windows],
    )
    return result
