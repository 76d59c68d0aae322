"""3-D convolutions over gathered planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.window_geometry import windows_of

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts


class Conv3dByPlanes(NodeRewrite):
    """Gather the planes of each window along the depth; with a weight at run time, use them as channels in 2-D.

    **What.** Conv of rank 5 whose weight is computed at run time, or that is dilated along the depth.

    **Why.** MNN refuses the former, and counts the windows of the latter as if they were dense.

    **Before and after**::

        y = Conv(x, w, dilations = [2, 1, 1])              x: (N, C, D, H, W), w: (M, C, d, h, w)
        g = Gather(x, planes, axis = 2)                    (N, C, D'*d, H, W)
        y = Conv(g, w, strides = [d, 1, 1])

    and, if w is computed at run time::

        p = Reshape(Transpose(Reshape(g, (N, C, D', d, H, W))), (N*D', C*d, H, W))
        y = Conv(p, Reshape(w, (M, C*d, h, w))), back to (N, M, D', H', W')

    **Algebra.** Gathered windows are adjacent and need no dilation. The sum over channels, depth, height and width is
    the same sum with (channel, depth) as one index; the weight lies in memory in that order already, and groups stay
    whole.

    **Refuses** dynamic channels or spatial sizes.

    **Why this form.** Measured with MNN 3.6.1 on x86-64, one thread, kernel 3x3x3, dilated depth: 16 channels of
    16x56x56 take 7.5 ms as the first and 15 ms as the second form.

    **Source.** https://onnx.ai/onnx/operators/onnx__Conv.html
    """

    code = "MNN888"
    name = "conv-3d-by-planes"
    summary = "the planes of its windows are gathered"
    op_types = ("Conv",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the Gather, the convolution, and the transposes around it."""
        x, weight = new.input(0), new.input(1)
        out, inner, *kernel = weight.shape
        channels, *sizes = (x.dim(axis) for axis in (1, 2, 3, 4))
        windows = windows_of(node, kernel, sizes)
        if windows is None or any(not each.count for each in windows):
            raise NotApplicable(f"no windows of {kernel} in {sizes}")
        depth, rows, columns = windows
        counts = [each.count or 0 for each in windows]
        planes = new.pad(x, [0, 0, depth.begin, 0, 0, 0, 0, depth.end, 0, 0])
        planes = new.op("Gather", planes, new.constant(depth.positions().reshape(-1)), axis=2)
        bias = new.input(2) if new.has(2) else None
        if weight.constant is not None:
            return new.clone_node(
                planes,
                weight,
                bias,
                auto_pad=None,
                kernel_shape=kernel,
                strides=[kernel[0], rows.stride, columns.stride],
                dilations=[1, rows.dilation, columns.dilation],
                pads=[0, rows.begin, columns.begin, 0, rows.end, columns.end],
            )[0]
        planes = new.reshape(planes, [-1, channels, counts[0], kernel[0], *sizes[1:]])
        planes = new.transpose(planes, [0, 2, 1, 3, 4, 5])
        planes = new.reshape(planes, [-1, channels * kernel[0], *sizes[1:]])
        (result,) = new.clone_node(
            planes,
            new.reshape(weight, [out, inner * kernel[0], *kernel[1:]]),
            bias,
            auto_pad=None,
            kernel_shape=kernel[1:],
            strides=[rows.stride, columns.stride],
            dilations=[rows.dilation, columns.dilation],
            pads=[rows.begin, columns.begin, rows.end, columns.end],
        )
        result = new.reshape(result, [-1, counts[0], out, *counts[1:]])
        return new.transpose(result, [0, 2, 1, 3, 4])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Dilations, groups, weights and bias at run time."""
        return (
            rewritten(
                "dilated",
                """(float[2,4,6,5,6] x) => (float[2,6,3,5,4] y)
                { y = Conv<kernel_shape=[3,3,3], dilations=[2,1,1], pads=[1,1,0,0,1,0], group=2>(x, w, b) }""",
                becomes="Conv, Gather, Pad",
                w=(6, 2, 3, 3, 3),
                b=(6,),
            ),
            rewritten(
                "at run time",
                """(float[1,2,4,5,6] x, float[3,2,2,3,3] w, float[3] b) => (float[1,3,2,3,6] y)
                { y = Conv<kernel_shape=[2,3,3], strides=[2,2,1], auto_pad="SAME_LOWER">(x, w, b) }""",
                becomes="Conv, Gather, 4 Reshape, 2 Transpose",
            ),
            rewritten(
                "dynamic batch",
                """(float[N,2,4,5,6] x) => (float[N,3,2,4,5] y)
                { y = Conv<kernel_shape=[2,2,2], dilations=[2,1,1]>(x, w) }""",
                becomes="Conv, Gather",
                w=(3, 2, 2, 2, 2),
            ),
            refused(
                "dynamic width",
                "dimension 4 of 'x' is dynamic",
                """(float[1,2,4,5,W] x, float[3,2,2,3,3] w) => (float[1,3,3,3,V] y)
                { y = Conv<kernel_shape=[2,3,3]>(x, w) }""",
            ),
            unchanged(
                "dilated planes",
                """(float[1,2,4,5,6] x) => (float[1,3,3,3,4] y)
                { y = Conv<kernel_shape=[2,2,2], dilations=[1,2,2]>(x, w) }""",
                w=(3, 2, 2, 2, 2),
            ),
        )
