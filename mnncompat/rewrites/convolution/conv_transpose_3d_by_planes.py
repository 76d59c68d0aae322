"""3-D transposed convolutions as 2-D ones whose planes are added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts


class ConvTranspose3dByPlanes(NodeRewrite):
    """Transpose-convolve every plane, and add the results up along the depth.

    **What.** ConvTranspose of rank 5 with groups, or with a weight that is computed at run time.

    **Why.** MNN refuses the latter, and reads memory that was never written for the former.

    **Before and after**::

        y = ConvTranspose(x, w)                           x: (N, C, D, H, W), w: (C, M, d, h, w)
        p = ConvTranspose(Reshape(Transpose(x), (N*D, C, H, W)), Reshape(w, (C, M*d, h, w)))
        y = MatMul(S, Reshape(Transpose(p), (N, M, D*d, H'*W')))    as (N, M, D', H', W')

    **Algebra.** Element (i, j) of depth and kernel is added to ``i * stride + j * dilation - pad``: S (D', D*d) holds
    a 1 there. The weight lies in memory in the order (channel, depth) already.

    **Refuses** dynamic channels or spatial sizes, and ``auto_pad`` and ``output_shape``, which the remedy of their own
    row removes first.

    **Source.** https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
    """

    code = "MNN889"
    name = "conv-transpose-3d-by-planes"
    summary = "its planes are convolved in 2-D and added up along the depth"
    op_types = ("ConvTranspose",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the 2-D operator and the sum along the depth."""
        x, weight = new.input(0), new.input(1)
        if node.attribute("auto_pad") not in (None, "NOTSET", "VALID") or node.given("output_shape"):
            raise NotApplicable(f"auto_pad {node.attribute('auto_pad')}, output_shape {node.attribute('output_shape')}")
        _, inner, *kernel = weight.shape
        channels, *sizes = (x.dim(axis) for axis in (1, 2, 3, 4))
        out = inner * int(node.attribute("group") or 1)
        strides, dilations = (node.attribute(name) or [1, 1, 1] for name in ("strides", "dilations"))
        extra, pads = node.attribute("output_padding") or [0, 0, 0], node.attribute("pads") or [0] * 6
        counts = [
            strides[axis] * (sizes[axis] - 1)
            + extra[axis]
            + (kernel[axis] - 1) * dilations[axis]
            + 1
            - pads[axis]
            - pads[axis + 3]
            for axis in range(3)
        ]
        planes = new.reshape(new.transpose(x, [0, 2, 1, 3, 4]), [-1, channels, *sizes[1:]])
        constant, shape = weight.constant, [channels, inner * kernel[0], *kernel[1:]]
        flat = new.reshape(weight, shape) if constant is None else new.constant(constant.reshape(shape))
        (planes,) = new.clone_node(
            planes,
            flat,
            auto_pad=None,
            kernel_shape=kernel[1:],
            strides=strides[1:],
            dilations=dilations[1:],
            output_padding=extra[1:],
            pads=[*pads[1:3], *pads[4:]],
        )
        area = counts[1] * counts[2]
        parts = new.reshape(planes, [-1, sizes[0], out, kernel[0], area])
        parts = new.reshape(new.transpose(parts, [0, 2, 1, 3, 4]), [-1, out, sizes[0] * kernel[0], area])
        table = _additions(sizes[0], kernel[0], strides[0], dilations[0], pads[0], counts[0])
        result = new.constant(table.astype(x.element)) @ parts
        result = new.reshape(result, [-1, out, *counts])
        return result + new.reshape(new.input(2), [1, out, 1, 1, 1]) if new.has(2) else result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Groups, and everything at run time."""
        return (
            rewritten(
                "groups",
                """(float[2,4,3,3,4] x) => (float[2,6,5,6,5] y)
                { y = ConvTranspose<kernel_shape=[3,2,2], strides=[2,2,1], pads=[1,0,0,1,0,0], group=2>(x, w) }""",
                becomes="ConvTranspose, MatMul, 4 Reshape, 2 Transpose",
                w=(4, 3, 3, 2, 2),
            ),
            rewritten(
                "at run time",
                """(float[1,2,3,3,4] x, float[2,3,2,3,3] w, float[3] b) => (float[1,3,6,5,8] y)
                { y = ConvTranspose<kernel_shape=[2,3,3], strides=[2,1,2], dilations=[1,1,1],
                  output_padding=[0,0,1], pads=[0,0,1,0,0,1]>(x, w, b) }""",
                becomes="Add, ConvTranspose, MatMul, 6 Reshape, 2 Transpose",
            ),
            refused(
                "dynamic depth",
                "dimension 2 of 'x' is dynamic",
                """(float[1,2,D,3,4] x, float[2,3,2,3,3] w) => (float[1,3,E,5,6] y)
                { y = ConvTranspose<kernel_shape=[2,3,3]>(x, w) }""",
            ),
            unchanged(
                "constant",
                """(float[1,2,3,3,4] x) => (float[1,3,4,5,6] y)
                { y = ConvTranspose<kernel_shape=[2,3,3]>(x, w) }""",
                w=(2, 3, 2, 3, 3),
            ),
        )


def _additions(size: int, kernel: int, stride: int, dilation: int, begin: int, count: int) -> NDArray[np.float32]:
    """Which products of element and kernel each element of the result adds up: (count, size * kernel)."""
    places = (np.arange(size)[:, None] * stride + np.arange(kernel) * dilation - begin).reshape(-1)
    return np.asarray(np.arange(count)[:, None] == places, np.float32)
