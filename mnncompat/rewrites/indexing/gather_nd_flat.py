"""GatherND of places that NonZero found, as Gather of single indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.inference.value_bounds import lower_bound
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.indexing.index_arithmetic import merged, static

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class GatherNdFlat(NodeRewrite):
    """Flatten the axes that the places found by NonZero address, and gather by single indices.

    **What.** GatherND of what NonZero finds, such as ``x[mask]`` in PyTorch, or NonMaxSuppression or Compress keeps.

    **Why.** Where nothing is found, the result of MNN's GatherND has two dimensions, 0 and the last one of the data.

    **Before and after**::

        y = GatherND(x (H, W), i (K, 2))
        y = Gather(Reshape(x, (H * W)), ReduceSum(i * (W, 1), -1))

    **Algebra.** In a row-major array (h, w) lies at ``h * W + w``. NonZero and NonMaxSuppression give no negative
    indices.

    **Refuses** indices that may be negative, and dynamic sizes of the axes that the indices address, but for the first
    one if those behind are known.

    **Source.** MNN 3.6.1, source/shape/ShapeGatherND.cpp (``indices->elementSize() == 0``)
    """

    code = "MNN971"
    name = "gather-nd-flat"
    summary = "its places are flattened to single indices"
    op_types = ("GatherND",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the flat data, the flat indices and the gathering."""
        if lower_bound(node.view, node.node.input[1]) < 0:
            raise NotApplicable(f"'{node.node.input[1]}' may hold negative indices")
        data, places = new.inputs()
        count = places.dim(-1)
        if count == 1:
            return new.op("Gather", data, new.squeeze(places, [-1]), axis=0)
        if places.rank != len("KR"):
            raise NotApplicable(f"'{places.name}' has {places.rank} dimensions")
        strides = [int(np.prod([data.dim(later) for later in range(axis + 1, count)])) for axis in range(count)]
        positions = new.reduce("ReduceSum", places * np.asarray(strides, places.element), [-1], keepdims=False)
        return new.op("Gather", _flat(new, data, count), positions, axis=0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Masks over all axes and over some; over all but the last, which MNN computes correctly; and dynamic ones."""
        return (
            rewritten(
                "mask of all axes",
                _masked("[3,4]", "[3,4]", "[K]"),
                becomes="Cast, Gather, Mul, NonZero, ReduceSum, Reshape, Transpose",
            ),
            rewritten(
                "mask of two axes of four",
                _masked("[2,3]", "[2,3,4,N]", "[K,4,N]"),
                becomes="Cast, Gather, Mul, NonZero, ReduceSum, Reshape, Transpose",
            ),
            rewritten(
                "dynamic rows",
                _masked("[N,3]", "[N,3]", "[K]"),
                becomes="Cast, Gather, Mul, NonZero, ReduceSum, Reshape, Transpose",
            ),
            rewritten("vector", _masked("[5]", "[5]", "[K]"), becomes="Cast, Gather, NonZero, Squeeze, Transpose"),
            rewritten(
                "scores of boxes",
                """(float[1,4,4] x, float[1,4] s) => (float[K] y) <int64 n = {2}, float t = {0.5}, float v = {0.5},
                int64[2] columns = {0, 2}> { u = Unsqueeze(s, one) p = NonMaxSuppression(x, u, n, t, v)
                i = Gather<axis=1>(p, columns) y = GatherND(s, i) }""",
                becomes="2 Gather, Mul, NonMaxSuppression, ReduceSum, Reshape, Unsqueeze",
                one=np.array([1]),
            ),
            refused(
                "places that may be counted from the end",
                "may hold negative indices",
                """(float[3,4] x, int64[5,2] i, bool[5] c) => (float[K] y) {
                k = Compress<axis=0>(i, c) y = GatherND(x, k) }""",
            ),
            unchanged("all axes but the last", _masked("[3]", "[3,4]", "[K,4]")),
            unchanged("places that are given", "(float[3,4] x, int64[2,2] i) => (float[2] y) { y = GatherND(x, i) }"),
            refused("a dynamic axis", "is dynamic", _masked("[3,N]", "[3,N]", "[K]")),
        )


def _flat(new: SubgraphBuilder, data: Value, count: int) -> Value:
    """The data with the first axes as one."""
    behind = static(data.dims[count:])
    return merged(new, data, 0, count) if behind is None else new.reshape(data, [-1, *behind])


def _masked(mask: str, data: str, result: str) -> str:
    return f"""(float{mask} m, float{data} x) => (float{result} y) {{
        g = Cast<to=9>(m) n = NonZero(g) t = Transpose(n) y = GatherND(x, t) }}"""
