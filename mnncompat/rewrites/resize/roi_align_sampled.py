"""RoiAlign by Gather, weights and a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_REGIONS, _BATCHES = 1, 2


class RoiAlignSampled(NodeRewrite):
    """Gather the four elements around each sample, weight them, and pool the bins.

    **What.** RoiAlign with a stated ``sampling_ratio`` r, of mode max, or below opset 16.

    **Why.** MNN computes the maximum of the interpolated samples, ONNX that of their weighted elements. MNN subtracts
    half an element from each region, which is the default since opset 16; before, there was no such offset.

    **Before and after**, for R regions and bins of H' by W'::

        y = RoiAlign(x, rois, batches)                                     x: (N, C, H, W)
        e = Gather(Reshape(Transpose(x), (N*H*W, C)), places)              places: (R, H'*r*2, W'*r*2)
        y = MaxPool(Transpose(e * weights), kernel_shape = [2*r, 2*r], strides = [2*r, 2*r])

    **Algebra.** The operator's definition; the two elements along an axis stand side by side, and a bin is a window. An
    average over the 4 * r * r elements of a bin is a fourth of the sum of each sample's: weights are doubled by axis.

    **Refuses** ``sampling_ratio`` 0, where the number of samples depends on the regions, and dynamic image sizes.

    **Why this form.** A GridSample would need an image for each region.

    **Source.** https://onnx.ai/onnx/operators/onnx__RoiAlign.html
    """

    code = "MNN899"
    name = "roi-align-sampled"
    summary = "its elements are gathered and weighted"
    op_types = ("RoiAlign",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit positions and weights, the Gather and the pool."""
        ratio = int(node.attribute("sampling_ratio") or 0)
        if not ratio:
            raise NotApplicable("sampling_ratio 0: the number of samples depends on the regions")
        x = new.input(0)
        channels, height, width = (x.dim(axis) for axis in (1, 2, 3))
        bins = [int(node.attribute(name)) * ratio for name in ("output_width", "output_height")]
        corners = new.split(new.input(_REGIONS) * float(node.attribute("spatial_scale")), [1, 1, 1, 1], 1)
        (columns, across), (rows, down) = (
            _elements(node, new, corners[axis], corners[axis + 2], bins[axis], (width, height)[axis]) for axis in (0, 1)
        )
        images = new.reshape(new.cast(new.input(_BATCHES), TensorProto.INT64) * (height * width), [-1, 1, 1])
        places = images + new.unsqueeze(rows, [2]) * width + new.unsqueeze(columns, [1])
        flat = new.reshape(new.transpose(x, [0, 2, 3, 1]), [-1, channels])
        read = new.op("Gather", flat, places, axis=0)
        weighed = read * new.unsqueeze(down, [2, 3]) * new.unsqueeze(across, [1, 3])
        pool = "MaxPool" if node.attribute("mode") == "max" else "AveragePool"
        window = [2 * ratio, 2 * ratio]
        return new.op(pool, new.transpose(weighed, [0, 3, 1, 2]), kernel_shape=window, strides=window)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both coordinate modes."""
        return (
            *_coordinate_modes(),
            refused(
                "adaptive",
                "sampling_ratio 0",
                f"{_HEAD} {{ y = RoiAlign<{_POOLED}>(x, r, b) }}",
                opset=16,
                **_regions(),
            ),
            unchanged(
                "average",
                f"{_HEAD} {{ y = RoiAlign<output_height=2, output_width=3, sampling_ratio=2>(x, r, b) }}",
                opset=16,
                **_regions(),
            ),
        )


# Parts of the examples.
_HEAD = "(float[2,3,7,8] x) => (float[3,3,2,3] y)"
_POOLED = 'mode="max", output_height=2, output_width=3'


def _regions() -> dict[str, NDArray[Any]]:
    """Three regions of two images."""
    regions = np.array([[0.5, 1.0, 6.0, 5.5], [2.0, 0.0, 3.5, 7.0], [4.0, 4.0, 12.0, 4.2]], np.float32)
    return {"r": regions, "b": np.array([0, 1, 1], np.int64)}


def _coordinate_modes() -> tuple[Example, ...]:
    """Both coordinate modes."""
    return (
        rewritten(
            "half pixel",
            f"{_HEAD} {{ y = RoiAlign<{_POOLED}, sampling_ratio=2, spatial_scale=0.7>(x, r, b) }}",
            becomes="""6 Add, 4 Cast, 4 Clip, 4 Concat, 2 Floor, Gather, 4 Greater, MaxPool, 11 Mul, 2 Neg, 2 Or,
            6 Reshape, Split, 10 Sub, 2 Transpose, 12 Unsqueeze""",
            opset=16,
            **_regions(),
        ),
        rewritten(
            "whole pixels",
            f"""{_HEAD} {{ y = RoiAlign<{_POOLED}, sampling_ratio=1,
            coordinate_transformation_mode="output_half_pixel">(x, r, b) }}""",
            becomes="""6 Add, 4 Cast, 4 Clip, 4 Concat, 2 Floor, Gather, 4 Greater, 2 Max, MaxPool, 11 Mul, 2 Neg,
            2 Or, 6 Reshape, Split, 8 Sub, 2 Transpose, 12 Unsqueeze""",
            opset=22,
            **_regions(),
        ),
        rewritten(
            "average, opset 11",
            """(float[2,3,7,8] x, float[3,4] p) => (float[3,3,2,3] y) { q = Mul(p, k) s = Add(q, r)
            y = RoiAlign<output_height=2, output_width=3, sampling_ratio=2, spatial_scale=0.5>(x, s, b) }""",
            becomes="""7 Add, AveragePool, 4 Cast, 4 Clip, 4 Concat, 2 Floor, Gather, 4 Greater, 2 Max, 14 Mul, 2 Neg,
            2 Or, 6 Reshape, Split, 8 Sub, 2 Transpose, 12 Unsqueeze""",
            opset=11,
            **_regions(),
            k=np.asarray(0.125, np.float32),
        ),
    )


def _elements(
    node: NodeFacts, new: SubgraphBuilder, low: Value, high: Value, count: int, size: int
) -> tuple[Value, Value]:
    """The two elements around each sample along one axis, and their weights: (regions, 2 * count) each."""
    shifts = node.opset >= 16 and node.attribute("coordinate_transformation_mode") == "half_pixel"  # noqa: PLR2004
    length = high - low if shifts else new.op("Max", high - low, 1.0)
    low = low - 0.5 if shifts else low
    steps = ((np.arange(count) + 0.5) / count).astype(low.element).reshape(1, -1)
    places = low + length * steps
    outside = new.op("Or", new.op("Greater", -places, 1.0), new.op("Greater", places, float(size)))
    inside = 1 - new.cast(outside, places.dtype)
    inside = inside if node.attribute("mode") == "max" else inside * 2
    places = new.clip(places, 0.0, float(size - 1))
    first = new.op("Floor", places)
    share = places - first
    pairs = (first, new.clip(first + 1, 0.0, float(size - 1))), ((1 - share) * inside, share * inside)
    both = [new.concat([new.unsqueeze(each, [2]) for each in pair], 2) for pair in pairs]
    elements, weights = (new.reshape(each, [0, -1]) for each in both)
    return new.cast(elements, TensorProto.INT64), weights
