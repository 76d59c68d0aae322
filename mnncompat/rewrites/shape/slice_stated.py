"""Slice with its axes stated, and bounds within the tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_INPUTS_SINCE = 10


class SliceStated(NodeRewrite):
    """State the axes of a Slice, and starts that lie within the tensor.

    **What.** Slice with steps and without axes, and slices that start more than one length before the end.

    **Why.** MNN drops steps without axes, and reads a start far before the beginning modulo the size.

    **Before and after**::

        y = Slice(x (20, 9), starts=[-100, 1], ends=[5, 9], None, steps=[1, 2])
        y = Slice(x (20, 9), starts=[-20, 1], ends=[5, 9], axes=[0, 1], steps=[1, 2])

    **Algebra.** ONNX's default axes are the first ones, and it clamps starts itself.

    **Refuses** bounds whose number is not known.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxSlice.cpp,
    source/geometry/GeometryStridedSlice.cpp
    """

    code = "MNN864"
    name = "slice-stated"
    summary = "axes are stated, and starts lie within the tensor"
    op_types = ("Slice",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the node with axes and clamped starts."""
        data, inputs = new.input(0), new.opset >= _INPUTS_SINCE
        if not inputs:
            starts = node.attribute("starts")
            axes = node.attribute("axes") or list(range(len(starts)))
            return new.clone_node(starts=_clamped(data, starts, axes), axes=list(axes))
        count = new.input(1).dim(0)
        axes = new.integers(3) if new.has(3) else list(range(count))
        start = new.input(1)
        if start.constant is not None:
            start = new.constant(_clamped(data, [int(each) for each in start.constant], axes))
        steps = new.input(4) if new.has(4) else None
        return new.clone_node(data, start, _as(new, new.input(2), start), new.constant(axes), steps)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Steps without axes, starts before the beginning."""
        return (
            *_unstated_examples(),
            unchanged(
                "no steps",
                "(float[5,6] x) => (float[4,5] y) { y = Slice(x, s, e) }",
                s=np.array([0, 1]),
                e=np.array([4, 6]),
            ),
            unchanged(
                "axes given",
                "(float[5,6] x) => (float[5,2] y) { y = Slice(x, s, e, a, t) }",
                s=np.array([-5]),
                e=np.array([4]),
                a=np.array([1]),
                t=np.array([2]),
            ),
        )


def _unstated_examples() -> tuple[Example, ...]:
    """Steps without axes, starts before the beginning."""
    return (
        rewritten(
            "steps without axes",
            """(float[5,6] x) => (float[2,3] y) { y = Slice(x, s, e, "", t) }""",
            becomes="Slice",
            s=np.array([0, 1]),
            e=np.array([4, 6]),
            t=np.array([2, 2]),
        ),
        rewritten(
            "computed starts",
            """(float[5,6] x, int64[2] s) => (float[A,B] y) { y = Slice(x, s, e, "", t) }""",
            becomes="Slice",
            e=np.array([4, 6]),
            t=np.array([2, 2]),
        ),
        rewritten(
            "far before the beginning",
            "(float[9,20] x) => (float[2,20] y) { y = Slice(x, s, e, a) }",
            becomes="Slice",
            s=np.array([-100]),
            e=np.array([2]),
            a=np.array([-2]),
        ),
        rewritten(
            "attributes",
            "(float[9,20] x) => (float[2,17] y) { y = Slice<starts=[-100,3], ends=[2,1000]>(x) }",
            becomes="Slice",
            opset=9,
        ),
    )


def _clamped(data: Value, starts: list[int], axes: list[int]) -> list[int]:
    """Starts that are no further before the end than the size."""
    sizes = [data.dims[axis] for axis in axes]
    return [max(start, -size) if isinstance(size, int) else start for start, size in zip(starts, sizes, strict=True)]


def _as(new: SubgraphBuilder, value: Value, like: Value) -> Value:
    """`value` in the element type of `like`: ONNX requires the same type for all bounds."""
    if value.dtype == like.dtype:
        return value
    stored = value.constant
    return new.cast(value, like.dtype) if stored is None else new.constant(stored.astype(like.element))
