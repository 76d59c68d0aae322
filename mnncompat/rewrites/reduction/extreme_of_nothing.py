"""ReduceMax and ReduceMin of a tensor without elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.rewrites.reduction.axes import Reduction

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_HELD = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT32)


class ExtremeOfNothing(NodeRewrite):
    """Write the largest or smallest element of nothing as a sum of nothing and a constant.

    **What.** ReduceMax and ReduceMin of a tensor that has no elements.

    **Why.** MNN kills the process.

    **Before and after**::

        y = ReduceMax(x, [1])                             x: (2, 0, 4)
        y = ReduceSum(x, [1]) + -inf

    **Algebra.** The maximum of nothing is the smallest value of the type, by ONNX's definition: minus infinity of
    floats, the smallest integer, false; the minimum is the largest one. A sum of nothing is 0, and has the shape of
    the result.

    **Refuses** types whose smallest value MNN does not hold.

    **Source.** https://onnx.ai/onnx/operators/onnx__ReduceMax.html
    """

    code = "MNN996"
    name = "extreme-of-nothing"
    summary = "written as a sum of nothing and a constant"
    op_types = ("ReduceMax", "ReduceMin")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the sum and what is added to it."""
        x, reduction = new.input(0), Reduction.of(node, new)
        is_maximum = node.node.op_type == "ReduceMax"
        if x.dtype == TensorProto.BOOL:
            some = new.op("Greater", reduction.emit("ReduceSum", new.cast(x, TensorProto.FLOAT)), 0.5)
            return some if is_maximum else new.op("Not", some)
        if x.dtype not in _HELD:
            raise NotApplicable(f"elements of type {TensorProto.DataType.Name(x.dtype)}")
        if x.is_float:
            return reduction.emit("ReduceSum", x) + (-np.inf if is_maximum else np.inf)
        limits = np.iinfo(x.element)
        return reduction.emit("ReduceSum", x) + (limits.min if is_maximum else limits.max)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Floats and integers, and tensors with elements; ONNX Runtime has no kernel for truth values."""
        return (
            rewritten(
                "maximum",
                "(float[2,0,4] x) => (float[2,1,4] y) { y = ReduceMax<axes=[1]>(x) }",
                becomes="Add, ReduceSum",
            ),
            rewritten(
                "minimum of integers",
                "(int32[N,0] x) => (int32[N] y) { y = ReduceMin<keepdims=0>(x, a) }",
                becomes="Add, ReduceSum",
                opset=18,
                a=np.array([1]),
            ),
            refused(
                "64 bits",
                "elements of type INT64",
                "(int64[2,0] x) => (int64[2,1] y) { y = ReduceMin<axes=[1]>(x) }",
            ),
            unchanged("elements", "(float[2,3] x) => (float[2,1] y) { y = ReduceMax<axes=[1]>(x) }"),
        )
