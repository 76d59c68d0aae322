"""Nearest GridSample whose positions are rounded beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.resize.grid_positions import elements_of, shares_of, to_even

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_HALVES = (np.arange(24, dtype=np.float32).reshape(1, 3, 4, 2) - 12) / 8


class GridSampleNearest(NodeRewrite):
    """Round the positions of a nearest GridSample to elements, halves to the even one.

    **What.** GridSample of mode nearest.

    **Why.** MNN rounds halves up; regular grids, of resizes and of affine maps by quarters, meet many halves.

    **Before and after**::

        y = GridSample(x, grid, mode = nearest)
        p = ((grid + 1) * (W, H) - 1) / 2
        r = Floor(p + 1/2) + Ceil(p/2 - 1/4) - Floor(p/2 - 1/4) - 1
        y = GridSample(x, (2 * r + 1) / (W, H) - 1, mode = nearest)

    **Algebra.** r is p rounded, halves to the even neighbour. At the middle of an element the nearest element is
    unambiguous.

    **Refuses** dynamic image sizes, and ``align_corners`` with a size of 1.

    **Why this form.** A dozen operations on the grid, none on the image: MNN's own operator stays.

    **Source.** https://onnx.ai/onnx/operators/onnx__GridSample.html
    """

    code = "MNN896"
    name = "grid-sample-nearest"
    summary = "its positions are rounded beforehand, halves to the even neighbour"
    op_types = ("GridSample",)
    before = (("grid-sample-reflection", "positions are rounded before they are reflected, as ONNX Runtime does"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the rounding and the operator."""
        x, grid = new.input(0), new.input(1)
        sizes = [x.dim(axis) for axis in range(2, x.rank)][::-1]
        corners = bool(node.attribute("align_corners"))
        if corners and 1 in sizes:
            raise NotApplicable(f"align_corners has no meaning for a size of 1: {sizes[::-1]}")
        places = to_even(elements_of(grid, sizes, corners=corners), new)
        return new.clone_node(x, shares_of(places, sizes, corners=corners))[0]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """2-D and 3-D, every padding."""
        return (
            *_paddings(),
            refused(
                "dynamic image",
                "dynamic",
                """(float[1,2,H,4] x, float[1,3,4,2] g) => (float[1,2,3,4] y)
                { y = GridSample<mode="nearest">(x, g) }""",
                opset=16,
            ),
            unchanged(
                "no halves",
                """(float[1,2,4,4] x) => (float[1,2,3,4] y) { y = GridSample<mode="nearest">(x, g) }""",
                opset=16,
                g=_HALVES + np.float32(0.01),
            ),
            unchanged(
                "bilinear",
                """(float[1,2,4,4] x) => (float[1,2,3,4] y) { y = GridSample<mode="bilinear">(x, g) }""",
                opset=16,
                g=_HALVES,
            ),
        )


def _paddings() -> tuple[Example, ...]:
    """2-D and 3-D, every padding."""
    return (
        rewritten(
            "zeros",
            """(float[1,2,4,4] x) => (float[1,2,3,4] y) { y = GridSample<mode="nearest">(x, g) }""",
            becomes="4 Add, Ceil, 2 Floor, GridSample, 4 Mul, 4 Sub",
            opset=16,
            g=_HALVES,
        ),
        rewritten(
            "border, corners",
            """(float[1,2,5,5] x) => (float[1,2,3,4] y)
            { y = GridSample<mode="nearest", align_corners=1, padding_mode="border">(x, g) }""",
            becomes="4 Add, Ceil, 2 Floor, GridSample, 4 Mul, 3 Sub",
            opset=16,
            g=_HALVES,
        ),
        rewritten(
            "reflection, 3-D, grid at run time",
            """(float[2,2,3,4,5] x, float[2,2,3,4,3] g) => (float[2,2,2,3,4] y)
            { y = GridSample<mode="nearest", padding_mode="reflection">(x, g) }""",
            becomes="4 Add, Ceil, 2 Floor, GridSample, 4 Mul, 4 Sub",
            opset=20,
        ),
    )
