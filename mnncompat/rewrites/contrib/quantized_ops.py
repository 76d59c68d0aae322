"""Quantised operators of ONNX Runtime's own domain, emitted in float arithmetic; `contrib-op-to-onnx` calls them.

ONNX Runtime computes most in float32, some round before the zero point is added and some after: each is emitted in the
order that its kernel for x86 has, which decides where a value is half way between two integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import RANGES, centred, quantized, rounded, wide

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_SOFTMAX_SINCE = 13
_POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")


# ---- element by element --------------------------------------------------------------------------------------------


def _sum(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """QLinearAdd: all zero points are one number, to which the operands are added in units of the result."""
    one, two, result = (_number(new, position) for position in (1, 4, 6))
    first, second = (_folded(new, lambda scale, unit: scale / unit, each, result) for each in (one, two))
    zeros = (first, _zero(new, 2), second, _zero(new, 5), _zero(new, 7))
    shift = _folded(new, lambda a, za, b, zb, zc: zc - (a * za + b * zb), *zeros)
    value = _folded(new, lambda b, scale, rest: b * scale + rest, wide(new, new.input(3)), second, shift)
    return [_saturated(new, wide(new, new.input(0)) * first + value, new.input(0).dtype)]


def _product(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """QLinearMul: the product of the integers is exact."""
    scales = (_number(new, position) for position in (1, 4, 6))
    factor = _folded(new, lambda one, two, result: one * two / result, *scales)
    value = centred(new, 0, _zero_point(new, 2)) * centred(new, 3, _zero_point(new, 5)) * factor
    return [_saturated(new, _shifted(new, value, 7), new.input(0).dtype)]


def _sigmoid(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    return [_quantized(new, new.op("Sigmoid", _real(new, 0)), 3, new.input(0).dtype)]


def _leaky_relu(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    alpha = node.attribute("alpha") if node.given("alpha") else 0.01
    return [_quantized(new, new.op("LeakyRelu", _real(new, 0), alpha=alpha), 3, new.input(0).dtype)]


def _where(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    value = new.op("Where", new.input(0), _real(new, 1), _real(new, 4))
    return [_quantized(new, value, 7, new.input(1).dtype)]


def _concat(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """QLinearConcat: scale and zero point of the result come first, then three inputs for each part."""
    parts = [_real(new, position) for position in range(2, len(node.node.input), 3)]
    return [_quantized(new, new.concat(parts, int(node.attribute("axis") or 0)), 0, new.input(2).dtype)]


# ---- along axes ----------------------------------------------------------------------------------------------------


def _softmax(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """QLinearSoftmax: by the definition of an opset of its own; the zero point falls out.

    ONNX Runtime multiplies by the largest integer that is not more than the reciprocal of the scale.
    """
    value = wide(new, new.input(0)) * _number(new, 1)
    rank, flattens = value.rank, int(node.attribute("opset") or _SOFTMAX_SINCE) < _SOFTMAX_SINCE
    axis = int(node.attribute("axis")) if node.given("axis") else 1 if flattens else -1
    axis %= rank
    if flattens and axis != rank - 1:
        first = [0] * axis
        inner = [new.input(0).dim(each) for each in range(axis, rank)]
        flat = new.op("Softmax", new.reshape(value, [*first, -1]), axis=axis)
        value = new.reshape(flat, [*first, *inner])
    elif new.opset >= _SOFTMAX_SINCE or axis == rank - 1:
        value = new.op("Softmax", value, axis=axis)
    else:
        order = [*range(axis), *range(axis + 1, rank), axis]
        back = [order.index(each) for each in range(rank)]
        value = new.transpose(new.op("Softmax", new.transpose(value, order), axis=rank - 1), back)
    scale = _number(new, 3).constant
    if scale is None:
        raise NotApplicable("the scale of the result is computed at run time")
    levels = np.asarray(np.floor(np.float32(1.0) / scale), np.float32)
    return [quantized(new, value * levels, _zero_point(new, 4), new.input(0).dtype)]


def _average_pool(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    given = {name: node.attribute(name) for name in _POOL if node.given(name)}
    value, rank, last = _real(new, 0), new.input(0).rank, bool(node.attribute("channels_last"))
    value = new.op("AveragePool", _to_second(new, value, rank) if last else value, **given)
    value = (_to_last(new, value, rank) if last else value) / _number(new, 3)
    return [_saturated(new, _shifted(new, value, 4), new.input(0).dtype)]


def _global_average_pool(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """QLinearGlobalAveragePool: an exact sum of integers and one factor, if it is known over how many."""
    rank, last = new.input(0).rank, bool(node.attribute("channels_last"))
    axes = list(range(1, rank - 1) if last else range(2, rank))
    value, scales = centred(new, 0, _zero_point(new, 2)), (_number(new, 1), _number(new, 3))
    sizes = [size for size in (new.input(0).dims[axis] for axis in axes) if isinstance(size, int)]
    if len(sizes) < len(axes):
        factor = _folded(new, lambda scale, unit: scale / unit, *scales)
        total = new.reduce("ReduceMean", value, axes)
    else:
        count = float(math.prod(sizes))
        factor = _folded(new, lambda scale, unit: scale / (unit * count), *scales)
        total = new.reduce("ReduceSum", value, axes)
    return [quantized(new, total * factor, _zero_point(new, 4), new.input(0).dtype)]


def _max_pool(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """NhwcMaxPool, whose channels always come last."""
    rank = new.input(0).rank
    return [_to_last(new, new.clone_node(_to_second(new, new.input(0), rank), op="MaxPool")[0], rank)]


def _convolution(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """QLinearConv, which has channels_last here."""
    if not node.attribute("channels_last"):
        return [*new.clone_node(channels_last=None)]
    rank, operands = new.input(0).rank, range(1, len(node.node.input))
    others = [new.input(position) if new.has(position) else None for position in operands]
    value = new.clone_node(_to_second(new, new.input(0), rank), *others, channels_last=None)[0]
    return [_to_last(new, value, rank)]


# ---- products of matrices ------------------------------------------------------------------------------------------


def _gemm(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """QGemm: quantised if there is a scale of the result, float if not."""
    alpha = np.float32(node.attribute("alpha") if node.given("alpha") else 1.0)
    swapped = bool(node.attribute("transA")), bool(node.attribute("transB"))
    one = centred(new, 0, _scalar(new, 2, new.input(2)) if new.has(2) else None)
    two = centred(new, 3, _column(new, 5, across=swapped[1]) if new.has(5) else None)
    total = (_swapped(new, one) if swapped[0] else one) @ (_swapped(new, two) if swapped[1] else two)
    if new.has(6):
        total = total + wide(new, new.input(6))
    scales = [_number(new, 1), _column(new, 4)]
    if not new.has(7):
        return [total * _folded(new, lambda a, b: alpha * a * b, *scales)]
    factor = _folded(new, lambda a, b, unit: alpha * a * b / unit, *scales, _number(new, 7))
    dtype = new.input(8).dtype if new.has(8) else new.input(0).dtype
    return [quantized(new, total * factor, _zero_point(new, 8), dtype)]


def _swapped(new: SubgraphBuilder, value: Value) -> Value:
    constant = value.constant
    return new.transpose(value, [1, 0]) if constant is None else new.constant(constant.T)


def _dynamic_product(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """DynamicQuantizeMatMul: the left operand is quantised when it is known."""
    one, scale, zero = new.ops("DynamicQuantizeLinear", new.input(0), count=3)
    return [_scaled_product(new, (one, new.input(1)), (zero, 3), (scale, _column(new, 2)), 4)]


def _integer_product(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """MatMulIntegerToFloat."""
    zero = new.input(4) if new.has(4) else None
    if zero is not None and not _is_number(zero):
        raise NotApplicable(f"zero points {zero.dims} of the left operand")
    return [_scaled_product(new, (new.input(0), new.input(1)), (zero, 5), (_number(new, 2), _column(new, 3)), 6)]


def _scaled_product(
    new: SubgraphBuilder,
    operands: tuple[Value, Value],
    zeros: tuple[Value | None, int],
    scales: tuple[Value, Value],
    bias: int,
) -> Value:
    """A product of integers as MatMulInteger, its scale, and a bias in float32."""
    zero = new.input(zeros[1]) if new.has(zeros[1]) else None
    total = new.cast(new.op("MatMulInteger", *operands, zeros[0], zero), TensorProto.FLOAT)
    value = total * _folded(new, lambda one, two: one * two, *scales)
    return value + new.input(bias) if new.has(bias) else value


# ---- parts ---------------------------------------------------------------------------------------------------------


def _is_number(value: Value) -> bool:
    return value.rank == 0 or value.dims == (1,)


def _scalar(new: SubgraphBuilder, position: int, value: Value) -> Value:
    """A scale or zero point of a whole tensor in rank 0."""
    if not _is_number(value):
        raise NotApplicable(f"input {position} is {value.dims}: one number for the tensor is known")
    constant = value.constant
    if constant is not None:
        return new.constant(constant.reshape(()))
    return value if value.rank == 0 else new.reshape(value, ())


def _number(new: SubgraphBuilder, position: int) -> Value:
    """A scale in float32 and rank 0."""
    return _scalar(new, position, wide(new, new.input(position)))


def _zero_point(new: SubgraphBuilder, position: int) -> Value | None:
    return _scalar(new, position, new.input(position)) if new.has(position) else None


def _zero(new: SubgraphBuilder, position: int) -> Value:
    """A zero point in float32; 0 if it is left out."""
    zero = _zero_point(new, position)
    return new.constant(np.zeros((), np.float32)) if zero is None else wide(new, zero)


def _column(new: SubgraphBuilder, position: int, *, across: bool = False) -> Value:
    """One number, or one for each column of a product; `across`: of an operand that is yet to be transposed."""
    value = new.input(position)
    if _is_number(value):
        return _scalar(new, position, value)
    if not across:
        return value
    constant = value.constant
    return new.unsqueeze(value, [1]) if constant is None else new.constant(constant[:, None])


def _folded(new: SubgraphBuilder, formula: Callable[..., Any], *values: Value) -> Value:
    """A formula of values, computed here and now if all of them are constant."""
    constants = [each.constant for each in values]
    if any(each is None for each in constants):
        result: Value = formula(*values)
        return result
    return new.constant(np.asarray(formula(*(np.asarray(each, np.float32) for each in constants)), np.float32))


def _real(new: SubgraphBuilder, position: int) -> Value:
    """What the integers of an input stand for; scale and zero point follow it."""
    value = centred(new, position, _zero_point(new, position + 2))
    return _folded(new, lambda integers, scale: integers * scale, value, _number(new, position + 1))


def _quantized(new: SubgraphBuilder, value: Value, position: int, dtype: int) -> Value:
    """QuantizeLinear by a scale, whose zero point follows it."""
    return quantized(new, value / _number(new, position), _zero_point(new, position + 1), dtype)


def _shifted(new: SubgraphBuilder, value: Value, position: int) -> Value:
    zero = _zero(new, position)
    return value if zero.constant is not None and not zero.constant.any() else value + zero


def _saturated(new: SubgraphBuilder, value: Value, dtype: int) -> Value:
    """Rounded when the zero point is in it."""
    if dtype not in RANGES:
        raise NotApplicable(f"the result is {TensorProto.DataType.Name(dtype)}")
    return new.cast(new.clip(rounded(new, value), *map(float, RANGES[dtype])), dtype)


def _to_second(new: SubgraphBuilder, value: Value, rank: int) -> Value:
    """Channels from the last axis to the second one."""
    return new.transpose(value, [0, rank - 1, *range(1, rank - 1)])


def _to_last(new: SubgraphBuilder, value: Value, rank: int) -> Value:
    return new.transpose(value, [0, *range(2, rank), 1])


QUANTIZED_EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "DynamicQuantizeMatMul": _dynamic_product,
    "MatMulIntegerToFloat": _integer_product,
    "NhwcMaxPool": _max_pool,
    "QGemm": _gemm,
    "QLinearAdd": _sum,
    "QLinearAveragePool": _average_pool,
    "QLinearConcat": _concat,
    "QLinearConv": _convolution,
    "QLinearGlobalAveragePool": _global_average_pool,
    "QLinearLeakyRelu": _leaky_relu,
    "QLinearMul": _product,
    "QLinearSigmoid": _sigmoid,
    "QLinearSoftmax": _softmax,
    "QLinearWhere": _where,
}
"""How each is emitted, by op type."""
