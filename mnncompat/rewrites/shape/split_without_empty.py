"""Split without its empty parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class SplitWithoutEmpty(NodeRewrite):
    """Remove the empty parts of a Split, and a Split with a single part.

    **What.** Split with a part of size 0 beside others, or (MNN before 3.4) with a single part.

    **Why.** MNN kills the process, or reads memory that was never written.

    **Before and after**::

        a, b = Split(x (2, 8), [8, 0], axis=1)
        a = x; b is a constant without elements

    **Algebra.** An empty part has no elements, whatever the input is.

    **Refuses** sizes that are computed at run time, and empty parts that are used while another size is dynamic.

    **Source.** MNN 3.6.1, source/geometry/GeometrySlice.cpp
    """

    code = "MNN862"
    name = "split-without-empty"
    summary = "empty parts are left out"
    op_types = ("Split",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit a Split into the parts that are not empty."""
        value, axis = new.input(0), int(node.attribute("axis"))
        if len(node.node.output) == 1:
            return [value]
        sizes = new.integers(1) if new.has(1) else [int(each) for each in node.attribute("split") or ()]
        if not any(sizes):
            raise NotApplicable("all parts are empty")
        parts = iter(new.split(value, [size for size in sizes if size], axis))
        results: list[Value | None] = []
        for position, size in enumerate(sizes):
            if size:
                results.append(next(parts))
            elif new.is_output_used(position):
                empty = [value.dim(each) for each in range(value.rank)]
                empty[axis] = 0
                results.append(new.constant(np.zeros(empty, value.element)))
            else:
                results.append(None)
        return results

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """An unused empty part, first and last."""
        return (
            rewritten(
                "empty at the end",
                "(float[2,8] x) => (float[2,8] y) { a, b = Split<axis=1>(x, s) y = Neg(a) }",
                becomes="Identity, Neg",
                s=np.array([8, 0]),
            ),
            rewritten(
                "empty in the middle",
                "(float[N,8] x) => (float[N,3] a, float[N,5] c) { a, b, c = Split<axis=-1>(x, s) }",
                becomes="Split",
                s=np.array([3, 0, 5]),
            ),
            unchanged(
                "not empty",
                "(float[2,8] x) => (float[2,7] y) { a, b = Split<axis=1>(x, s) y = Neg(a) }",
                s=np.array([7, 1]),
            ),
            refused(
                "empty, used, of a dynamic size",
                "dimension 0 of 'x' is dynamic",
                "(float[N,8] x) => (float[N,8] a, float[N,0] b) { a, b = Split<axis=1>(x, s) }",
                s=np.array([8, 0]),
            ),
        )
