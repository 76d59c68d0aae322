"""Slices with negative steps, gathered."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_LARGEST = int(np.iinfo(np.int64).max)


class SliceBackwards(NodeRewrite):
    """Gather what a Slice takes backwards.

    **What.** Slice with negative steps, of a tensor of rank 4 and more, or that ends at a position above the rank.

    **Why.** MNN writes past the end of the result, or uses the rank as the last position.

    **Before and after**::

        y = Slice(x (N, 3, H, W), starts=[-1], ends=[-10], axes=[1], steps=[-1])
        y = Gather<axis=1>(x, [2, 1, 0])

    Axes with positive steps are sliced as before. An axis of dynamic size is sliced too, as the second one of three.

    **Algebra.** Both list elements by their positions.

    **Refuses** bounds that are computed at run time, axes of dynamic size that are cut at a position or have others of
    dynamic size beside them, and slices without elements.

    **Source.** MNN 3.6.1, source/geometry/GeometryStridedSlice.cpp
    """

    code = "MNN865"
    name = "slice-backwards"
    summary = "what is taken backwards is gathered"
    op_types = ("Slice",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit a Gather for each axis that is taken backwards, and a Slice for the others."""
        value, starts, ends = new.input(0), new.integers(1), new.integers(2)
        axes = new.integers(3) if new.has(3) else list(range(len(starts)))
        steps = new.integers(4) if new.has(4) else [1] * len(starts)
        bounds = list(zip(starts, ends, axes, steps, strict=True))
        forwards = [each for each in bounds if each[3] > 0]
        if forwards:
            value = new.slice(value, *(list(each) for each in zip(*forwards, strict=True)))
        for start, end, axis, step in bounds:
            if step < 0 and not isinstance(value.dims[axis], int):
                value = _in_the_middle(new, value, (start, end, axis, step))
            elif step < 0:
                positions = np.arange(value.dim(axis))[slice(start, None if end < -value.dim(axis) else end, step)]
                if not positions.size:
                    raise NotApplicable(f"axis {axis} is cut down to nothing")
                value = new.op("Gather", value, positions, axis=axis)
        return value

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One axis and two, with others forwards; slices that MNN computes correctly."""
        return (
            *_backward_examples(),
            unchanged(
                "rank 3",
                "(float[2,9,20] x) => (float[2,9,20] y) { y = Slice(x, s, e, a, t) }",
                s=np.array([-1]),
                e=np.array([-1000]),
                a=np.array([2]),
                t=np.array([-1]),
            ),
            refused(
                "two dynamic axes",
                "dimension 2 of 'x' is dynamic",
                "(float[2,N,M,5] x) => (float[2,N,M,5] y) { y = Slice(x, s, e, a, t) }",
                s=np.array([-1]),
                e=np.array([-_LARGEST]),
                a=np.array([1]),
                t=np.array([-1]),
            ),
        )


def _backward_examples() -> tuple[Example, ...]:
    """One axis and several, with others forwards."""
    return (
        rewritten(
            "colours of a batch",
            "(float[N,3,4,5] x) => (float[N,3,4,5] y) { y = Slice(x, s, e, a, t) }",
            becomes="Gather",
            s=np.array([-1]),
            e=np.array([-_LARGEST]),
            a=np.array([1]),
            t=np.array([-1]),
        ),
        rewritten(
            "several axes",
            "(float[2,3,4,5] x) => (float[2,2,3,2] y) { y = Slice(x, s, e, a, t) }",
            becomes="2 Gather, Slice",
            s=np.array([4, 2, 0]),
            e=np.array([0, 0, 3], np.int64),
            a=np.array([-1, 1, 2]),
            t=np.array([-2, -1, 1]),
        ),
        rewritten(
            "ends above the rank",
            "(float[2,20] x) => (float[2,5] y) { y = Slice(x, s, e, a, t) }",
            becomes="Gather",
            s=np.array([15]),
            e=np.array([-15]),
            a=np.array([1]),
            t=np.array([-2]),
        ),
        rewritten(
            "dynamic",
            "(float[2,N,4,5] x) => (float[2,N,4,5] y) { y = Slice(x, s, e, a, t) }",
            becomes="2 Reshape, Slice",
            s=np.array([-1]),
            e=np.array([-_LARGEST]),
            a=np.array([1]),
            t=np.array([-1]),
        ),
    )


def _in_the_middle(new: SubgraphBuilder, value: Value, bounds: tuple[int, int, int, int]) -> Value:
    """Slice an axis of dynamic size as the second one of three, where MNN computes it correctly."""
    start, end, axis, step = bounds
    axis %= value.rank
    if end >= 0:
        raise NotApplicable(f"axis {axis} is dynamic, and is cut at {end}")
    before = [value.dim(each) for each in range(axis)]
    behind = [value.dim(each) for each in range(axis + 1, value.rank)]
    flat = new.reshape(value, [prod(before), -1, prod(behind)])
    return new.reshape(new.slice(flat, [start], [end], [1], [step]), [*before, -1, *behind])
