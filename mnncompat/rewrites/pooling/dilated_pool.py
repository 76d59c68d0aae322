"""Pools with dilations as slices."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.graph.operator_traits import POOLS
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.pooling.pool_pad_to_op import pool_windows, share_counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts
    from mnncompat.support.window_geometry import Windows


class DilatedPool(NodeRewrite):
    """Slice a dilated axis once for each element of the kernel, and take the largest or the sum.

    **What.** MaxPool, AveragePool and LpPool with a dilation above 1.

    **Why.** MNN does not read the dilations of a pool.

    **Before and after**::

        y = MaxPool(x, kernel_shape = [3], dilations = [2], strides = [1])
        y = Max(Max(x[0:n], x[2:n+2]), x[4:n+4])

        y = LpPool(x, kernel_shape = [3], dilations = [2], strides = [1])
        y = LpPool(Gather(x, [0, 2, 4, 1, 3, 5, ...]), kernel_shape = [3], strides = [3])

    **Algebra.** Slice j holds element j of every window; its step is the stride. An average is the sum divided by the
    number of elements that count, a constant. Axes without dilation stay with the pool. The Gather (LpPool, and types
    other than floats) puts the elements of window i at ``[i * k, (i + 1) * k)``: windows without dilation.

    **Refuses** if a dilated axis is dynamic.

    **Why this form.** Measured with MNN 3.6.1 on x86-64, one thread, kernel 3x3, dilation 2: 16 channels of 64x64 take
    0.06 ms by slices and 1.6 ms by Gather and pool, 64 of 56x56 with stride 2 take 0.12 ms and 1.4 ms.

    **Source.** https://onnx.ai/onnx/operators/onnx__MaxPool.html
    """

    code = "MNN882"
    name = "dilated-pool"
    summary = "each element of its dilated windows is sliced out"
    op_types = POOLS

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the dilated axes, then the pool of the others."""
        windows = pool_windows(node, new)
        dilated = [axis for axis, each in enumerate(windows) if each.dilation != 1]
        for axis in dilated:
            if windows[axis].size is None:
                raise NotApplicable(f"the dilated dimension {axis + 2} is dynamic")
        value = _padded(new, windows, dilated)
        slices = node.node.op_type != "LpPool" and value.is_float
        done: list[Windows] = list(windows)
        for axis in dilated:
            if slices:
                value = _pooled(node, new, value, axis, windows[axis])
                done[axis] = replace(windows[axis], kernel=1, stride=1, dilation=1, begin=0, end=0)
            else:
                positions = new.constant(windows[axis].positions().reshape(-1))
                value = new.op("Gather", value, positions, axis=axis + 2)
                kernel = windows[axis].kernel
                done[axis] = replace(windows[axis], stride=kernel, dilation=1, begin=0, end=0)
        if all((each.kernel, each.stride, each.begin, each.end) == (1, 1, 0, 0) for each in done):
            return [value]
        return list(
            new.clone_node(
                value,
                outputs=1,
                auto_pad=None,
                dilations=None,
                kernel_shape=[each.kernel for each in done],
                strides=[each.stride for each in done],
                pads=[each.begin for each in done] + [each.end for each in done],
            )
        )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One to three axes, each kind of pool."""
        return (
            rewritten(
                "largest",
                """(float[1,2,8,9] x) => (float[1,2,3,9] y)
                { y = MaxPool<kernel_shape=[3,3], strides=[2,1], dilations=[2,1], pads=[1,1,1,1]>(x) }""",
                becomes="2 Max, MaxPool, Pad, 3 Slice",
            ),
            rewritten(
                "average",
                """(float[1,2,8,9] x) => (float[1,2,6,7] y)
                { y = AveragePool<kernel_shape=[3,3], dilations=[2,2], pads=[1,1,1,1]>(x) }""",
                becomes="4 Add, 2 Mul, Pad, 6 Slice",
                opset=19,
            ),
            rewritten(
                "Lp, dynamic batch",
                "(float[N,2,9] x) => (float[N,2,7] y) { y = LpPool<kernel_shape=[2], dilations=[2], strides=[1]>(x) }",
                becomes="Gather, LpPool",
                opset=18,
            ),
            rewritten(
                "3-D, rounded up",
                """(float[1,2,8,4,4] x) => (float[1,2,4,3,3] y)
                { y = MaxPool<kernel_shape=[2,2,2], dilations=[2,1,1], strides=[2,1,1], ceil_mode=1>(x) }""",
                becomes="Max, MaxPool, Pad, 2 Slice",
            ),
            refused(
                "dynamic",
                "dynamic",
                "(float[1,2,W] x) => (float[1,2,V] y) { y = MaxPool<kernel_shape=[2], dilations=[2], strides=[1]>(x) }",
            ),
            unchanged(
                "no dilation",
                "(float[1,2,8] x) => (float[1,2,7] y) { y = MaxPool<kernel_shape=[2], dilations=[1], strides=[1]>(x) }",
            ),
        )


def _padded(new: SubgraphBuilder, windows: Sequence[Windows], dilated: Sequence[int]) -> Value:
    """The data with padding along its dilated axes, of a value that is never a maximum."""
    value, count = new.input(0), len(windows)
    pads = [0] * 2 * (count + 2)
    for axis in dilated:
        pads[2 + axis], pads[4 + count + axis] = windows[axis].begin, windows[axis].overhang or 0
    if new.node.node.op_type != "MaxPool" or not any(pads):
        return new.pad(value, pads)
    if value.dtype == TensorProto.BFLOAT16:
        raise NotApplicable("padding of bfloat16")
    return new.pad(value, pads, value.finite_range[0])


def _pooled(node: NodeFacts, new: SubgraphBuilder, value: Value, axis: int, windows: Windows) -> Value:
    """The largest or the average along one axis."""
    count = windows.count or 0
    steps = None if windows.stride == 1 else [windows.stride]
    last = (count - 1) * windows.stride + 1
    starts = [element * windows.dilation for element in range(windows.kernel)]
    parts = [new.slice(value, [start], [start + last], [axis + 2], steps) for start in starts]
    if node.node.op_type == "MaxPool":
        return reduce(lambda one, other: new.op("Max", one, other), parts)
    share = share_counted(windows, including=bool(node.attribute("count_include_pad")))
    total = reduce(lambda one, other: one + other, parts)
    if share is None:
        return total * (1 / windows.kernel)
    factors = (1 / (share * windows.kernel)).reshape(-1, *[1] * (total.rank - 3 - axis))
    return total * new.constant(factors.astype(total.element))
