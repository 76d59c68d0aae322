"""AffineGrid as a matrix product."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts


_MOST_POSITIONS = 1 << 24


class AffineGridProduct(NodeRewrite):
    """Multiply a stored grid by the matrices.

    **What.** AffineGrid of a known size.

    **Why.** MNN's converter does not know the operator, and computes ONNX's function body for it wrongly.

    **Before and after**::

        y = AffineGrid(theta, size = (N, C, H, W))                              theta: (N, 2, 3)
        y = Reshape(MatMul(grid, Transpose(theta)), (N, H, W, 2))              grid: (H*W, 3), constant: x, y, 1

    **Algebra.** The operator's definition.

    **Refuses** a size that is neither constant nor known from the model's shapes, or of more than 2^24 positions, and
    ``align_corners`` with a size of 1.

    **Source.** https://onnx.ai/onnx/operators/onnx__AffineGrid.html
    """

    code = "MNN895"
    name = "affine-grid-product"
    summary = "a stored grid multiplied by the matrices"
    op_types = ("AffineGrid",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the product."""
        theta = new.input(0)
        sizes = _sizes(node, new)
        corners = bool(node.attribute("align_corners"))
        if min(sizes, default=-1) < 0 or prod(sizes) > _MOST_POSITIONS:
            raise NotApplicable(f"a grid of {sizes} is no constant that a model should hold")
        if corners and 1 in sizes:
            raise NotApplicable(f"align_corners has no meaning for a size of 1: {sizes}")
        grid = new.constant(_grid(sizes, corners=corners).astype(theta.element))
        result = grid @ new.transpose(theta, [0, 2, 1])
        return new.reshape(result, [-1, *sizes, len(sizes)])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """2-D and 3-D, the size as constant and as stated by the model."""
        return (
            rewritten(
                "2-D",
                "(float[2,2,3] t) => (float[2,5,6,2] y) <int64[4] size = {2,3,5,6}> { y = AffineGrid(t, size) }",
                becomes="MatMul, Reshape, Transpose",
                opset=20,
            ),
            rewritten(
                "3-D, corners",
                """(float[2,3,4] t) => (float[2,3,4,5,3] y) <int64[5] size = {2,1,3,4,5}>
                { y = AffineGrid<align_corners=1>(t, size) }""",
                becomes="MatMul, Reshape, Transpose",
                opset=20,
            ),
            refused(
                "size unknown",
                "not known",
                "(float[2,2,3] t, int64[4] size) => (float[2,H,W,2] y) { y = AffineGrid(t, size) }",
                opset=20,
            ),
            unchanged("plain product", "(float[2,2,3] t) => (float[2,5,3] y) { y = MatMul(g, t) }", g=(2, 5, 2)),
        )


def _sizes(node: NodeFacts, new: SubgraphBuilder) -> list[int]:
    constant = new.input(1).constant
    if constant is not None:
        return [int(each) for each in constant.reshape(-1)[2:]]
    shape = new.known_shape(node.node.output[0])
    sizes = [] if shape is None else [dim for dim in shape[1:-1] if isinstance(dim, int)]
    if shape is None or len(sizes) != len(shape) - 2:
        raise NotApplicable(f"the size '{node.node.input[1]}' is not known")
    return sizes


def _grid(sizes: Sequence[int], *, corners: bool) -> NDArray[np.float64]:
    """Position of every element in [-1, 1], last axis first, and a 1: (elements, axes + 1)."""
    steps = [np.linspace(-1, 1, size) if corners else (2 * np.arange(size) + 1) / size - 1 for size in sizes]
    axes = np.meshgrid(*steps, indexing="ij")
    return np.stack([*(axis.reshape(-1) for axis in axes[::-1]), np.ones(int(np.prod(sizes)))], axis=1)
