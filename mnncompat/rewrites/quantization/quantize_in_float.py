"""QuantizeLinear in float arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import quantized, spread, wide

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class QuantizeInFloat(NodeRewrite):
    """Write QuantizeLinear as arithmetic of floats.

    **What.** QuantizeLinear to integers of 8 and 16 bits: one scale, one for each index of an axis, one for each block.

    **Why.** MNN has quantised tensors of its own kind only: its result of QuantizeLinear is int8 for every zero point,
    is offset by 128, and fails as an operand of most operators.

    **Before and after**::

        y = QuantizeLinear(x, scale, zero_point)
        y = Cast(Clip(Round(x / scale) + zero_point, 0, 255), to = uint8)

    **Algebra.** ONNX's definition; all of these integers are exact in float32.

    **Refuses** 8-bit floats and integers of less than 8 bits, which MNN has no tensors for, and blocks along a dynamic
    dimension.

    **Source.** https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
    """

    code = "MNN913"
    name = "quantize-in-float"
    summary = "written as Div, Round, Add, Clip and Cast"
    op_types = ("QuantizeLinear",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the arithmetic."""
        value, axis, block = new.input(0), node.attribute("axis") or 0, node.attribute("block_size") or 0
        if not node.given("axis"):
            axis = 1
        scale = spread(new, wide(new, new.input(1)), value, axis, block)
        zero = spread(new, new.input(2), value, axis, block) if new.has(2) else None
        dtype = new.input(2).dtype if new.has(2) else node.attribute("output_dtype") or TensorProto.UINT8
        return quantized(new, wide(new, value) / scale, zero, dtype)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Types and kinds of scales, and models that stay unchanged or are refused."""
        return (
            rewritten(
                "uint8, dynamic batch",
                """(float[N,3,4] x) => (uint8[N,3,4] y) <float s = {0.013}, uint8 z = {100}> {
                y = QuantizeLinear(x, s, z) }""",
                becomes="Add, Cast, Clip, Div, Round",
            ),
            rewritten(
                "int16, one scale for each channel",
                """(float[2,3,4] x) => (int16[2,3,4] y) <int16[3] z = {1,-5,0}> {
                y = QuantizeLinear<axis=-2>(x, vars, z) }""",
                becomes="Add, Cast, Clip, Div, Round",
                opset=21,
                vars=(3,),
            ),
            rewritten(
                "int8, opset 10",
                "(float[5] x) => (int8[5] y) <float s = {0.25}, int8 z = {-3}> { y = QuantizeLinear(x, s, z) }",
                becomes="2 Add, Cast, Ceil, Clip, Div, 2 Floor, 3 Mul, 4 Sub",
                opset=10,
            ),
            rewritten(
                "blocks",
                "(float[2,5] x) => (uint8[2,5] y) { y = QuantizeLinear<axis=1, block_size=3>(x, vars) }",
                becomes="Cast, Clip, Div, Round",
                opset=21,
                vars=(2, 2),
            ),
            refused(
                "8-bit floats",
                "the result is FLOAT8E5M2",
                "(float[2,3] x, float s) => (float8e5m2[2,3] y) { y = QuantizeLinear<output_dtype=19>(x, s) }",
                opset=21,
            ),
            unchanged("no quantisation", "(float[2,3] x, float s) => (float[2,3] y) { y = Div(x, s) }"),
        )
