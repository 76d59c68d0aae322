"""Deformable convolutions as GridSample and a 1x1 convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.resize.grid_positions import shares_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_OFFSET, _BIAS, _MASK = 2, 3, 4


class DeformConvSampled(NodeRewrite):
    """Sample the value that each element of the kernel reads, and weight the samples by a 1x1 convolution.

    **What.** DeformConv on images of two axes.

    **Why.** MNN's converter does not know the operator.

    **Before and after**, for a kernel of k elements, P positions and g offset groups::

        y = DeformConv(x, w, offset, b, mask)                    offset: (N, g*k*2, H', W'), w: (M, C/group, h, w)
        places = offset + position of each kernel element        (N*g, k, P, 2), in elements
        s = GridSample(Reshape(x, (N*g, C/g, H, W)), places) * mask
        y = Conv(Reshape(s, (N, C*k, H', W')), Reshape(w, (M, C/group*k, 1, 1)), b)

    **Algebra.** Both interpolate linearly and read zeros outside. The sum over channels and kernel elements is that of
    the 1x1 convolution; the weight lies in memory in that order.

    **Refuses** opsets without GridSample (below 16), dynamic channels or image sizes, and images of three axes.

    **Why this form.** One GridSample for all elements of the kernel, and one convolution over what it samples.

    **Source.** https://onnx.ai/onnx/operators/onnx__DeformConv.html
    """

    code = "MNN891"
    name = "deform-conv-sampled"
    summary = "its elements are sampled, then weighted by a 1x1 convolution"
    op_types = ("DeformConv",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the positions, the GridSample and the convolution."""
        x, weight, offset = new.input(0), new.input(1), new.input(_OFFSET)
        if x.rank != len("NCHW"):
            raise NotApplicable(f"rank {x.rank}")
        channels, sizes = x.dim(1), [x.dim(2), x.dim(3)]
        out, inner, *kernel = weight.shape
        counts, groups = [offset.dim(2), offset.dim(3)], int(node.attribute("offset_group") or 1)
        elements = kernel[0] * kernel[1]
        pairs = new.reshape(offset, [-1, elements, 2, counts[0] * counts[1]])
        down, across = new.split(pairs, [1, 1], 2)
        moved = new.transpose(new.concat([across, down], 2), [0, 1, 3, 2])
        places = moved + _positions(node, kernel, counts).astype(offset.element)
        grid = new.reshape(shares_of(places, sizes[::-1], corners=False), [-1, elements * counts[0], counts[1], 2])
        image = x if groups == 1 else new.reshape(x, [-1, channels // groups, *sizes])
        linear = "bilinear" if new.opset < 20 else "linear"  # noqa: PLR2004 - since when it is called so
        read = new.op("GridSample", image, grid, mode=linear, padding_mode="zeros", align_corners=0)
        if new.has(_MASK):
            read = read * new.reshape(new.input(_MASK), [-1, 1, elements * counts[0], counts[1]])
        constant, shape = weight.constant, [out, inner * elements, 1, 1]
        flat = new.reshape(weight, shape) if constant is None else new.constant(constant.reshape(shape))
        return new.op(
            "Conv",
            new.reshape(read, [-1, channels * elements, *counts]),
            flat,
            new.input(_BIAS) if new.has(_BIAS) else None,
            group=int(node.attribute("group") or 1),
            kernel_shape=[1, 1],
            strides=[1, 1],
            pads=[0, 0, 0, 0],
        )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Masks, groups, everything at run time."""
        return (
            rewritten(
                "plain",
                """(float[1,2,5,6] x, float[1,18,3,4] o) => (float[1,3,3,4] y)
                { y = DeformConv<kernel_shape=[3,3]>(x, w, o) }""",
                becomes="2 Add, Concat, Conv, GridSample, Mul, 3 Reshape, Split, Transpose",
                opset=19,
                w=(3, 2, 3, 3),
            ),
            rewritten(
                "groups, mask, bias",
                """(float[2,4,5,6] x, float[6,2,3,2] w, float[2,24,3,7] o, float[6] b, float[2,12,3,7] m) =>
                (float[2,6,3,7] y)
                { y = DeformConv<kernel_shape=[3,2], offset_group=2, group=2, strides=[2,1], pads=[1,1,1,1],
                  dilations=[1,1]>(x, w, o, b, m) }""",
                becomes="2 Add, Concat, Conv, GridSample, 2 Mul, 6 Reshape, Split, Transpose",
                opset=22,
            ),
            refused(
                "dynamic image",
                "dynamic",
                """(float[1,2,H,6] x, float[1,18,G,4] o) => (float[1,3,G,4] y)
                { y = DeformConv<kernel_shape=[3,3]>(x, w, o) }""",
                opset=19,
                w=(3, 2, 3, 3),
            ),
            unchanged(
                "plain convolution",
                "(float[1,2,5,6] x) => (float[1,3,3,4] y) { y = Conv<kernel_shape=[3,3]>(x, w) }",
                opset=19,
                w=(3, 2, 3, 3),
            ),
        )


def _positions(node: NodeFacts, kernel: Sequence[int], counts: Sequence[int]) -> NDArray[np.float64]:
    """Where each element of the kernel lies without offset: (1, kernel elements, positions, 2), x before y."""
    strides, dilations = (node.attribute(name) or [1, 1] for name in ("strides", "dilations"))
    pads = node.attribute("pads") or [0, 0, 0, 0]
    rows, columns = (
        np.arange(counts[axis]) * strides[axis] - pads[axis] + np.arange(kernel[axis])[:, None] * dilations[axis]
        for axis in (0, 1)
    )
    shape = (kernel[0], kernel[1], counts[0], counts[1])
    across = np.broadcast_to(columns[None, :, None, :], shape)
    down = np.broadcast_to(rows[:, None, :, None], shape)
    return np.stack([across, down], axis=-1).reshape(1, kernel[0] * kernel[1], counts[0] * counts[1], 2).astype(float)
