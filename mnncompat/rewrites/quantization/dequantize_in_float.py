"""DequantizeLinear in float arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.core.values import element_of, require_broadcast
from mnncompat.rewrites.quantization.quantized import RANGES, centred, spread, wide

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class DequantizeInFloat(NodeRewrite):
    """Write DequantizeLinear as arithmetic of floats.

    **What.** DequantizeLinear of integers of 8, 16 and 32 bits: one scale, one for each index of an axis, one for each
    block.

    **Why.** MNN treats every operand as a weight: the axes of rank 4 are swapped, other ranks are not scaled. It reads
    some weights wrongly; these are stored as floats.

    **Before and after**::

        y = DequantizeLinear(x, scale, zero_point)
        y = (Cast(x) - zero_point) * scale

    **Algebra.** ONNX's definition.

    **Refuses** 8-bit floats and integers of less than 8 bits, which MNN has no tensors for, and blocks along a dynamic
    dimension.

    **Source.** https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
    """

    code = "MNN914"
    name = "dequantize-in-float"
    summary = "written as Cast, Sub and Mul"
    op_types = ("DequantizeLinear",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the arithmetic."""
        value = new.input(0)
        if value.dtype not in RANGES and value.dtype != TensorProto.INT32:
            raise NotApplicable(f"what is dequantised is {TensorProto.DataType.Name(value.dtype)}")
        axis = node.attribute("axis") if node.given("axis") else 1
        block = node.attribute("block_size") or 0
        scale = spread(new, wide(new, new.input(1)), value, axis, block)
        zero = spread(new, new.input(2), value, axis, block) if new.has(2) else None
        result = node.attribute("output_dtype") or new.input(1).dtype
        centre = centred(new, 0, zero)
        if centre.constant is not None and scale.constant is not None:
            require_broadcast(centre.constant.shape, scale.constant.shape)
            return new.constant((centre.constant * scale.constant).astype(element_of(result)))
        return new.cast(centre * scale, result)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Types and kinds of scales, and models that stay unchanged or are refused."""
        return (
            *_values(),
            *_weights(),
            refused(
                "8-bit floats",
                "what is dequantised is FLOAT8E5M2",
                "(float8e5m2[2,3] x, float s) => (float[2,3] y) { y = DequantizeLinear(x, s) }",
                opset=21,
            ),
            unchanged(
                "a weight that MNN reads right",
                """(float[2,3] x) => (float[2,2] y) <int8[3,2] w = {1,2,3,-4,-5,6}, float s = {0.5}> {
                d = DequantizeLinear(w, s) y = MatMul(x, d) }""",
            ),
        )


def _values() -> tuple[Example, ...]:
    """Types of values and kinds of scales."""
    return (
        rewritten(
            "rank 4, dynamic batch",
            """(uint8[N,3,4,4] x) => (float[N,3,4,4] y) <float s = {0.013}, uint8 z = {100}> {
            y = DequantizeLinear(x, s, z) }""",
            becomes="Cast, Mul, Sub",
        ),
        rewritten(
            "int8, one scale for each channel",
            "(int8[2,3,4] x, float[3] s, int8[3] z) => (float[2,3,4] y) { y = DequantizeLinear(x, s, z) }",
            becomes="2 Cast, Mul, 2 Reshape, Sub",
        ),
        rewritten(
            "between float operators",
            """(float[2,3] x) => (float[2,3] y) <float s = {0.01}, int8 z = {5}> {
            q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }""",
            becomes="Cast, Mul, QuantizeLinear, Sub",
            opset=10,
        ),
        rewritten(
            "blocks of float16",
            "(int8[5,2] x, float16[2,2] s) => (float16[5,2] y) { y = DequantizeLinear<axis=0, block_size=3>(x,s) }",
            becomes="3 Cast, Expand, Mul, Reshape, Slice, Unsqueeze",
            opset=21,
        ),
    )


def _weights() -> tuple[Example, ...]:
    """Constants."""
    return (
        rewritten(
            "a weight that MNN reads wrong",
            """(float[1,2,4,4] x) => (float[1,1,4,4] y) <int8[1,2,1,1] w = {100,-5}, float s = {0.1}> {
            d = DequantizeLinear(w, s) y = Conv(x, d) }""",
            becomes="Constant, Conv",
        ),
        rewritten(
            "a weight with a scale for each row",
            """(float[2,3] x) => (float[2,4] y) <int8[4,3] w = {1,2,3,-4,-5,6,7,8,9,10,11,-12}> {
            d = DequantizeLinear<axis=0>(w, vars) y = Gemm<transB=1>(x, d) }""",
            becomes="Constant, Gemm",
            vars=(4,),
        ),
        rewritten(
            "a weight that is read while converting",
            """(float[1,2,5] x) => (float[1,2,5] y) <int8[2] w = {100,-5}, float s = {0.1}> {
            d = DequantizeLinear(w, s) y = InstanceNormalization(x, d, b) }""",
            becomes="Constant, InstanceNormalization",
            b=(2,),
        ),
        rewritten(
            "a zero point of 32 bits",
            """(float[2,3] x) => (float[2,3] y) <int32[3] w = {100,-5,7}, float s = {0.1}, int32 z = {50}> {
            d = DequantizeLinear(w, s, z) y = Mul(x, d) }""",
            becomes="Constant, Mul",
        ),
    )
