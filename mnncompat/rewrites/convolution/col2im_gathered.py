"""Col2Im as a sum of gathered columns."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnncompat.support.node_facts import NodeFacts


class Col2ImGathered(NodeRewrite):
    """Gather the elements of the columns that contribute to each element of the image, and sum them.

    **What.** Col2Im (``fold``) with constant image and block shapes, of any number of axes.

    **Why.** MNN's converter registers no Col2Im.

    **Before and after**, for columns (N, C * K, L)::

        y = Col2Im(x, image, block)
        y = Reshape(ReduceSum(Reshape(Gather(Concat(Reshape(x, (N, C, K * L)), 0), places), (N, C, P, M)), -1), image)

    ``places`` lists, for each of the P elements of the image, the up to M elements that contribute to it; the zero
    fills the rest.

    **Algebra.** Col2Im is the sum of the columns, each written where it was taken from.

    **Why this form.** A ConvTranspose with weights of 0 and 1 takes as long or longer: 7 ms instead of 1.5 for 16
    channels of 32 x 32 and blocks of 3 x 3, 22 ms instead of 11 for 64 channels of 56 x 56.

    **Refuses** shapes that are computed at run time, and columns whose channels are dynamic.

    **Source.** https://onnx.ai/onnx/operators/onnx__Col2Im.html
    """

    code = "MNN867"
    name = "col2im-gathered"
    summary = "what falls on each place is gathered and summed"
    op_types = ("Col2Im",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the gathering and the sum."""
        columns, image, block = new.input(0), new.integers(1), new.integers(2)
        axes = len(image)
        dilations = node.attribute("dilations") or [1] * axes
        strides = node.attribute("strides") or [1] * axes
        pads = node.attribute("pads") or [0] * 2 * axes
        channels = columns.dim(1) // prod(block)
        targets = _targets(image, block, dilations, strides, pads)
        places, full = _places(targets, prod(image))
        flat = new.reshape(columns, [0, channels, targets.size])
        if not full:
            flat = new.pad(flat, [0, 0, 0, 0, 0, 1])
        if places.shape[1] == 1:
            return new.reshape(new.op("Gather", flat, places.reshape(-1), axis=2), [0, channels, *image])
        found = new.reshape(new.op("Gather", flat, places.reshape(-1), axis=2), [0, channels, *places.shape])
        return new.reshape(new.reduce("ReduceSum", found, [-1], keepdims=False), [0, channels, *image])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Blocks side by side, with overlap, strides, pads and dilations, of two axes and three."""
        return (
            rewritten(
                "side by side",
                "(float[N,12,4] x) => (float[N,3,4,4] y) { y = Col2Im<strides=[2,2]>(x, image, block) }",
                becomes="Gather, 2 Reshape",
                image=np.array([4, 4]),
                block=np.array([2, 2]),
                opset=18,
            ),
            rewritten(
                "overlapping",
                """(float[2,18,9] x) => (float[2,2,5,6] y) {
                y = Col2Im<strides=[2,1], pads=[1,0,1,1], dilations=[1,2]>(x, image, block) }""",
                becomes="Gather, Pad, ReduceSum, 3 Reshape",
                image=np.array([5, 6]),
                block=np.array([3, 3]),
                opset=18,
            ),
            rewritten(
                "three axes",
                "(float[1,8,12] x) => (float[1,1,3,3,4] y) { y = Col2Im(x, image, block) }",
                becomes="Gather, Pad, ReduceSum, 3 Reshape",
                image=np.array([3, 3, 4]),
                block=np.array([2, 2, 2]),
                opset=18,
            ),
            refused(
                "a computed image shape",
                "input 1 'image' is computed at run time",
                "(float[1,4,9] x, int64[2] image) => (float[1,1,A,B] y) { y = Col2Im(x, image, block) }",
                block=np.array([2, 2]),
                opset=18,
            ),
        )


def _targets(
    image: Sequence[int], block: Sequence[int], dilations: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> NDArray[np.int64]:
    """Position in the flat image of each element of the columns, (prod(block), blocks); -1 outside."""
    axes = len(image)
    reach = [dilation * (extent - 1) + 1 for dilation, extent in zip(dilations, block, strict=True)]
    counts = [(image[axis] + pads[axis] + pads[axis + axes] - reach[axis]) // strides[axis] + 1 for axis in range(axes)]
    corners = np.array(list(product(*map(range, counts)))) * strides - np.asarray(pads[:axes])
    offsets = np.array(list(product(*map(range, block)))) * dilations
    positions = offsets[:, None] + corners
    inside = ((positions >= 0) & (positions < image)).all(-1)
    flat = np.ravel_multi_index(tuple(np.moveaxis(np.where(inside[..., None], positions, 0), -1, 0)), image)
    return np.where(inside, flat, -1)


def _places(targets: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], bool]:
    """The elements that contribute to each element of the image, (size, most), and whether their number is constant.

    Missing ones point after the last element.
    """
    flat = targets.reshape(-1)
    order = np.argsort(flat, kind="stable")[(flat < 0).sum() :]
    counts = np.bincount(flat[order], minlength=size)
    places = np.full((size, max(int(counts.max()), 1)), flat.size)
    ranks = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    places[flat[order], ranks] = order
    return places, bool((counts == places.shape[1]).all())
