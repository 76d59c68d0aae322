"""Integers of quantised models, emitted in float arithmetic: every value of 16 bits or less is a float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.rewrites.core.values import require_broadcast
from mnncompat.support.window_geometry import windows_of

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

RANGES: dict[int, tuple[int, int]] = {
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT8: (0, 255),
    TensorProto.INT16: (-32768, 32767),
    TensorProto.UINT16: (0, 65535),
}
"""Lowest and highest value of the integer types that both MNN and float32 hold."""
EXACT = 1 << 24
"""Sums of integers below it are exact in float32, in whatever order they are taken."""
_ROUND_SINCE = 11
_PLANE = 2


def wide(new: SubgraphBuilder, value: Value) -> Value:
    """A value in float32; a constant is converted at once."""
    constant = value.constant
    if constant is not None:
        return new.constant(constant.astype(np.float32))
    return new.cast(value, TensorProto.FLOAT)


def centred(new: SubgraphBuilder, position: int, zero_point: Value | None) -> Value:
    """An operand of integers less its zero point, in float32.

    Args:
        new: Where to emit nodes.
        position: Of the operand.
        zero_point: Of the operand's type, broadcastable to it; None or a constant of zeros changes nothing.
    """
    value = wide(new, new.input(position))
    if zero_point is None:
        return value
    zero = wide(new, zero_point)
    if zero.constant is not None and value.constant is not None:
        require_broadcast(value.constant.shape, zero.constant.shape)
        return new.constant(value.constant - zero.constant)
    return value if zero.constant is not None and not zero.constant.any() else value - zero


def rounded(new: SubgraphBuilder, value: Value) -> Value:
    """Rounded to the nearest integer, halves to the even one."""
    if new.opset >= _ROUND_SINCE:
        return new.op("Round", value)
    upper, lower = new.op("Floor", value + 0.5), new.op("Ceil", value - 0.5)
    odd = upper - new.op("Floor", upper * 0.5) * 2.0
    return upper - odd * (upper - lower)


def quantized(new: SubgraphBuilder, scaled: Value, zero_point: Value | None, dtype: int) -> Value:
    """Convert a value that is divided by its scale to an integer: rounded, shifted, saturated.

    Raises:
        NotApplicable: MNN holds no such integers.
    """
    if dtype not in RANGES:
        raise NotApplicable(f"the result is {TensorProto.DataType.Name(dtype)}")
    value = rounded(new, scaled)
    if zero_point is not None:
        zero = wide(new, zero_point)
        if zero.constant is None or zero.constant.any():
            value = value + zero
    return new.cast(new.clip(value, *map(float, RANGES[dtype])), dtype)


def spread(new: SubgraphBuilder, parameter: Value, value: Value, axis: int, block: int = 0) -> Value:
    """A scale or zero point in a shape that is broadcast against the value that it belongs to.

    Args:
        new: Where to emit nodes.
        parameter: One number, one for each index of `axis`, or, if `block` is not 0, one for so many of them.
        value: The value that it belongs to.
        axis: Of `value`.
        block: Size of a block along `axis`.

    Raises:
        NotApplicable: They do not fit together.
    """
    constant = parameter.constant
    if block:
        length = value.dim(axis)
        if constant is not None:
            if constant.ndim != value.rank or constant.shape[axis] * block < length:
                raise NotApplicable(f"blocks of {block} of the shape {list(constant.shape)} do not cover its operand")
            repeated = np.repeat(constant, block, axis=axis)
            return new.constant(repeated.take(np.arange(length), axis=axis))
        axis %= value.rank
        shape = parameter.shape
        wider = new.op("Expand", new.unsqueeze(parameter, (axis + 1,)), new.constant(_inserted(shape, axis, block)))
        flat = new.reshape(wider, (*shape[:axis], -1, *shape[axis + 1 :]))
        return new.slice(flat, [0], [length], [axis])
    if parameter.rank == 0 or parameter.dims == (1,):
        return parameter if parameter.rank == 0 or value.rank > 0 else new.reshape(parameter, ())
    if parameter.rank != 1 or not -value.rank <= axis < value.rank:
        raise NotApplicable(f"a scale or zero point has the shape {list(parameter.dims)}, and axis {axis} is meant")
    column = [1] * value.rank
    column[axis] = -1
    return new.constant(constant.reshape(column)) if constant is not None else new.reshape(parameter, column)


def convolved(node: NodeFacts, new: SubgraphBuilder, value: Value, weight: Value, *bias: Value) -> Value:
    """The convolution of a node, with other operands: its sums of integers stay exact.

    MNN runs square kernels by Winograd's transform, whose intermediate results are no integers. A column of zeros makes
    a kernel that is not square.
    """
    constant = weight.constant
    kernel = weight.shape[2:]
    is_unit = all(each == 1 for name in ("strides", "dilations") for each in node.attribute(name) or (1,))
    windows = windows_of(node, kernel, [None] * len(kernel)) if is_unit else None
    is_square = len(kernel) == _PLANE and kernel[0] == kernel[1] and kernel[0] != 1
    if constant is None or windows is None or not is_square:
        return new.clone_node(value, weight, *bias, op="Conv")[0]
    pads = [each.begin for each in windows] + [each.end for each in windows]
    pads[-1] += 1
    wider = new.constant(np.pad(constant, ((0, 0), (0, 0), (0, 0), (0, 1))))
    shape = [kernel[0], kernel[1] + 1]
    return new.clone_node(value, wider, *bias, op="Conv", kernel_shape=shape, pads=pads, auto_pad=None)[0]


def magnitude(new: SubgraphBuilder, position: int, zero_point: Value | None) -> NDArray[Any] | int:
    """Largest magnitude that `centred` can have: element by element of a constant, else one number."""
    value = new.input(position)
    zero = None if zero_point is None else zero_point.constant
    if value.constant is not None and (zero_point is None or zero is not None):
        shift = np.int64(0) if zero is None else zero.astype(np.int64)
        return np.asarray(np.abs(value.constant.astype(np.int64) - shift))
    low, high = RANGES[value.dtype]
    if zero_point is None:
        return max(-low, high)
    if zero is None:
        return high - low
    return int(max(high - zero.astype(np.int64).min(), zero.astype(np.int64).max() - low))


def _inserted(shape: tuple[int, ...], axis: int, block: int) -> list[int]:
    return [*shape[: axis + 1], block, *shape[axis + 1 :]]
