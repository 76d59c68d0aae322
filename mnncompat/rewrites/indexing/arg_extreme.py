"""ArgMax and ArgMin of integers, and of the last of equal elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_FROM_THE_END = np.iinfo(np.int64).min
_AS_THEY_ARE = (TensorProto.INT32, TensorProto.INT64)


class ArgExtreme(NodeRewrite):
    """Find the last of equal elements in the reversed operand, and extremes of integers by comparison.

    **What.** ArgMax and ArgMin with ``select_last_index``, or of integers.

    **Why.** MNN ignores the attribute, and compares the bits of integers as if they were floats.

    **Before and after**::

        y = ArgMax<axis = 1, select_last_index = 1>(x)    x is [2, 4]
        y = 3 - ArgMax<axis = 1>(x[:, ::-1])

        y = ArgMax<axis = 1>(x)                           x is an int32 [2, 4]
        e = Equal(x, ReduceMax<axes = [1]>(x))
        y = ReduceMin<axes = [1]>(Where(e, [0, 1, 2, 3], 4))

    **Algebra.** The first element of the reversed operand is the last one. The smallest index of an element that equals
    the maximum is the index of the first maximum.

    **Why this form.** A cast of integers to float would be shorter, but makes 2^24 and 2^24 + 1 equal.

    **Refuses** an axis of dynamic size; integers below opset 9, which has no Where.

    **Source.** MNN 3.6.1, source/backend/cpu/CPUArgMax.cpp
    """

    code = "MNN832"
    name = "arg-extreme"
    summary = "written so that MNN finds the right index"
    op_types = ("ArgMax", "ArgMin")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the search."""
        x = new.input(0)
        axis = node.attribute("axis") % x.rank
        size, last = x.dim(axis), bool(node.attribute("select_last_index"))
        if x.is_float:
            turned = new.slice(x, [-1], [_FROM_THE_END], [axis], [-1])
            return new.constant(np.asarray(size - 1)) - new.clone_node(turned, select_last_index=None)[0]
        x = x if x.dtype in _AS_THEY_ARE else new.cast(x, TensorProto.INT32)
        extreme = new.reduce("ReduceMax" if node.node.op_type == "ArgMax" else "ReduceMin", x, [axis])
        places = np.arange(size, dtype=np.int32).reshape([-1] + [1] * (x.rank - axis - 1))
        outside = np.asarray(-1 if last else size, np.int32)
        found = new.op("Where", new.op("Equal", x, extreme), places, outside)
        keepdims = bool(node.attribute("keepdims"))
        result = new.reduce("ReduceMax" if last else "ReduceMin", found, [axis], keepdims=keepdims)
        return new.cast(result, TensorProto.INT64)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """The last of floats and of integers, the first of integers; a dynamic axis; and the first of floats."""
        return (
            rewritten(
                "last",
                "(float[2,3,N] x) => (int64[2,N] y) { y = ArgMax<axis=1, keepdims=0, select_last_index=1>(x) }",
                becomes="ArgMax, Slice, Sub",
            ),
            rewritten(
                "integers",
                "(int32[2,5] x) => (int64[2,1] y) { y = ArgMin<axis=-1>(x) }",
                becomes="Cast, Equal, 2 ReduceMin, Where",
            ),
            rewritten(
                "bytes",
                "(uint8[3,2,5] x) => (int64[1,2,5] y) { y = ArgMax(x) }",
                becomes="2 Cast, Equal, ReduceMax, ReduceMin, Where",
            ),
            rewritten(
                "last integer",
                "(int64[2,5] x) => (int64[2,1] y) { y = ArgMax<axis=1, select_last_index=1>(x) }",
                becomes="Cast, Equal, 2 ReduceMax, Where",
            ),
            refused("open axis", "is dynamic", "(uint8[2,N] x) => (int64[2,1] y) { y = ArgMax<axis=1>(x) }"),
            unchanged("first", "(float[2,3] x) => (int64[2,1] y) { y = ArgMax<axis=1>(x) }"),
        )
