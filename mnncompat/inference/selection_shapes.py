"""Shapes of operators that join, select, repeat and reduce; see `reshaping_shapes`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto

from mnncompat.inference.reshaping_shapes import Function, axes_of
from mnncompat.inference.shape_propagation import Propagation, Shape
from mnncompat.inference.size_expression import Size, product

_FAR = 1 << 16
"""Ends from it on are the end of any dynamic axis: exporters write 2147483647, 1000000000 or 65536 for it."""
_BELOW = -(1 << 30)
"""The same for an axis that is read backwards."""
"""An end of a Slice at or beyond it means: to the last element."""


def _concat(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shapes = [run.shape(name) for name in node.input]
    first = next((shape for shape in shapes if shape is not None), None)
    if first is None:
        return [None]
    axis = run.attribute(node, "axis", 0) % max(len(first), 1)
    arrays = [array for array in map(run.array, node.input) if array is not None]
    if len(arrays) == len(node.input):
        run.set_value(node.output[0], list(np.concatenate(arrays, axis).reshape(-1)))
    result = list(first)
    for shape in shapes:
        for place in range(len(first)):
            size = None if shape is None or place >= len(shape) else shape[place]
            if place == axis:
                continue
            run.require("equal", size, result[place], *shapes)
            result[place] = result[place] if result[place] is not None else size
    parts = [None if shape is None else shape[axis] for shape in shapes]
    total = Size()
    for part in parts:
        if part is None:
            result[axis] = None
            return [tuple(result)]
        total += part
    result[axis] = total
    return [tuple(result)]


def _slice(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is None:
        return [None]
    named = {name: run.attribute(node, name) for name in ("starts", "ends", "axes")}
    starts, ends, axes, steps = (_part(run, node, named, place) for place in range(4))
    if starts is None or ends is None:
        return [(None,) * len(shape)]
    places = [size.number for size in axes or [Size(each) for each in range(len(starts))] if size is not None]
    result = list(shape)
    window = [slice(None)] * len(shape)
    for place, axis in enumerate(places):
        if axis is None:
            return [(None,) * len(shape)]
        step = (steps[place] if steps else None) or Size(1)
        size = result[axis]
        result[axis] = None if size is None else _sliced(run, size, starts[place], ends[place], step)
        numbers = [each.number for each in (starts[place], ends[place], step) if each is not None]
        window[axis] = slice(*numbers) if len(numbers) == len(("start", "end", "step")) else slice(0, 0)
    array = run.array(node.input[0])
    if array is not None and array[tuple(window)].size:
        run.set_value(node.output[0], list(array[tuple(window)].reshape(-1)))
    return [tuple(result)]


def _part(
    run: Propagation, node: NodeProto, named: dict[str, list[int] | None], place: int
) -> list[Size | None] | None:
    """Starts, ends, axes or steps, as attributes or operands."""
    name = ("starts", "ends", "axes", "steps")[place]
    stated = named.get(name)
    if stated is not None:
        return [Size(each) for each in stated]
    position = place + 1
    return run.value(node.input[position]) if position < len(node.input) and node.input[position] else None


def _sliced(run: Propagation, size: Size, start: Size | None, end: Size | None, step: Size) -> Size | None:
    """Size of an axis after a Slice."""
    if start is None or end is None or step.number is None:
        return None
    if step.number < 0:
        whole = start.number == -1 and end.number is not None and end.number <= _BELOW
        return size.ceil_div(-step.number) if whole else None
    low = _counted(size, start)
    is_far = size.number is None and end.number is not None and end.number >= _FAR
    high = size if is_far else _counted(size, end)
    if low is None or high is None:
        return None
    if size.number is not None and high.number is not None:
        high = Size(min(size.number, high.number))
    elif high != size and not _is_below(high, size):
        run.require("at-most", high, size, (size,))
    taken = high - low
    return Size() if taken.number is not None and taken.number < 0 else taken.ceil_div(step.number)


def _counted(size: Size, bound: Size) -> Size | None:
    """A bound that may be counted from the end; one before the begin is the begin."""
    if bound.number is None or bound.number >= 0:
        return bound
    counted = size + bound
    before = bound.number <= -_FAR or (counted.number is not None and counted.number < 0)
    return Size() if before else counted


def _is_below(high: Size, size: Size) -> bool:
    difference = (size - high).number
    return difference is not None and difference >= 0


def _gather(run: Propagation, node: NodeProto) -> list[Shape | None]:
    data, indices = run.shape(node.input[0]), run.shape(node.input[1])
    axis = run.attribute(node, "axis", 0)
    array, chosen = run.array(node.input[0]), run.integers(node.input[1])
    if array is not None and chosen is not None:
        run.set_value(node.output[0], list(array.take(chosen, axis).reshape(-1)))
    if data is None or indices is None:
        return [None]
    axis %= len(data)
    picked = run.value(node.input[1])
    if picked and chosen is None and len(picked) > 0 and picked[-1] is not None:
        run.require("at-most", picked[-1] + 1, data[axis], data)
    return [(*data[:axis], *indices, *data[axis + 1 :])]


def _gather_nd(run: Propagation, node: NodeProto) -> list[Shape | None]:
    data, indices = run.shape(node.input[0]), run.shape(node.input[1])
    depth = indices[-1].number if indices and indices[-1] is not None else None
    if data is None or indices is None or depth is None:
        return [None]
    return [(*indices[:-1], *data[run.attribute(node, "batch_dims", 0) + depth :])]


def _like_indices(run: Propagation, node: NodeProto) -> list[Shape | None]:
    return [run.shape(node.input[1])]


def _split(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is None:
        return [None] * len(node.output)
    axis = run.attribute(node, "axis", 0) % len(shape)
    stated = run.attribute(node, "split")
    sizes: Sequence[Size | None] | None = None if stated is None else [Size(each) for each in stated]
    if sizes is None and len(node.input) > 1 and node.input[1]:
        sizes = run.value(node.input[1])
    whole = shape[axis]
    if sizes is None and whole is not None and (len(node.input) == 1 or not node.input[1]):
        sizes = [whole // len(node.output)] * len(node.output)
        run.require("multiple", whole, len(node.output), shape)
    elif sizes is not None and None not in sizes:
        total = sum((size for size in sizes if size is not None), Size())
        run.require("equal", whole, total, shape)
    if sizes is None:
        return [(*shape[:axis], None, *shape[axis + 1 :])] * len(node.output)
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def _pad(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is None:
        return [None]
    stated = run.attribute(node, "pads")
    has_operand = len(node.input) > 1 and node.input[1]
    pads = [Size(each) for each in stated] if stated is not None else run.value(node.input[1]) if has_operand else None
    axes = run.integers(node.input[3]) if len(node.input) > 3 and node.input[3] else list(range(len(shape)))  # noqa: PLR2004 - data, pads, value, axes
    if pads is None or axes is None or len(pads) != 2 * len(axes):
        return [(None,) * len(shape)]
    result = list(shape)
    reflects = run.attribute(node, "mode", b"constant") == b"reflect"
    for place, axis in enumerate(axes):
        if reflects:
            for width in (pads[place], pads[place + len(axes)]):
                run.require("at-least", shape[axis], None if width is None else width + 1, shape)
        size, before, behind = result[axis], pads[place], pads[place + len(axes)]
        result[axis] = None if size is None or before is None or behind is None else size + before + behind
    return [tuple(result)]


def _tile(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape, repeats = run.shape(node.input[0]), run.value(node.input[1])
    if shape is None or repeats is None:
        return [None if shape is None else (None,) * len(shape)]
    pairs = zip(shape, repeats, strict=True)
    return [tuple(None if size is None or times is None else size * times for size, times in pairs)]


def _top_k(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    count = run.value(node.input[1]) if len(node.input) > 1 else [Size(run.attribute(node, "k", 1))]
    if shape is None:
        return [None] * 2
    axis = run.attribute(node, "axis", -1) % len(shape)
    size = count[0] if count else None
    run.require("at-least", shape[axis], size, shape)
    return [(*shape[:axis], size, *shape[axis + 1 :])] * 2


def _one_hot(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape, depth = run.shape(node.input[0]), run.value(node.input[1])
    if shape is None:
        return [None]
    axis = run.attribute(node, "axis", -1) % (len(shape) + 1)
    return [(*shape[:axis], depth[0] if depth else None, *shape[axis:])]


def _reduce(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    keeps = bool(run.attribute(node, "keepdims", 1))
    if shape is None:
        return [None]
    has_operand = len(node.input) > 1 and node.input[1]
    axes = axes_of(run, node)
    if axes is None and has_operand:
        return [(None,) * len(shape) if keeps else None]
    if not axes:
        axes = [] if run.attribute(node, "noop_with_empty_axes", 0) else list(range(len(shape)))
    if node.op_type == "ReduceProd" and not keeps:
        value = run.value(node.input[0])
        if value is not None and None not in value:
            run.set_value(node.output[0], [product(each for each in value if each is not None)])
    return [_without(shape, axes, keeps=keeps)]


def _arg(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is None:
        return [None]
    return [_without(shape, [run.attribute(node, "axis", 0)], keeps=bool(run.attribute(node, "keepdims", 1)))]


def _without(shape: Shape, axes: Sequence[int], *, keeps: bool) -> Shape:
    gone = {axis % max(len(shape), 1) for axis in axes}
    if keeps:
        return tuple(Size(1) if axis in gone else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in gone)


def _non_zero(run: Propagation, node: NodeProto) -> list[Shape | None]:
    rank = run.rank(node.input[0])
    return [(None if rank is None else Size(rank), None)]


_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")

SELECTIONS: dict[str, Function] = {
    **dict.fromkeys((f"Reduce{kind}" for kind in _REDUCTIONS), _reduce),
    "ArgMax": _arg,
    "ArgMin": _arg,
    "Concat": _concat,
    "Gather": _gather,
    "GatherElements": _like_indices,
    "GatherND": _gather_nd,
    "NonZero": _non_zero,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Slice": _slice,
    "Split": _split,
    "Tile": _tile,
    "TopK": _top_k,
}
