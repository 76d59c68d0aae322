"""RoiAlign of mode max by nearest GridSample and MaxPool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.grid_positions import shares_of
from mnncompat.rewrites.node import NodeRewrite
from mnncompat.rewrites.sketch import NotApplicable, Sketch, Value

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts
    from mnncompat.rewrites.base import Example

_REGIONS, _BATCHES = 1, 2


class RoiAlignWeightedMax(NodeRewrite):
    """Weigh the four elements around each sample, and take the largest of all in a bin.

    **What.** RoiAlign of mode max with a stated ``sampling_ratio`` r.

    **Why.** MNN takes the largest of the interpolated samples; ONNX the largest of their weighted elements.

    **Before and after**, for R regions and bins of H' by W'::

        y = RoiAlign(x, rois, batches, mode = max)
        e = GridSample(Gather(x, batches), rows and columns of the elements, mode = nearest)   (R, C, H'*r*2, W'*r*2)
        y = MaxPool(e * weights, kernel_shape = [2*r, 2*r], strides = [2*r, 2*r])

    **Algebra.** The operator's definition; the two elements along an axis stand side by side, and a bin is a window.

    **Refuses** ``sampling_ratio`` 0 (the number of samples depends on the regions), opsets below 16, which have no
    GridSample, and dynamic image sizes.

    **Source.** https://onnx.ai/onnx/operators/onnx__RoiAlign.html
    """

    code = "MNN899"
    name = "roi-align-weighted-max"
    summary = "its elements are read and weighed one by one"
    op_types = ("RoiAlign",)

    def build(self, node: NodeFacts, new: Sketch) -> Value:
        """Draw rows, columns and weights, the GridSample and the MaxPool."""
        ratio = int(node.attribute("sampling_ratio") or 0)
        if not ratio or node.attribute("mode") != "max":
            raise NotApplicable(f"sampling_ratio {ratio}, mode {node.attribute('mode')}")
        x = new.input(0)
        sizes = [x.dim(3), x.dim(2)]
        bins = [int(node.attribute(name)) * ratio for name in ("output_width", "output_height")]
        corners = new.split(new.input(_REGIONS) * float(node.attribute("spatial_scale")), [1, 1, 1, 1], 1)
        axes = [_elements(node, new, corners[axis], corners[axis + 2], bins[axis], sizes[axis]) for axis in (0, 1)]
        (columns, across), (rows, down) = axes
        zeros = [
            new.constant(np.zeros((1, 2 * bins[1], 1), x.element)),
            new.constant(np.zeros((1, 1, 2 * bins[0]), x.element)),
        ]
        columns, rows = new.unsqueeze(columns, [1]) + zeros[0], new.unsqueeze(rows, [2]) + zeros[1]
        grid = new.concat([new.unsqueeze(columns, [3]), new.unsqueeze(rows, [3])], 3)
        images = new.op("Gather", x, new.input(_BATCHES), axis=0)
        shares = shares_of(grid, sizes, corners=False)
        read = new.op("GridSample", images, shares, mode="nearest", padding_mode="border", align_corners=0)
        weighed = read * new.unsqueeze(down, [1, 3]) * new.unsqueeze(across, [1, 2])
        window = [2 * ratio, 2 * ratio]
        return new.op("MaxPool", weighed, kernel_shape=window, strides=window)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both coordinate modes."""
        regions = np.array([[0.5, 1.0, 6.0, 5.5], [2.0, 0.0, 3.5, 7.0], [4.0, 4.0, 12.0, 4.2]], np.float32)
        head = "(float[2,3,7,8] x) => (float[3,3,2,3] y)"
        sizes = 'mode="max", output_height=2, output_width=3'
        batches = np.array([0, 1, 1], np.int64)
        return (
            taken(
                "half pixel",
                f"{head} {{ y = RoiAlign<{sizes}, sampling_ratio=2, spatial_scale=0.7>(x, r, b) }}",
                opset=16,
                r=regions,
                b=batches,
            ),
            taken(
                "whole pixels",
                f"""{head} {{ y = RoiAlign<{sizes}, sampling_ratio=1,
                coordinate_transformation_mode="output_half_pixel">(x, r, b) }}""",
                opset=22,
                r=regions,
                b=batches,
            ),
            left(
                "adaptive",
                "sampling_ratio 0",
                f"{head} {{ y = RoiAlign<{sizes}>(x, r, b) }}",
                opset=16,
                r=regions,
                b=batches,
            ),
            left(
                "average",
                "",
                f"{head} {{ y = RoiAlign<output_height=2, output_width=3, sampling_ratio=2>(x, r, b) }}",
                opset=16,
                r=regions,
                b=batches,
            ),
        )


def _elements(node: NodeFacts, new: Sketch, low: Value, high: Value, count: int, size: int) -> tuple[Value, Value]:
    """The two elements around each sample along one axis, and their weights: (regions, 2 * count) each."""
    whole = node.attribute("coordinate_transformation_mode") == "output_half_pixel"
    length = high - low
    length = new.op("Max", length, 1.0) if whole else length
    low = low if whole else low - 0.5
    steps = ((np.arange(count) + 0.5) / count).astype(low.element).reshape(1, -1)
    places = low + length * steps
    inside = 1 - new.cast(
        new.op("Or", new.op("Greater", -places, 1.0), new.op("Greater", places, float(size))), places.dtype
    )
    places = new.op("Min", new.op("Max", places, 0.0), float(size - 1))
    first = new.op("Floor", places)
    share = places - first
    second = new.op("Min", first + 1, float(size - 1))
    both = [
        new.concat([new.unsqueeze(a, [2]), new.unsqueeze(b, [2])], 2)
        for a, b in ((first, second), ((1 - share) * inside, share * inside))
    ]
    return new.reshape(both[0], [0, -1]), new.reshape(both[1], [0, -1])
