"""Long running sums, block by block."""

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

_BLOCK = 64
_MOST = 1 << 20


class RunningSumBlocks(NodeRewrite):
    """Write a long CumSum as sums of blocks.

    **What.** CumSum over more than 64 elements, of every direction, exclusive or not, for half precision.

    **Why.** MNN adds element by element in float16: rounding adds up, and a small element changes nothing beside a
    large sum.

    **Before and after**::

        y = CumSum(x)                                        over 4,096 elements
        p = ReduceSum(blocks(x) * triangle)  o = ReduceSum(p[last] * triangle')  y = p + o

    **Algebra.** A running sum is that of its block, and the sum of the blocks before it. ReduceSum over one axis adds
    in float32.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, 4,096 elements: 24 dB (of one sign) and 46
    before, 68 to 71 after.

    **Refuses** more than a million elements: the product with the triangle is 64 times as large; an unknown size of
    more than one axis, and whole numbers, which are exact.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp)
    """

    code = "MNN989"
    name = "running-sum-blocks"
    summary = "it is added block by block"
    for_half_precision = True
    op_types = ("CumSum",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the sums of and within blocks."""
        x = new.input(0)
        _require_fit(x)
        axis = int(new.integers(1)[0]) % x.rank
        size, backwards = x.dim(axis), bool(node.attribute("reverse"))
        blocks = -(-size // _BLOCK)
        perm = [*(each for each in range(x.rank) if each != axis), axis]
        moved = x if axis == x.rank - 1 else new.transpose(x, perm)
        fill = blocks * _BLOCK - size
        padded = new.pad(moved, [*[0] * (2 * x.rank - 1), fill])
        within = _summed(
            new, new.reshape(padded, (-1, blocks, _BLOCK)), 2, backwards, bool(node.attribute("exclusive"))
        )
        totals = new.reduce("ReduceSum", new.reshape(padded, (-1, blocks, _BLOCK)), [2], keepdims=False)
        before = _summed(new, totals, 1, backwards, exclusive=True)
        flat = new.reshape(within + new.unsqueeze(before, [2]), (-1, blocks * _BLOCK))
        cut = new.slice(flat, [0], [size], [1]) if fill else flat
        result = new.reshape(cut, [dim if isinstance(dim, int) else -1 for dim in moved.dims])
        return result if moved is x else new.transpose(result, [perm.index(each) for each in range(x.rank)])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Every direction; a short one, whole numbers, and many elements."""
        text = "({x}) => ({y}) <int64 a = {{1}}> {{ y = CumSum{how}(x, a) }}"
        return (
            rewritten(
                "last axis, dynamic batch",
                text.format(x="float[N,128] x", y="float[N,128] y", how=""),
                becomes="Add, 2 Mul, 3 ReduceSum, 4 Reshape, 3 Unsqueeze",
                precision="low",
            ),
            rewritten(
                "middle axis, backwards, exclusive, no whole block",
                text.format(x="float[2,100,3] x", y="float[2,100,3] y", how="<exclusive=1, reverse=1>"),
                becomes="Add, 2 Mul, Pad, 3 ReduceSum, 4 Reshape, Slice, 2 Transpose, 3 Unsqueeze",
                precision="low",
            ),
            refused(
                "many elements",
                "more than",
                text.format(x="float[1000,1100] x", y="float[1000,1100] y", how=""),
                precision="low",
            ),
            unchanged("short", text.format(x="float[2,64] x", y="float[2,64] y", how=""), precision="low"),
            unchanged("whole numbers", text.format(x="int32[2,128] x", y="int32[2,128] y", how=""), precision="low"),
            unchanged("in float32", text.format(x="float[2,128] x", y="float[2,128] y", how="")),
        )


def _require_fit(x: Value) -> None:
    """Reject operands whose product with a triangle is too large, or cannot be reshaped back.

    Raises:
        NotApplicable: It is such an operand.
    """
    if sum(not isinstance(dim, int) for dim in x.dims) > 1:
        raise NotApplicable("several of its sizes are not fixed")
    if prod(dim for dim in x.dims if isinstance(dim, int)) > _MOST:
        raise NotApplicable(f"it has more than {_MOST} elements")


def _summed(new: SubgraphBuilder, value: Value, axis: int, backwards: bool, exclusive: bool) -> Value:  # noqa: FBT001
    """The running sum along the last axis, as one sum for each element."""
    count = value.dim(axis)
    triangle = np.tril(np.ones((count, count), value.element), -1 if exclusive else 0)
    return new.reduce(
        "ReduceSum",
        new.unsqueeze(value, [axis]) * (triangle.T.copy() if backwards else triangle),
        [axis + 1],
        keepdims=False,
    )
