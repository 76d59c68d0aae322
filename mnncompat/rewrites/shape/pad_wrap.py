"""Pad of mode ``wrap``, which continues at the other end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.support.node_facts import NodeFacts


class PadWrap(NodeRewrite):
    """Write a Pad of mode ``wrap`` as a Concat of slices for each axis.

    **What.** Pad of mode ``wrap``.

    **Why.** MNN refuses it.

    **Before and after**::

        y = Pad<mode="wrap">(x (5,), pads=[2, 1])
        y = Concat(x[3:], x, x[:1])

    **Algebra.** The input is repeated at both ends; of pads longer than the input by as many whole copies as it takes.

    Pads that are computed at run time become Gather at computed positions, modulo the size.

    **Refuses** pads that are negative, and constant pads of axes of dynamic size.

    **Source.** https://onnx.ai/onnx/operators/onnx__Pad.html
    """

    code = "MNN859"
    name = "pad-wrap"
    summary = "slices of the other end are attached"
    op_types = ("Pad",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the slices and their joining, axis by axis."""
        value, pads = new.input(0), new.input(1).constant
        if pads is None and not new.has(3):
            return _gathered(new, value, new.input(1))
        pads = np.asarray(new.integers(1))
        axes = new.integers(3) if new.has(3) else range(value.rank)
        if (pads < 0).any():
            raise NotApplicable(f"pads {pads.tolist()} are negative")
        for axis, (before, behind) in zip(axes, pads.reshape(2, -1).T.tolist(), strict=True):
            if before or behind:
                size = value.dim(axis)
                runs = _runs(size, before, behind)
                value = new.concat(
                    [value if run == (0, size) else new.slice(value, run[:1], run[1:], [axis]) for run in runs], axis
                )
        return value

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One axis and two, pads longer than the input."""
        return (
            rewritten(
                "two axes",
                """(float[N,3,4] x) => (float[N,5,7] y) { y = Pad<mode="wrap">(x, pads) }""",
                becomes="2 Concat, 4 Slice",
                pads=np.array([0, 1, 2, 0, 1, 1]),
                opset=19,
            ),
            rewritten(
                "longer than the input, axes given",
                """(float[2,3] x) => (float[2,12] y) { y = Pad<mode="wrap">(x, pads, "", axes) }""",
                becomes="Concat, 2 Slice",
                pads=np.array([7, 2]),
                axes=np.array([-1]),
                opset=19,
            ),
            unchanged(
                "edge",
                """(float[3] x) => (float[5] y) { y = Pad<mode="edge">(x, pads) }""",
                opset=19,
                pads=np.array([1, 1]),
            ),
            refused(
                "dynamic",
                "dimension 0 of 'x' is dynamic",
                """(float[N] x) => (float[M] y) { y = Pad<mode="wrap">(x, pads) }""",
                pads=np.array([1, 1]),
                opset=19,
            ),
        )


def _gathered(new: SubgraphBuilder, value: Value, pads: Value) -> Value:
    """Pads that are computed at run time: every axis is gathered at positions modulo its size."""
    rank = value.rank
    for axis in range(rank):
        size = new.reshape(new.slice(new.op("Shape", value), [axis], [axis + 1], [0]), [])
        before, behind = (new.reshape(new.slice(pads, [at], [at + 1], [0]), []) for at in (axis, axis + rank))
        positions = new.op("Range", -before, size + behind, new.constant(np.asarray(1)))
        positions = new.op("Mod", new.op("Mod", positions, size) + size, size)
        value = new.op("Gather", value, positions, axis=axis)
    return value


def _runs(size: int, before: int, behind: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each run of the repeated input, that ``before + size + behind`` elements consist of."""
    position = -before
    while position < size + behind:
        start = position % size
        end = min(size, start + size + behind - position)
        yield start, end
        position += end - start
