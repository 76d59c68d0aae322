"""Quantised operators of ONNX Runtime's own domain, emitted in float arithmetic; `contrib-op-to-onnx` calls them.

ONNX Runtime computes most in float32, some round before the zero point is added and some after: each is emitted in the
order of its kernel for x86, which decides how values half way between two integers are rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.contrib.quantized_parameters import folded, tensor_scale, tensor_zero_point, zero_as_float
from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import RANGES, centred, quantized, rounded, wide

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_SOFTMAX_SINCE = 13
_POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")

# Parts of the examples.
_IMPORTS = '"": 13, "com.microsoft": 1'
_A, _B, _C = (
    "float as = {0.02}, uint8 az = {113}",
    "float bs = {0.04}, uint8 bz = {90}",
    "float cs = {0.05}, uint8 cz = {7}",
)
_PAIR = "(uint8[N,3,4] a, uint8[N,3,4] b) => (uint8[N,3,4] y)"


def examples() -> tuple[Example, ...]:
    """One of each kind."""
    return (*_element_by_element(), *_along_axes())


def _element_by_element() -> tuple[Example, ...]:
    """Arithmetic and activations, and a scale that the operator does not have."""
    return (
        rewritten(
            "sum",
            f"{_PAIR} <{_A}, {_B}, {_C}> {{ y = com.microsoft.QLinearAdd(a,as,az,b,bs,bz,cs,cz) }}",
            becomes="2 Add, 3 Cast, Clip, 2 Mul, Round",
            imports=_IMPORTS,
        ),
        rewritten(
            "product",
            f"""(uint8[N,3,4] a) => (uint8[N,3,4] y) <{_A}, uint8[4] b = {{1,90,200,255}}, {_B}, {_C}> {{
            y = com.microsoft.QLinearMul(a,as,az,b,bs,bz,cs,cz) }}""",
            becomes="Add, 2 Cast, Clip, 2 Mul, Round, Sub",
            imports=_IMPORTS,
        ),
        rewritten(
            "activations and parts",
            f"""(uint8[N,3,4] a, uint8[N,3,4] b) => (uint8[N,3,8] y) <{_A}, {_B}, {_C}> {{
            s = com.microsoft.QLinearSigmoid(a,as,az,cs,cz)
            r = com.microsoft.QLinearLeakyRelu<alpha=0.1>(b,bs,bz,as,az)
            y = com.microsoft.QLinearConcat<axis=2>(cs,cz,s,cs,cz,r,as,az) }}""",
            becomes="3 Add, 7 Cast, 3 Clip, Concat, 3 Div, LeakyRelu, 4 Mul, 3 Round, Sigmoid, 4 Sub",
            imports=_IMPORTS,
        ),
        refused(
            "a scale for each row",
            "input 1 is",
            f"""(uint8[2,3] a, uint8[2,3] b, float[2] t) => (uint8[2,3] y) <{_A}, {_B}, {_C}> {{
            y = com.microsoft.QLinearMul(a,t,az,b,bs,bz,cs,cz) }}""",
            imports=_IMPORTS,
        ),
    )


def _along_axes() -> tuple[Example, ...]:
    """Convolutions, pools, means and softmax."""
    return (
        rewritten(
            "quantised convolution behind a quantised sum, which tells its type",
            f"""(uint8[1,2,5,5] a, uint8[1,2,5,5] b) => (uint8[1,1,5,5] y) <{_A}, {_B}, {_C},
            int8[1,2,1,1] w = {{100,-5}}, float ws = {{0.1}}, int8 wz = {{0}}> {{
            d = com.microsoft.QLinearAdd(a,as,az,b,bs,bz,cs,cz) y = QLinearConv(d,cs,cz,w,ws,wz,as,az) }}""",
            becomes="2 Add, 3 Cast, Clip, 2 Mul, QLinearConv, Round",
            imports=_IMPORTS,
        ),
        rewritten(
            "channels last",
            f"""(uint8[1,5,5,2] a) => (uint8[1,2,2,3] y) <{_A}, {_C}, int8[3,2,1,1] w = {{100,-5,3,7,-90,2}},
            float[3] ws = {{0.1,0.2,0.3}}, int8[3] wz = {{0,0,0}}> {{
            d = com.microsoft.QLinearConv<channels_last=1,kernel_shape=[1,1]>(a,as,az,w,ws,wz,cs,cz)
            e = com.microsoft.NhwcMaxPool<kernel_shape=[2,2]>(d)
            y = com.microsoft.QLinearAveragePool<kernel_shape=[3,3],pads=[1,1,1,1],strides=[2,2],channels_last=1>
            (e,cs,cz,as,az) }}""",
            becomes="Add, AveragePool, 2 Cast, Clip, Div, MaxPool, Mul, QLinearConv, Round, Sub, 6 Transpose",
            imports=_IMPORTS,
        ),
        rewritten(
            "means",
            f"""(uint8[1,4,6,2] a) => (uint8[1,1,1,2] y) <{_A}, {_C}> {{
            y = com.microsoft.QLinearGlobalAveragePool<channels_last=1>(a,as,az,cs,cz) }}""",
            becomes="Add, 2 Cast, Clip, Mul, ReduceSum, Round, Sub",
            imports=_IMPORTS,
        ),
        rewritten(
            "softmax of several axes",
            f"""(uint8[2,3,4] a) => (uint8[2,3,4] y) <{_A}, float cs = {{0.00390625}}, uint8 cz = {{0}}> {{
            y = com.microsoft.QLinearSoftmax<axis=1, opset=11>(a,as,az,cs,cz) }}""",
            becomes="2 Cast, Clip, 2 Mul, 2 Reshape, Round, Softmax",
            imports=_IMPORTS,
        ),
    )


# ---- element by element --------------------------------------------------------------------------------------------


def _sum(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """QLinearAdd: the zero points become one number, to which the operands are added in units of the result."""
    one, two, result = (tensor_scale(new, position) for position in (1, 4, 6))
    first, second = (folded(new, lambda scale, unit: scale / unit, each, result) for each in (one, two))
    zeros = (first, zero_as_float(new, 2), second, zero_as_float(new, 5), zero_as_float(new, 7))
    shift = folded(new, lambda a, za, b, zb, zc: zc - (a * za + b * zb), *zeros)
    value = folded(new, lambda b, scale, rest: b * scale + rest, wide(new, new.input(3)), second, shift)
    return [_saturated(new, wide(new, new.input(0)) * first + value, new.input(0).dtype)]


def _product(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """QLinearMul: the product of the integers is exact."""
    scales = (tensor_scale(new, position) for position in (1, 4, 6))
    factor = folded(new, lambda one, two, result: one * two / result, *scales)
    value = centred(new, 0, tensor_zero_point(new, 2)) * centred(new, 3, tensor_zero_point(new, 5)) * factor
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
    """QLinearSoftmax: as the opset in its attribute defines it; the zero point cancels out.

    ONNX Runtime multiplies by the largest integer that is not more than the reciprocal of the scale.
    """
    value = wide(new, new.input(0)) * tensor_scale(new, 1)
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
    scale = tensor_scale(new, 3).constant
    if scale is None:
        raise NotApplicable("the scale of the result is computed at run time")
    levels = np.asarray(np.floor(np.float32(1.0) / scale), np.float32)
    return [quantized(new, value * levels, tensor_zero_point(new, 4), new.input(0).dtype)]


def _average_pool(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    given = {name: node.attribute(name) for name in _POOL if node.given(name)}
    value, rank, last = _real(new, 0), new.input(0).rank, bool(node.attribute("channels_last"))
    value = new.op("AveragePool", _to_second(new, value, rank) if last else value, **given)
    value = (_to_last(new, value, rank) if last else value) / tensor_scale(new, 3)
    return [_saturated(new, _shifted(new, value, 4), new.input(0).dtype)]


def _global_average_pool(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """QLinearGlobalAveragePool: an exact sum of integers and one factor, if it is known over how many."""
    rank, last = new.input(0).rank, bool(node.attribute("channels_last"))
    axes = list(range(1, rank - 1) if last else range(2, rank))
    value, scales = centred(new, 0, tensor_zero_point(new, 2)), (tensor_scale(new, 1), tensor_scale(new, 3))
    sizes = [size for size in (new.input(0).dims[axis] for axis in axes) if isinstance(size, int)]
    if len(sizes) < len(axes):
        factor = folded(new, lambda scale, unit: scale / unit, *scales)
        total = new.reduce("ReduceMean", value, axes)
    else:
        count = float(math.prod(sizes))
        factor = folded(new, lambda scale, unit: scale / (unit * count), *scales)
        total = new.reduce("ReduceSum", value, axes)
    return [quantized(new, total * factor, tensor_zero_point(new, 4), new.input(0).dtype)]


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


# ---- parts ---------------------------------------------------------------------------------------------------------


def _real(new: SubgraphBuilder, position: int) -> Value:
    """The dequantised values of an input, which scale and zero point follow."""
    value = centred(new, position, tensor_zero_point(new, position + 2))
    return folded(new, lambda integers, scale: integers * scale, value, tensor_scale(new, position + 1))


def _quantized(new: SubgraphBuilder, value: Value, position: int, dtype: int) -> Value:
    """QuantizeLinear by the scale at a position, which the zero point follows."""
    return quantized(new, value / tensor_scale(new, position), tensor_zero_point(new, position + 1), dtype)


def _shifted(new: SubgraphBuilder, value: Value, position: int) -> Value:
    zero = zero_as_float(new, position)
    return value if zero.constant is not None and not zero.constant.any() else value + zero


def _saturated(new: SubgraphBuilder, value: Value, dtype: int) -> Value:
    """Round, clip and cast a value that includes the zero point."""
    if dtype not in RANGES:
        raise NotApplicable(f"the result is {TensorProto.DataType.Name(dtype)}")
    return new.cast(new.clip(rounded(new, value), *map(float, RANGES[dtype])), dtype)


def _to_second(new: SubgraphBuilder, value: Value, rank: int) -> Value:
    """Channels from the last axis to the second one."""
    return new.transpose(value, [0, rank - 1, *range(1, rank - 1)])


def _to_last(new: SubgraphBuilder, value: Value, rank: int) -> Value:
    return new.transpose(value, [0, *range(2, rank), 1])


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "NhwcMaxPool": _max_pool,
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
