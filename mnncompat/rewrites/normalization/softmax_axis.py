"""Softmax and LogSoftmax with an axis that is stated and means one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

SINGLE_AXIS = 13
"""The opset since which Softmax, LogSoftmax and Hardmax work along one axis, the last by default."""


class SoftmaxAxis(NodeRewrite):
    """State the axis of Softmax and LogSoftmax, and join the axes that opsets below 13 take for one.

    **What.** Softmax and LogSoftmax that leave out their axis; LogSoftmax below opset 13 with more axes after its own.

    **Why.** The default is 1 below opset 13 and -1 from there on, and below 13 all axes from there on count as one. MNN
    uses the last axis as the default of Softmax, reads past the end of the attributes for that of LogSoftmax, and
    normalises LogSoftmax along a single axis.

    **Before and after**::

        y = LogSoftmax(x)                                 opset 11
        y = LogSoftmax<axis = 1>(x)

        y = LogSoftmax<axis = 1>(x)                       opset 11, x is [2, 3, 4]
        y = Reshape(LogSoftmax<axis = 1>(Flatten<axis = 1>(x)), [2, 3, 4])

    **Algebra.** The definitions of the opsets.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxSoftmax.cpp and OnnxLogSoftmax.cpp
    """

    code = "MNN817"
    name = "softmax-axis"
    summary = "its axis is made explicit"
    op_types = ("LogSoftmax", "Softmax")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """The node with an axis, or on a matrix."""
        if not node.given("axis"):
            return new.clone_node(axis=1 if node.opset < SINGLE_AXIS else -1)[0]
        x = new.input(0)
        return as_matrix(new, x, node.attribute("axis"), lambda matrix: new.clone_node(matrix, axis=1)[0])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Axes that are missing or count as one, static and dynamic; and axes that MNN reads correctly."""
        return (
            rewritten(
                "Softmax without axis",
                "(float[2,3,4] x) => (float[2,3,4] y) { y = Softmax(x) }",
                becomes="Softmax",
                opset=11,
            ),
            rewritten(
                "LogSoftmax without axis",
                "(float[2,3] x) => (float[2,3] y) { y = LogSoftmax(x) }",
                becomes="LogSoftmax",
                opset=11,
            ),
            rewritten(
                "the last by default",
                "(float[2,3,4] x) => (float[2,3,4] y) { y = LogSoftmax(x) }",
                becomes="LogSoftmax",
            ),
            rewritten(
                "joined",
                "(float[2,3,4] x) => (float[2,3,4] y) { y = LogSoftmax<axis=1>(x) }",
                becomes="Flatten, LogSoftmax, Reshape",
                opset=11,
            ),
            rewritten(
                "dynamic",
                "(float[N,3,4] x) => (float[N,3,4] y) { y = LogSoftmax<axis=-2>(x) }",
                becomes="Flatten, LogSoftmax, Reshape, Shape",
                opset=11,
            ),
            unchanged("stated", "(float[2,3,4] x) => (float[2,3,4] y) { y = LogSoftmax<axis=1>(x) }"),
            unchanged("last", "(float[2,3,4] x) => (float[2,3,4] y) { y = LogSoftmax<axis=2>(x) }", opset=11),
        )


def as_matrix(new: SubgraphBuilder, x: Value, axis: int, along_rows: Callable[[Value], Value]) -> Value:
    """Apply a function of the rows of a matrix to a tensor whose axes from `axis` on count as one."""
    result = along_rows(new.op("Flatten", x, axis=axis % x.rank))
    static = [dim for dim in x.dims if isinstance(dim, int)]
    return new.reshape(result, static) if len(static) == x.rank else new.op("Reshape", result, new.op("Shape", x))
