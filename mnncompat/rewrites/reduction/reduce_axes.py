"""Reductions over no axes or over all of them, stated so that MNN reads them correctly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.reduction.axes import Reduction

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ReduceAxes(NodeRewrite):
    """Spell out the axes of a reduction that names none.

    **What.** ReduceSum, ReduceMean, ReduceMax, ReduceMin and ReduceProd with an empty list of axes, or with
    ``noop_with_empty_axes``.

    **Why.** MNN reduces nothing if the list is empty, and everything if there is none, whatever the attribute says.

    **Before and after**::

        y = ReduceSum(x, [])                              rank 3
        y = ReduceSum(x, [0, 1, 2])

        y = ReduceSum<noop_with_empty_axes = 1>(x)
        y = Identity(x)

    **Algebra.** The definition of ``noop_with_empty_axes``.

    **Refuses** an unknown number of axes, which are computed at run time, and an operand of unknown rank.

    **Source.** https://onnx.ai/onnx/operators/onnx__ReduceSum.html
    """

    code = "MNN811"
    name = "reduce-axes"
    summary = "its axes are spelled out"
    op_types = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """The reduction with a list of axes, or its operand."""
        return Reduction.of(node, new).emit(node.node.op_type, new.input(0))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """No axes for all and for none, stored and at run time; an unknown number of them."""
        return (
            rewritten(
                "empty for all",
                "(float[2,3,4] x) => (float y) <int64[0] axes = {}> { y = ReduceSum<keepdims=0>(x, axes) }",
                becomes="ReduceSum",
            ),
            rewritten(
                "empty at run time",
                "(float[2,3] x, int64[0] a) => (float[1,1] y) { y = ReduceMean(x, a) }",
                becomes="ReduceMean",
                opset=18,
            ),
            rewritten(
                "nothing",
                "(float[2,3] x) => (float[2,3] y) { y = ReduceMax<noop_with_empty_axes=1>(x) }",
                becomes="Identity",
                opset=18,
            ),
            unchanged(
                "unknown number of axes",
                "(float[2,3] x, int64[K] a) => (float[M,N] y) { y = ReduceMin<noop_with_empty_axes=1>(x, a) }",
                opset=18,
            ),
            unchanged("no axes at all", "(float[2,3,4] x) => (float[1,1,1] y) { y = ReduceSum(x) }"),
        )
