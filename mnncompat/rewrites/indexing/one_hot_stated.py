"""OneHot with its axis stated and an integer depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_INTEGERS = (6, 7)


class OneHotStated(NodeRewrite):
    """State the axis of a OneHot, and make its depth and its indices integers.

    **What.** OneHot without ``axis``, or whose indices or depth are floats.

    **Why.** MNN's default is the first axis, ONNX's is the last; it reads the bits of depth and indices as integers.

    **Before and after**::

        y = OneHot(i, 5.0, v)
        y = OneHot<axis=-1>(Cast(i), 5, v)

    **Algebra.** ONNX casts indices and depth to int64 itself.

    **Source.** https://onnx.ai/onnx/operators/onnx__OneHot.html; MNN 3.6.1,
    tools/converter/source/optimizer/onnxextra/OnnxOneHot.cpp
    """

    code = "MNN855"
    name = "one-hot-stated"
    summary = "the axis is stated, and the depth is an integer"
    op_types = ("OneHot",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the node, its operands cast."""
        indices, depth, values = new.inputs()
        return new.clone_node(_integer(new, indices), _integer(new, depth), values, axis=int(node.attribute("axis")))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Attributes that exporters leave out, and operands that they write as floats."""
        return (
            rewritten(
                "no axis",
                "(int64[2,3] i) => (float[2,3,4] y) { y = OneHot(i, depth, v) }",
                becomes="OneHot",
                depth=np.array(4),
                v=_V,
            ),
            rewritten(
                "depth a float",
                "(int64[3] i) => (float[4,3] y) { y = OneHot<axis=0>(i, depth, v) }",
                becomes="OneHot",
                depth=np.array(4, np.float32),
                v=_V,
            ),
            rewritten(
                "indices floats",
                "(float[3] x) => (float[3,4] y) { i = Relu(x) j = Floor(i) y = OneHot<axis=-1>(j, depth, v) }",
                becomes="Cast, Floor, OneHot, Relu",
                depth=np.array(4, np.float32),
                v=_V,
            ),
            unchanged(
                "stated",
                "(float[5,3] x) => (float[1,3,4] y) { i = ArgMax<axis=0>(x) y = OneHot<axis=-1>(i, depth, v) }",
                depth=np.array(4),
                v=_V,
            ),
        )


_V = np.array([0, 1], np.float32)


def _integer(new: SubgraphBuilder, value: Value) -> Value:
    if value.dtype in _INTEGERS:
        return value
    stored = value.constant
    return new.cast(value, 7) if stored is None else new.constant(stored.astype(np.int64))
