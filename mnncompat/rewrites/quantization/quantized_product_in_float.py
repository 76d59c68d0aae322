"""Quantised products in float arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import centred, convolved, quantized, wide

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_CONV = "QLinearConv"
_BIAS = 8


class QuantizedProductInFloat(NodeRewrite):
    """Write QLinearMatMul and QLinearConv as MatMul and Conv of float32.

    **What.** Both, of int8 and uint8, with scales for a tensor or for each row, column or channel.

    **Why.** MNN's converter does not know them.

    **Before and after**::

        y = QLinearConv(x, xs, xz, w, ws, wz, ys, yz, bias)
        y = Cast(Clip(Round(Conv(Cast(x) - xz, w - wz, bias) * (xs * ws / ys)) + yz))

    **Algebra.** ONNX's definition. Sums below 2^24 are exact in float32; beyond that they are as exact as the float32
    numbers by which they are multiplied. Square kernels get a column of zeros: MNN runs them by Winograd's transform,
    which is not exact. The weight, its zero point and the scales are multiplied beforehand where they
    are constant.

    **Refuses** 8-bit floats.

    **Source.** https://onnx.ai/onnx/operators/onnx__QLinearConv.html,
    https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html
    """

    code = "MNN917"
    name = "quantized-product-in-float"
    summary = "written in float32, and quantised by Round, Clip and Cast"
    op_types = ("QLinearMatMul", _CONV)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the product and its quantisation."""
        convolves = node.node.op_type == _CONV
        for position in (0, 3):
            if new.input(position).element.kind not in "iu":
                raise NotApplicable(f"'{new.input(position).name}' is no integer")
        rank = new.input(0).rank
        one = centred(new, 0, _spread(new, 2, 0, rank, convolves=convolves))
        two = centred(new, 3, _spread(new, 5, 3, new.input(3).rank, convolves=convolves))
        if convolves:
            bias = [wide(new, new.input(_BIAS))] if new.has(_BIAS) else []
            total = convolved(node, new, one, two, *bias)
        else:
            total = one @ two
        scales = [_scale(new, position, rank, convolves=convolves) for position in (1, 4, 6)]
        factor = _product(new, scales[0], scales[1], scales[2])
        return quantized(new, total * factor, new.input(7), new.input(7).dtype)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Scales of both kinds, and models that stay unchanged or are refused."""
        return (
            rewritten(
                "matrix, dynamic batch",
                """(uint8[N,3] a) => (uint8[N,2] y) <float s = {0.02}, uint8 z = {113}, int8[3,2] b = {1,-2,3,90,-5,60},
                float[2] t = {0.1,0.05}, int8[2] zb = {0,2}, float u = {0.9}> {
                y = QLinearMatMul(a, s, z, b, t, zb, u, z) }""",
                becomes="Add, 2 Cast, Clip, MatMul, Mul, Round, Sub",
            ),
            rewritten(
                "convolution, scales for each channel, bias",
                """(uint8[1,2,5,5] x, int8[3,2,3,3] w) => (uint8[1,3,5,5] y) <float s = {0.02}, uint8 z = {128},
                float[3] t = {0.1,0.05,0.2}, int8[3] zw = {0,0,0}, float u = {1.5}, uint8 zy = {103}, int32[3] b =
                {1000,-5,70}> { y = QLinearConv<pads=[1,1,1,1]>(x, s, z, w, t, zw, u, zy, b) }""",
                becomes="Add, 3 Cast, Clip, Conv, Mul, Round, Sub",
            ),
            refused(
                "8-bit floats",
                "'a' is no integer",
                """(float8e5m2[2,3] a, float s, float8e5m2 z, float8e5m2[3,2] b) => (float8e5m2[2,2] y) {
                y = QLinearMatMul(a, s, z, b, s, z, s, z) }""",
                opset=21,
            ),
            unchanged("floats", "(float[2,3] a, float[3,2] b) => (float[2,2] y) { y = MatMul(a, b) }"),
        )


def _spread(new: SubgraphBuilder, position: int, of: int, rank: int, *, convolves: bool) -> Value:
    """A scale or zero point in a shape that is broadcast against its operand (of a convolution: a weight, by rows)."""
    value = new.input(position)
    if value.rank == 0 or value.dims == (1,):
        return _shaped(new, value, ())
    if value.rank > 1:
        return value
    if convolves:
        return _shaped(new, value, (-1, *[1] * (rank - 1)))
    return _shaped(new, value, (-1, 1)) if of == 0 else value


def _scale(new: SubgraphBuilder, position: int, rank: int, *, convolves: bool) -> Value:
    """A scale in a shape that is broadcast against the result."""
    value = wide(new, new.input(position))
    if value.rank == 0 or value.dims == (1,):
        return _shaped(new, value, ())
    if value.rank > 1:
        return value
    if convolves:
        return _shaped(new, value, (-1, *[1] * (rank - 2)))
    return value if position != 1 else _shaped(new, value, (-1, 1))


def _shaped(new: SubgraphBuilder, value: Value, shape: tuple[int, ...]) -> Value:
    constant = value.constant
    if constant is not None:
        return new.constant(constant.reshape(shape))
    return value if value.rank == 0 else new.reshape(value, shape)


def _product(new: SubgraphBuilder, one: Value, two: Value, divisor: Value) -> Value:
    """Two factors and a divisor as one factor, folded if all are constant."""
    constants = [each.constant for each in (one, two, divisor)]
    if any(each is None for each in constants):
        return one * two / divisor
    first, second, third = (np.asarray(each, np.float32) for each in constants)
    return new.constant(np.asarray(first * second / third, np.float32))
