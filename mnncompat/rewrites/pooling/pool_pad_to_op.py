"""Average and Lp pools whose padding is a Pad node of its own."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.window_geometry import Windows, windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts


class PoolPadToOp(NodeRewrite):
    """Pad with zeros before an average or Lp pool instead of in it.

    **What.** AveragePool and LpPool of one or two axes whose last windows reach padding that MNN does not count:
    more padding after the data than before it, or what ``ceil_mode`` adds.

    **Why.** MNN reads the padding before the data and derives the one after it from the size of the result; where that
    is larger, it divides by the number of elements inside.

    **Before and after**::

        y = AveragePool(x, pads = [0, 0, 1, 1], count_include_pad = 1)
        y = AveragePool(Pad(x, [0, 0, 0, 0, 0, 0, 1, 1]))

    **Algebra.** A window of k elements of which c count has the average ``sum / c = (sum / k) * (k / c)``: the pool is
    followed by a Mul by ``k / c``, a constant of one image, where a window does not count all of its elements. Zeros
    add nothing to a sum of powers.

    **Refuses** if the number of elements depends on a dynamic size.

    **Source.** https://onnx.ai/onnx/operators/onnx__AveragePool.html
    """

    code = "MNN881"
    name = "pool-pad-to-op"
    summary = "the padding becomes a Pad before it"
    op_types = ("AveragePool", "LpPool")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the Pad, the pool and the correction of the count."""
        windows = pool_windows(node, new)
        begins = [each.begin for each in windows]
        ends = [each.end if each.overhang is None else each.overhang for each in windows]
        padded = new.pad(new.input(0), [0, 0, *begins, 0, 0, *ends])
        strides = [each.stride for each in windows]
        (result,) = new.clone_node(
            padded, strides=strides, pads=[0] * 2 * len(windows), auto_pad=None, ceil_mode=None, count_include_pad=None
        )
        if node.node.op_type == "LpPool":
            return result
        shares = [share_counted(each, including=bool(node.attribute("count_include_pad"))) for each in windows]
        return scaled_by_shares(new, result, shares)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Padding after the data, rounding up, and padding that MNN counts correctly."""
        pool = "AveragePool<kernel_shape=[3,2], strides=[2,2], count_include_pad=1"
        return (
            rewritten(
                "behind the data",
                f"(float[1,2,6,6] x) => (float[1,2,3,3] y) {{ y = {pool}, pads=[0,0,1,1]>(x) }}",
                becomes="AveragePool, Pad",
            ),
            rewritten(
                "1-D Lp, rounded up",
                "(float[1,2,6] x) => (float[1,2,3] y) "
                "{ y = LpPool<kernel_shape=[3], strides=[2], p=3, ceil_mode=1>(x) }",
                becomes="LpPool, Pad",
                opset=18,
            ),
            rewritten(
                "dynamic batch, opset 10",
                f"(float[N,2,6,6] x) => (float[N,2,3,3] y) {{ y = {pool}, pads=[0,0,1,1]>(x) }}",
                becomes="AveragePool, Pad",
                opset=10,
            ),
            unchanged(
                "as much before",
                f"(float[1,2,5,6] x) => (float[1,2,3,4] y) {{ y = {pool}, pads=[1,1,1,1]>(x) }}",
            ),
        )


def pool_windows(node: NodeFacts, new: SubgraphBuilder) -> list[Windows]:
    """The windows of a pool, by spatial axis.

    Raises:
        NotApplicable: They depend on a dynamic size, or there are none.
    """
    sizes = new.input(0).dims[2:]
    windows = windows_of(node, node.attribute("kernel_shape"), sizes)
    if windows is None or any(each.size is None and each.rounds_up for each in windows):
        raise NotApplicable(f"the windows depend on the dynamic size {list(sizes)}")
    if any(each.count is not None and each.count < 1 for each in windows):
        raise NotApplicable(f"no window fits into {list(sizes)}")
    return windows


def share_counted(windows: Windows, *, including: bool) -> NDArray[np.float64] | None:
    """The share of each window's elements that an average counts; None if it counts all of them.

    Args:
        windows: The windows along one axis.
        including: Padding counts (``count_include_pad``); elements that rounding up adds never do.

    Raises:
        NotApplicable: The size is dynamic, and there is padding that does not count.
    """
    if windows.size is None:
        if including or not (windows.begin or windows.end):
            return None
        raise NotApplicable("how many elements of a window count depends on a dynamic size")
    positions = windows.positions() - windows.begin
    low, high = (-windows.begin, windows.size + windows.end) if including else (0, windows.size)
    share = np.mean((positions >= low) & (positions < high), axis=1)
    return None if np.all(share == 1) else share


def scaled_by_shares(new: SubgraphBuilder, result: Value, shares: Sequence[NDArray[np.float64] | None]) -> Value:
    """Correct averages over all elements to averages over those that count, by spatial axis."""
    if all(share is None for share in shares):
        return result
    factors = [np.ones(1) if share is None else 1.0 / share for share in shares]
    table = reduce(np.multiply.outer, factors)
    return result * new.constant(table.reshape(1, 1, *table.shape).astype(result.element))
