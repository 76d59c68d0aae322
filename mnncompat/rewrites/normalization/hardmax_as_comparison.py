"""Hardmax as a comparison with the index of the largest element."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.normalization.softmax_axis import SINGLE_AXIS, as_matrix

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class HardmaxAsComparison(NodeRewrite):
    """Write Hardmax as the places whose index is that of the largest element.

    **What.** Hardmax along an axis of known size.

    **Why.** MNN has no Hardmax.

    **Before and after**::

        y = Hardmax<axis = 1>(x)                          x is [2, 3, 4]
        y = Cast(Equal(ArgMax<axis = 1>(x), [[[0], [1], [2]]]), float)

    **Algebra.** One at the first of the largest elements, zero elsewhere. Below opset 13 all axes from ``axis`` on are
    one.

    **Refuses** an axis of dynamic size.

    **Source.** https://onnx.ai/onnx/operators/onnx__Hardmax.html
    """

    code = "MNN818"
    name = "hardmax-as-comparison"
    summary = "written with ArgMax"
    op_types = ("Hardmax",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the comparison."""
        x, axis = new.input(0), node.attribute("axis")
        if node.opset >= SINGLE_AXIS:
            return _along(new, x, -1 if axis is None else axis)
        return as_matrix(new, x, 1 if axis is None else axis, lambda matrix: _along(new, matrix, 1))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Several axes, old and new opsets; and a dynamic axis."""
        return (
            rewritten(
                "default axis", "(float[2,3,4] x) => (float[2,3,4] y) { y = Hardmax(x) }", becomes="ArgMax, Cast, Equal"
            ),
            rewritten(
                "axis 0", "(float[2,N] x) => (float[2,N] y) { y = Hardmax<axis=0>(x) }", becomes="ArgMax, Cast, Equal"
            ),
            rewritten(
                "vector", "(float[5] x) => (float[5] y) { y = Hardmax<axis=0>(x) }", becomes="ArgMax, Cast, Equal"
            ),
            rewritten(
                "joined",
                "(float[2,3,4] x) => (float[2,3,4] y) { y = Hardmax(x) }",
                becomes="ArgMax, Cast, Equal, Flatten, Reshape",
                opset=11,
            ),
            refused("dynamic axis", "is dynamic", "(float[2,N] x) => (float[2,N] y) { y = Hardmax(x) }"),
            unchanged("Softmax", "(float[2,3] x) => (float[2,3] y) { y = Softmax<axis=1>(x) }"),
        )


def _along(new: SubgraphBuilder, x: Value, axis: int) -> Value:
    axis %= x.rank
    places = np.arange(x.dim(axis)).reshape([-1] + [1] * (x.rank - axis - 1))
    largest = new.op("ArgMax", x, axis=axis, keepdims=1)
    return new.cast(new.op("Equal", largest, places), x.dtype)
