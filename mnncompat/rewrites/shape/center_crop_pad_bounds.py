"""CenterCropPad as a Slice and a Pad."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.model.expand_function import ExpandFunction

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class CenterCropPadBounds(NodeRewrite):
    """Crop by Slice and pad by Pad.

    **What.** CenterCropPad.

    **Why.** MNN's converter registers no CenterCropPad.

    **Before and after**::

        y = CenterCropPad(x (10, 7), [4, 12])
        y = Pad(x[3:7], pads=[0, 2, 0, 3])

    **Algebra.** Half of the difference, rounded down, is cut off or added before.

    Where the shape or the size of an axis is not known, ONNX's function body computes the bounds at run time.

    **Refuses** opsets below 18, which have no such body.

    **Source.** https://onnx.ai/onnx/operators/onnx__CenterCropPad.html
    """

    code = "MNN866"
    name = "center-crop-pad-bounds"
    summary = "written as a Slice and a Pad"
    op_types = ("CenterCropPad",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value | list[Value | None]:
        """Emit the cropping, then the padding."""
        try:
            return _bounded(node, new)
        except NotApplicable:
            return ExpandFunction().build(node, new)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Odd and even differences, all axes and some."""
        return (
            rewritten(
                "crop and pad",
                "(float[10,7,8] x) => (float[10,4,13] y) { y = CenterCropPad(x, shape) }",
                becomes="Pad, Slice",
                shape=np.array([10, 4, 13]),
                opset=18,
            ),
            rewritten(
                "some axes",
                "(float[N,3,6,5] x) => (float[N,3,3,8] y) { y = CenterCropPad<axes=[-1,2]>(x, shape) }",
                becomes="Pad, Slice",
                shape=np.array([8, 3]),
                opset=18,
            ),
            rewritten(
                "dynamic",
                "(float[3,N] x) => (float[3,4] y) { y = CenterCropPad(x, shape) }",
                becomes="Add, Concat, Constant, 2 Div, Max, Pad, 2 Shape, Slice, 3 Sub",
                shape=np.array([3, 4]),
                opset=18,
            ),
            unchanged("Pad", "(float[3,4] x) => (float[3,6] y) { y = Pad(x, p) }", p=np.array([0, 1, 0, 1]), opset=18),
        )


def _bounded(node: NodeFacts, new: SubgraphBuilder) -> Value:
    value, targets = new.input(0), new.integers(1)
    axes = list(node.attribute("axes") or range(value.rank))
    if len(axes) != len(targets):
        raise NotApplicable(f"{len(targets)} sizes are given for {len(axes)} axes")
    sizes = {axis % value.rank: (value.dim(axis), target) for axis, target in zip(axes, targets, strict=True)}
    cropped = {axis: ((size - target) // 2, target) for axis, (size, target) in sizes.items() if target < size}
    if cropped:
        starts = [start for start, _ in cropped.values()]
        value = new.slice(value, starts, [start + size for start, size in cropped.values()], list(cropped))
    pads = np.zeros((2, value.rank), np.int64)
    for axis, (size, target) in sizes.items():
        if target > size:
            pads[:, axis] = (target - size) // 2, -(-(target - size) // 2)
    return new.pad(value, [int(each) for each in pads.reshape(-1)])
