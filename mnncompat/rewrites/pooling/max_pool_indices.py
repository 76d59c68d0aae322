"""Indices of MaxPool that count through the whole tensor."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.convolution.window_elements import inside, window_table
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.pooling.pool_pad_to_op import pool_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts
    from mnncompat.support.window_geometry import Windows


class MaxPoolIndices(NodeRewrite):
    """Compute the Indices of MaxPool as ONNX counts them.

    **What.** MaxPool whose second output is used.

    **Why.** MNN counts from the start of each channel and by rows, pads with a number instead of with nothing, and has
    no indices in 3-D or with dilations.

    **Before and after**, where windows do not overlap along the first axis and tile it::

        y, i = MaxPool(x, kernel_shape = [2, 2], strides = [2, 2])    x: (N, C, H, W), H even
        y, i = MaxPool(Reshape(x, (1, 1, N*C*H, W)), kernel_shape = [2, 2], strides = [2, 2]), reshaped

    and otherwise, with a table of the position of every element of every window::

        g = Gather(x, rows of the windows), Gather(g, columns), windows last by Reshape and Transpose
        i = Gather(positions, ArgMax(g, axis = -1) + [0, k, 2*k, ...]) + [[0], [H*W], ...]

    **Algebra.** As one tall image the tensor is counted from its start, and no window covers two channels. Both forms
    take the first of equal elements, by rows. Padding is replaced by the nearest element of the same window, which does
    not change which one is found.

    **Refuses** dynamic sizes, and windows of nothing but padding.

    **Why this form.** The first is MNN's own operator; the second copies each window's elements once.

    **Source.** https://onnx.ai/onnx/operators/onnx__MaxPool.html
    """

    code = "MNN884"
    name = "max-pool-indices"
    summary = "its Indices count through the whole tensor"
    op_types = ("MaxPool",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the pool for its values, and the indices."""
        windows = pool_windows(node, new)
        by_rows = node.attribute("storage_order") != 1
        if by_rows and _tiles_first_axis(windows) and not any(map(_is_padded_or_dilated, windows)):
            return _as_tall_image(new, windows)
        (values,) = new.clone_node(outputs=1, storage_order=None)
        return [values, _positions_of_maxima(new, windows, by_rows=by_rows)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Channels, padding, order by columns, three axes."""
        return (
            *_indices(),
            refused(
                "dynamic width",
                "dynamic size",
                """(float[1,3,6,W] x) => (float[1,3,5,V] y, int64[1,3,5,V] i)
                { y, i = MaxPool<kernel_shape=[2,2], strides=[1,1], ceil_mode=1>(x) }""",
            ),
            unchanged(
                "one channel",
                """(float[1,1,6,6] x) => (float[1,1,3,3] y, int64[1,1,3,3] i)
                { y, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }""",
            ),
        )


def _indices() -> tuple[Example, ...]:
    """Channels, padding, order by columns, three axes."""
    return (
        rewritten(
            "channels",
            """(float[2,3,6,6] x) => (float[2,3,3,3] y, int64[2,3,3,3] i)
            { y, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }""",
            becomes="MaxPool, 3 Reshape",
        ),
        rewritten(
            "padded",
            """(float[1,2,5,6] x) => (float[1,2,3,3] y, int64[1,2,3,3] i)
            { y, i = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x) }""",
            becomes="2 Add, ArgMax, 3 Gather, MaxPool, 2 Reshape, Transpose",
        ),
        rewritten(
            "by columns",
            """(float[1,2,5,6] x) => (float[1,2,2,3] y, int64[1,2,2,3] i)
            { y, i = MaxPool<kernel_shape=[2,2], strides=[2,2], storage_order=1>(x) }""",
            becomes="2 Add, ArgMax, 3 Gather, MaxPool, 2 Reshape, Transpose",
        ),
        rewritten(
            "3-D, dilated",
            """(float[1,2,4,5,6] x) => (float[1,2,2,4,3] y, int64[1,2,2,4,3] i)
            { y, i = MaxPool<kernel_shape=[2,2,2], strides=[1,1,2], dilations=[2,1,1], pads=[0,0,0,0,0,0]>(x) }""",
            becomes="2 Add, ArgMax, 4 Gather, MaxPool, 2 Reshape, Transpose",
        ),
        rewritten(
            "dynamic batch",
            """(float[N,3,6] x) => (float[N,3,3] y, int64[N,3,3] i)
            { y, i = MaxPool<kernel_shape=[2], strides=[2]>(x) }""",
            becomes="MaxPool, 3 Reshape",
        ),
        rewritten(
            "dynamic batch, windows overlap",
            """(float[N,3,6,6] x) => (float[N,3,5,5] y, int64[N,3,5,5] i)
            { y, i = MaxPool<kernel_shape=[2,2], strides=[1,1]>(x) }""",
            becomes="3 Add, ArgMax, 3 Gather, MaxPool, Mul, Range, 3 Reshape, Shape, Slice, Squeeze, Transpose",
        ),
    )


def _tiles_first_axis(windows: Sequence[Windows]) -> bool:
    first = windows[0]
    return len(windows) < len("DHW") and first.kernel <= first.stride and (first.size or 0) % first.stride == 0


def _is_padded_or_dilated(windows: Windows) -> bool:
    return windows.begin > 0 or windows.overhang != 0 or windows.dilation != 1


def _as_tall_image(new: SubgraphBuilder, windows: Sequence[Windows]) -> list[Value | None]:
    """MNN's own indices, of all channels one below the other."""
    x = new.input(0)
    sizes = [x.dim(axis) for axis in range(2, x.rank)]
    counts = [each.count or 0 for each in windows]
    tall = new.reshape(x, [1, 1, -1, *sizes[1:]])
    strides = [each.stride for each in windows]
    results = new.clone_node(
        tall, outputs=2, auto_pad=None, ceil_mode=None, strides=strides, pads=[0] * 2 * len(windows)
    )
    return [new.reshape(each, [-1, x.dim(1), *counts]) for each in results]


def _positions_of_maxima(new: SubgraphBuilder, windows: Sequence[Windows], *, by_rows: bool) -> Value:
    """Position of each window's first largest element."""
    count = len(windows)
    value = new.input(0)
    channels, *sizes = (value.dim(axis) for axis in range(1, value.rank))
    if not value.is_float:
        raise NotApplicable(f"elements of type {TensorProto.DataType.Name(value.dtype)}")
    found = [inside(each) for each in windows]
    for axis, positions in enumerate(found):
        value = new.op("Gather", value, new.constant(positions.reshape(-1)), axis=axis + 2)
    counts, kernel = [len(each) for each in found], [each.shape[1] for each in found]
    if count > 1:
        value = new.reshape(value, [-1, channels, *chain.from_iterable(zip(counts, kernel, strict=True))])
        value = new.transpose(value, [0, 1, *range(2, 2 + 2 * count, 2), *range(3, 3 + 2 * count, 2)])
    elements = int(np.prod(kernel))
    value = new.reshape(value, [-1, channels, *counts, elements])
    which = new.op("ArgMax", value, axis=count + 2, keepdims=0)
    starts = np.arange(int(np.prod(counts)), dtype=np.int64).reshape(1, 1, *counts) * elements
    table = window_table(found, sizes, by_rows=by_rows)
    result = new.op("Gather", new.constant(table), which + starts, axis=0)
    return result + _offsets(new, channels, int(np.prod(sizes)), count)


def _offsets(new: SubgraphBuilder, channels: int, size: int, count: int) -> Value:
    """Where each channel of each image begins: (N, C, 1, ...)."""
    x = new.input(0)
    along = np.arange(channels, dtype=np.int64).reshape(1, -1, *[1] * count) * size
    if isinstance(x.dims[0], int):
        images = np.arange(x.dim(0), dtype=np.int64).reshape(-1, *[1] * (count + 1)) * channels * size
        return new.constant(images + along)
    batch = new.squeeze(new.slice(new.op("Shape", x), [0], [1], [0]), [0])
    order = new.op("Range", np.asarray(0, np.int64), batch, np.asarray(1, np.int64))
    return new.reshape(order * (channels * size), [-1, *[1] * (count + 1)]) + along
