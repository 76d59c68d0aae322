"""Bicubic GridSample as a weighted sum of sixteen nearest ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.resize.grid_positions import elements_of, reflected, shares_of

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_A = -0.75
_AROUND = np.arange(-1, 3)
_FAR = (np.arange(24, dtype=np.float32).reshape(1, 3, 4, 2) - 11.3) / 8


class GridSampleCubic(NodeRewrite):
    """Read the sixteen elements around each position, and sum them with weights.

    **What.** GridSample of mode cubic (bicubic before opset 20) on images of two axes.

    **Why.** MNN runs it as bilinear.

    **Before and after**::

        y = GridSample(x, grid, mode = cubic)                    grid: (N, H', W', 2)
        taps = GridSample(x, places, mode = nearest)             places: (N, 16, H'*W', 2), in the middle of elements
        y = ReduceSum(taps * weights, axis = 2)                  weights: (N, 1, 16, H'*W')

    **Algebra.** For p elements from the left, f = Floor(p) and t = p - f, Keys' kernel with a = -0.75 gives the weights
    of f - 1, f, f + 1 and f + 2; along both axes their products. Padding applies to each tap, as in ONNX Runtime
    and PyTorch (ONNX's reference puts positions outside of the image on its border first).

    With ``align_corners`` every position along an axis of size 1 is its only element; the axis is doubled, and read at
    its beginning.

    **Refuses** dynamic sizes.

    **Why this form.** MNN's own operator reads all taps in one call; Gathers would copy the image once for each tap.

    **Source.** https://onnx.ai/onnx/operators/onnx__GridSample.html
    """

    code = "MNN898"
    name = "grid-sample-cubic"
    summary = "sixteen elements are read around each position, and summed with weights"
    op_types = ("GridSample",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the taps, their weights and the sum."""
        x, grid = new.input(0), new.input(1)
        if x.rank != len("NCHW"):
            raise NotApplicable(f"rank {x.rank}")
        sizes = [x.dim(3), x.dim(2)]
        rows, columns = grid.dim(1), grid.dim(2)
        corners, padding = bool(node.attribute("align_corners")), str(node.attribute("padding_mode"))
        flat = new.reshape(grid, [0, -1, 2])
        if corners and 1 in sizes:
            x, flat, sizes = _doubled(new, x, flat, sizes)
        places = elements_of(reflected(flat, new) if padding == "reflection" else flat, sizes, corners=corners)
        base = new.op("Floor", places)
        weights = [new.unsqueeze(each, [1]) for each in _weights(places - base)]
        across, down = (new.concat([_part(new, each, axis) for each in weights], 1) for axis in (0, 1))
        share = new.unsqueeze(across, [1]) * new.unsqueeze(down, [2])
        taps = new.reshape(base, [0, 1, -1, 2]) + _offsets(x)
        shares = shares_of(taps, sizes, corners=corners)
        shares = reflected(shares, new) if padding == "reflection" else shares
        read = new.clone_node(x, shares, mode="nearest", padding_mode="zeros" if padding == "zeros" else "border")[0]
        weighed = read * new.reshape(share, [0, 1, 16, -1])
        return new.reshape(new.reduce("ReduceSum", weighed, [2], keepdims=False), [0, 0, rows, columns])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Every padding, both alignments."""
        return (
            *_paddings(),
            refused(
                "dynamic image",
                "dynamic",
                """(float[1,2,H,6] x) => (float[1,2,3,4] y) { y = GridSample<mode="bicubic">(x, g) }""",
                opset=16,
                g=_FAR,
            ),
            unchanged(
                "bilinear",
                """(float[1,2,5,6] x) => (float[1,2,3,4] y) { y = GridSample<mode="bilinear">(x, g) }""",
                opset=16,
                g=_FAR,
            ),
        )


def _paddings() -> tuple[Example, ...]:
    """Every padding, both alignments."""
    return (
        rewritten(
            "zeros",
            """(float[1,2,5,6] x) => (float[1,2,3,4] y) { y = GridSample<mode="bicubic">(x, g) }""",
            becomes="8 Add, 2 Concat, Floor, 8 Gather, GridSample, 17 Mul, ReduceSum, 4 Reshape, 10 Sub, 6 Unsqueeze",
            opset=16,
            g=_FAR,
        ),
        rewritten(
            "border, at run time",
            """(float[2,2,5,6] x, float[2,3,4,2] g) => (float[2,2,3,4] y)
            { y = GridSample<mode="cubic", padding_mode="border">(x, g) }""",
            becomes="8 Add, 2 Concat, Floor, 8 Gather, GridSample, 17 Mul, ReduceSum, 4 Reshape, 10 Sub, 6 Unsqueeze",
            opset=20,
        ),
        rewritten(
            "corners, height 1",
            """(float[1,2,1,6] x) => (float[1,2,3,4] y)
            { y = GridSample<mode="cubic", align_corners=1>(x, g) }""",
            becomes="""9 Add, 3 Concat, Floor, 8 Gather, GridSample, 18 Mul, ReduceSum, 4 Reshape, 9 Sub,
            6 Unsqueeze""",
            opset=22,
            g=_FAR,
        ),
        rewritten(
            "reflection, corners",
            """(float[1,2,5,6] x) => (float[1,2,3,4] y)
            { y = GridSample<mode="cubic", padding_mode="reflection", align_corners=1>(x, g) }""",
            becomes="""2 Abs, 10 Add, 2 Concat, 3 Floor, 8 Gather, GridSample, 21 Mul, ReduceSum, 4 Reshape, 15 Sub,
            6 Unsqueeze""",
            opset=22,
            g=_FAR,
        ),
    )


def _doubled(new: SubgraphBuilder, x: Value, grid: Value, sizes: list[int]) -> tuple[Value, Value, list[int]]:
    """Axes of size 1 twice, with a grid that points to their first element."""
    for axis, size in ((3, sizes[0]), (2, sizes[1])):
        x = new.concat([x, x], axis) if size == 1 else x
    is_single = np.asarray(sizes) == 1
    first = np.where(is_single, -1, 0).astype(grid.element)
    return x, grid * np.where(is_single, 0, 1).astype(grid.element) + first, [max(size, 2) for size in sizes]


def _offsets(x: Value) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """From the element at the left above to each tap: (1, 16, 1, 2), y outside, x inside."""
    down, across = np.meshgrid(_AROUND, _AROUND, indexing="ij")
    return np.stack([across.reshape(-1), down.reshape(-1)], axis=1).reshape(1, 16, 1, 2).astype(x.element)


def _weights(t: Value) -> list[Value]:
    """Keys' kernel at 1 + t, t, 1 - t and 2 - t."""

    def far(d: Value) -> Value:
        return ((d * _A - 5 * _A) * d + 8 * _A) * d - 4 * _A

    def near(d: Value) -> Value:
        return (d * (_A + 2) - (_A + 3)) * d * d + 1

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _part(new: SubgraphBuilder, value: Value, index: int) -> Value:
    """One of the two columns of (N, 1, P, 2): (N, 1, P)."""
    return new.op("Gather", value, new.constant(np.asarray(index, np.int64)), axis=3)
