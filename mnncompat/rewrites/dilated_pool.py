"""Pools with dilations as pools over gathered windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite
from mnncompat.rewrites.pool_pad_apart import pool_windows, scaled_by_shares, share_counted
from mnncompat.rewrites.sketch import NotApplicable, Sketch, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.facts import NodeFacts
    from mnncompat.rewrites.base import Example
    from mnncompat.windows import Windows


class DilatedPool(NodeRewrite):
    """Lay the elements of dilated windows side by side, and pool those.

    **What.** MaxPool, AveragePool and LpPool with a dilation above 1.

    **Why.** MNN does not read the dilations of a pool.

    **Before and after**::

        y = MaxPool(x, kernel_shape = [3], dilations = [2], strides = [1])
        y = MaxPool(Gather(x, [0, 2, 4, 1, 3, 5, ...], axis = 2), kernel_shape = [3], strides = [3])

    **Algebra.** Along each dilated axis the Gather puts the elements of window i at ``[i * k, (i + 1) * k)``: windows
    without dilation, whose stride is the kernel. Other axes stay as they are. The largest element of a window does not
    change if padding is replaced by an element of the same window; averages and sums of powers need zeros there, a Pad
    before the Gather, and averages that do not count them a Mul by a constant behind.

    **Refuses** if a dilated axis is dynamic, and a MaxPool with a window that holds nothing but padding.

    **Source.** https://onnx.ai/onnx/operators/onnx__MaxPool.html
    """

    code = "MNN882"
    name = "dilated-pool"
    summary = "its windows are gathered side by side"
    op_types = ("MaxPool", "AveragePool", "LpPool")

    def build(self, node: NodeFacts, new: Sketch) -> list[Value | None]:
        """Draw a Gather by dilated axis, and the pool."""
        windows = pool_windows(node, new)
        count = len(windows)
        dilated = [axis for axis, each in enumerate(windows) if each.dilation != 1]
        strides, begins, ends = ([getattr(each, name) for each in windows] for name in ("stride", "begin", "end"))
        value, zeros = new.input(0), [0] * 2 * (count + 2)
        positions = {axis: _positions(axis, windows[axis]) for axis in dilated}
        if node.node.op_type == "MaxPool":
            positions = {axis: inside(found, windows[axis]) for axis, found in positions.items()}
        else:
            for axis in dilated:
                zeros[2 + axis], zeros[4 + count + axis] = windows[axis].begin, windows[axis].overhang or 0
        value = new.pad(value, zeros)
        for axis in dilated:
            value = new.op("Gather", value, new.constant(positions[axis].reshape(-1)), axis=axis + 2)
            strides[axis], begins[axis], ends[axis] = windows[axis].kernel, 0, 0
        (result,) = new.again(value, outputs=1, auto_pad=None, dilations=None, strides=strides, pads=begins + ends)
        if node.node.op_type != "AveragePool":
            return [result]
        including = bool(node.attribute("count_include_pad"))
        shares = [
            share_counted(windows[axis], including=including) if axis in dilated else None for axis in range(count)
        ]
        return [scaled_by_shares(new, result, shares)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One to three axes, each kind of pool."""
        return (
            taken(
                "largest",
                """(float[1,2,8,9] x) => (float[1,2,3,9] y)
                { y = MaxPool<kernel_shape=[3,3], strides=[2,1], dilations=[2,1], pads=[1,1,1,1]>(x) }""",
            ),
            taken(
                "average",
                """(float[1,2,8,9] x) => (float[1,2,6,7] y)
                { y = AveragePool<kernel_shape=[3,3], dilations=[2,2], pads=[1,1,1,1]>(x) }""",
                opset=19,
            ),
            taken(
                "Lp, dynamic batch",
                "(float[N,2,9] x) => (float[N,2,7] y) { y = LpPool<kernel_shape=[2], dilations=[2], strides=[1]>(x) }",
                opset=18,
            ),
            taken(
                "3-D, rounded up",
                """(float[1,2,8,4,4] x) => (float[1,2,4,3,3] y)
                { y = MaxPool<kernel_shape=[2,2,2], dilations=[2,1,1], strides=[2,1,1], ceil_mode=1>(x) }""",
            ),
            left(
                "dynamic",
                "dynamic",
                "(float[1,2,W] x) => (float[1,2,V] y) { y = MaxPool<kernel_shape=[2], dilations=[2], strides=[1]>(x) }",
            ),
            left(
                "no dilation",
                "",
                "(float[1,2,8] x) => (float[1,2,7] y) { y = MaxPool<kernel_shape=[2], dilations=[1], strides=[1]>(x) }",
            ),
        )


def _positions(axis: int, windows: Windows) -> NDArray[np.int64]:
    if windows.size is None:
        raise NotApplicable(f"the dilated dimension {axis + 2} is dynamic")
    return windows.positions()


def inside(positions: NDArray[np.int64], windows: Windows) -> NDArray[np.int64]:
    """Positions in the data instead of the padded data: padding is replaced by the nearest element of its window.

    Raises:
        NotApplicable: A window holds no element of the data.
    """
    found = positions - windows.begin
    valid = (found >= 0) & (found < (windows.size or 0))
    if not valid.any(axis=1).all():
        raise NotApplicable(f"a window of {windows.kernel} elements holds nothing but padding")
    first = np.take_along_axis(found, valid.argmax(axis=1)[:, None], axis=1)
    last = np.take_along_axis(found, found.shape[1] - 1 - valid[:, ::-1].argmax(axis=1)[:, None], axis=1)
    return np.clip(found, first, last)
