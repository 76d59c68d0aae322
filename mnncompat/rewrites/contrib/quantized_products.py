"""Quantised products of matrices of ONNX Runtime's own domain; `contrib-op-to-onnx` calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.contrib.quantized_parameters import (
    column_parameter,
    folded,
    is_number,
    scalar,
    tensor_scale,
    tensor_zero_point,
)
from mnncompat.rewrites.core.examples import rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import centred, quantized, wide

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts


def examples() -> tuple[Example, ...]:
    """One of each kind."""
    ms = '"": 13, "com.microsoft": 1'
    a = "float as = {0.02}, uint8 az = {113}"
    return (
        rewritten(
            "quantised gemm",
            f"""(uint8[N,3] a) => (uint8[N,2] y) <{a}, int8[2,3] b = {{1,-2,3,90,-5,60}}, float[2] bs = {{0.1,0.05}},
            int8[2] bz = {{0,2}}, int32[2] w = {{900,-40}}, float cs = {{0.9}}, uint8 cz = {{100}}> {{
            y = com.microsoft.QGemm<transB=1>(a,as,az,b,bs,bz,w,cs,cz) }}""",
            becomes="2 Add, 2 Cast, Clip, MatMul, Mul, Round, Sub",
            imports=ms,
        ),
        rewritten(
            "products to float",
            f"""(uint8[N,3] a, float[N,3] x) => (float[N,2] y) <{a}, int8[3,2] b = {{1,-2,3,90,-5,60}},
            float[2] bs = {{0.1,0.05}}, int8[2] bz = {{0,2}}> {{
            m = com.microsoft.MatMulIntegerToFloat(a,b,as,bs,az,bz)
            d = com.microsoft.DynamicQuantizeMatMul(x,b,bs,bz,c) y = Add(m,d) }}""",
            becomes="2 Add, 2 Cast, DynamicQuantizeLinear, 2 MatMulInteger, 3 Mul",
            imports=ms,
            c=(2,),
        ),
    )


def _gemm(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """QGemm: quantised if there is a scale of the result, float if not."""
    alpha = np.float32(node.attribute("alpha") if node.given("alpha") else 1.0)
    swapped = bool(node.attribute("transA")), bool(node.attribute("transB"))
    one = centred(new, 0, scalar(new, 2, new.input(2)) if new.has(2) else None)
    two = centred(new, 3, column_parameter(new, 5, across=swapped[1]) if new.has(5) else None)
    total = (_swapped(new, one) if swapped[0] else one) @ (_swapped(new, two) if swapped[1] else two)
    if new.has(6):
        total = total + wide(new, new.input(6))
    scales = [tensor_scale(new, 1), column_parameter(new, 4)]
    if not new.has(7):
        return [total * folded(new, lambda a, b: alpha * a * b, *scales)]
    factor = folded(new, lambda a, b, unit: alpha * a * b / unit, *scales, tensor_scale(new, 7))
    dtype = new.input(8).dtype if new.has(8) else new.input(0).dtype
    return [quantized(new, total * factor, tensor_zero_point(new, 8), dtype)]


def _swapped(new: SubgraphBuilder, value: Value) -> Value:
    constant = value.constant
    return new.transpose(value, [1, 0]) if constant is None else new.constant(constant.T)


def _dynamic_product(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """DynamicQuantizeMatMul: the left operand is quantised at run time."""
    one, scale, zero = new.ops("DynamicQuantizeLinear", new.input(0), count=3)
    return [scaled_product(new, (one, new.input(1)), (zero, 3), (scale, column_parameter(new, 2)), 4)]


def _integer_product(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """MatMulIntegerToFloat."""
    zero = new.input(4) if new.has(4) else None
    if zero is not None and not is_number(zero):
        raise NotApplicable(f"zero points {zero.dims} of the left operand")
    return [
        scaled_product(
            new, (new.input(0), new.input(1)), (zero, 5), (tensor_scale(new, 2), column_parameter(new, 3)), 6
        )
    ]


def scaled_product(
    new: SubgraphBuilder,
    operands: tuple[Value, Value],
    zeros: tuple[Value | None, int],
    scales: tuple[Value, Value],
    bias: int,
) -> Value:
    """A product of integers as MatMulInteger, its scale, and a bias in float32."""
    zero = new.input(zeros[1]) if new.has(zeros[1]) else None
    total = new.cast(new.op("MatMulInteger", *operands, zeros[0], zero), TensorProto.FLOAT)
    value = total * folded(new, lambda one, two: one * two, *scales)
    return value + new.input(bias) if new.has(bias) else value


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "DynamicQuantizeMatMul": _dynamic_product,
    "MatMulIntegerToFloat": _integer_product,
    "QGemm": _gemm,
}
"""How each is emitted, by op type."""
