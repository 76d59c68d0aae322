"""Relations of pools: the ends of their windows, and their number."""

from __future__ import annotations

from dataclasses import replace

from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.operands import kernel_extents
from mnncompat.support.relations.registry import relation
from mnncompat.support.three_valued import any_of
from mnncompat.support.window_geometry import Windows, mnn_pool_windows, windows_of


@relation(
    holds="(float[1,1,5] x) => (float[1,1,N] y) { y = MaxPool<kernel_shape=[2], strides=[2], ceil_mode=1>(x) }",
    fails="(float[1,1,4] x) => (float[1,1,N] y) { y = MaxPool<kernel_shape=[2], strides=[2], ceil_mode=1>(x) }",
)
def ceil_mode_adds_output(facts: NodeFacts) -> bool | None:
    """Rounding the number of windows up gives one more than rounding it down on some axis."""
    kernel, shape = kernel_extents(facts), facts.shape(facts.node.input[0])
    if kernel is None or shape is None:
        return None
    count = len(kernel)
    strides = facts.attribute("strides") or [1] * count
    pads = facts.attribute("pads") or [0] * 2 * count
    found = [
        (size + pads[axis] + pads[axis + count] - extent) % strides[axis] != 0
        if isinstance(size, int) and isinstance(extent, int)
        else None
        for axis, (size, extent) in enumerate(zip(shape[2:], kernel, strict=False))
    ]
    return any_of(found)


@relation(
    holds=(
        "(float[1,1,4] x) => (float[1,1,N] y) { y = MaxPool<kernel_shape=[2], strides=[2], pads=[0, 1], "
        "ceil_mode=1>(x) }"
    ),
    fails=(
        "(float[1,1,5] x) => (float[1,1,N] y) { y = MaxPool<kernel_shape=[2], strides=[2], pads=[0, 1], "
        "ceil_mode=1>(x) }"
    ),
)
def ceil_window_starts_in_padding(facts: NodeFacts) -> bool | None:
    """With ``ceil_mode`` the last window of an axis would start after the data: ONNX drops it, MNN keeps it."""
    return any_of(None if each is None else each.last_starts_behind_data for each in mnn_pool_windows(facts))


@relation(
    holds=(
        "(float[1,1,4] x) => (float[1,1,4] y) { y = AveragePool<kernel_shape=[2], pads=[0, 1], "
        "count_include_pad=1>(x) }"
    ),
    fails=(
        "(float[1,1,4] x) => (float[1,1,5] y) { y = AveragePool<kernel_shape=[2], pads=[1, 1], "
        "count_include_pad=1>(x) }"
    ),
)
def window_reaches_larger_end_padding(facts: NodeFacts) -> bool | None:
    """The padding at the end of some axis is larger than at its beginning, and the last window reaches that far."""
    upwards = bool(facts.attribute("ceil_mode"))
    return any_of(_reaches_larger_end_padding(each, upwards=upwards) for each in mnn_pool_windows(facts))


def _reaches_larger_end_padding(windows: Windows | None, *, upwards: bool) -> bool | None:
    """The last window covers more padding at the end than there is at the beginning."""
    if windows is None or windows.size is None:
        return None
    count = windows.count_rounded_up if upwards else windows.count_rounded_down
    end = ((count or 0) - 1) * windows.stride - windows.begin + windows.extent
    return windows.end > windows.begin and end > windows.size + windows.begin


@relation(
    holds="(float[1,1,4] x) => (float[1,1,4] y) { y = MaxPool<kernel_shape=[2], pads=[0, 1]>(x) }",
    fails="(float[1,1,4] x) => (float[1,1,5] y) { y = MaxPool<kernel_shape=[2], pads=[1, 1]>(x) }",
)
def end_padding_changes_window_count(facts: NodeFacts) -> bool | None:
    """The number of windows would change if an axis had the padding of its beginning at its end as well."""
    kernel, shape = facts.attribute("kernel_shape"), facts.shape(facts.node.input[0])
    windows = None if shape is None else windows_of(facts, kernel, shape[2:])
    if windows is None:
        return None
    found = [_changes_count(each) for each in windows if each.begin != each.end]
    return any_of(found)


def _changes_count(windows: Windows) -> bool | None:
    if windows.stride == 1:
        return True
    return None if windows.size is None else windows.count != replace(windows, end=windows.begin).count


@relation(
    holds="(float[2,1,3] x) => (float[2,1,1] y) { y = GlobalAveragePool(x) }",
    fails="(float[1,1,3] x) => (float[1,1,1] y) { y = GlobalAveragePool(x) }",
)
def batch_may_exceed_one(facts: NodeFacts) -> bool | None:
    """The first dimension of input 0 is not 1; a dynamic one counts as more."""
    shape = facts.shape(facts.node.input[0])
    return None if shape is None else shape[0] != 1


@relation(
    holds=(
        "(float[1,1,2] x, int64[1,1,2] i) => (float[1,1,5] y) <int64[3] s = {1, 1, 5}> { y = "
        "MaxUnpool<kernel_shape=[2], strides=[2]>(x, i, s) }"
    ),
    fails=(
        "(float[1,1,2] x, int64[1,1,2] i) => (float[1,1,4] y) <int64[3] s = {1, 1, 4}> { y = "
        "MaxUnpool<kernel_shape=[2], strides=[2]>(x, i, s) }"
    ),
)
def unpool_result_differs_from_windows(facts: NodeFacts) -> bool | None:
    """The result of a MaxUnpool has another size than its window, strides and pads give."""
    result = facts.result(0)
    shape = None if result is None else facts.shape(result)
    if shape is None:
        return None
    inferred = (
        None
        if each is None or each.size is None
        else (each.size - 1) * each.stride - each.begin - each.end + each.extent
        for each in mnn_pool_windows(facts)
    )
    pairs = zip(shape[len("NC") :], inferred, strict=False)
    return any_of(size != wanted if isinstance(size, int) and wanted is not None else None for size, wanted in pairs)
