"""DynamicQuantizeLinear in float arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import quantized, rounded

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_STEPS = 255.0


class DynamicQuantizeInFloat(NodeRewrite):
    """Write DynamicQuantizeLinear as arithmetic of floats.

    **What.** DynamicQuantizeLinear of a value of known rank.

    **Why.** MNN's own operator gives int8 values offset by 128 instead of uint8, and a scale of another shape.

    **Before and after**::

        y, scale, zero_point = DynamicQuantizeLinear(x)
        low, high = Min(ReduceMin(x), 0), Max(ReduceMax(x), 0)  scale = (high - low) / 255
        zero_point = Clip(Round(-low / scale), 0, 255)  y = Cast(Clip(Round(x / scale) + zero_point, 0, 255))

    **Algebra.** ONNX's definition. For an operand of zeros only, the scale is 1 / 255 in ONNX's reference and 1 in ONNX
    Runtime; the latter is emitted, as models are proven against it. The values are 0 with either.

    **Source.** https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html
    """

    code = "MNN915"
    name = "dynamic-quantize-in-float"
    summary = "written as ReduceMin, ReduceMax, Div, Round, Clip and Cast"
    op_types = ("DynamicQuantizeLinear",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG002
        """Emit the arithmetic."""
        value = new.input(0)
        axes = tuple(range(value.rank))
        low = new.op("Min", new.reduce("ReduceMin", value, axes, keepdims=False), 0.0)
        high = new.op("Max", new.reduce("ReduceMax", value, axes, keepdims=False), 0.0)
        steps = (high - low) / _STEPS
        nothing = new.op("Equal", high, low)
        scale = new.op("Where", nothing, new.scalar(1.0, value), steps)
        zero = rounded(new, new.clip(-low / scale, 0.0, _STEPS))
        return [quantized(new, value / scale, zero, TensorProto.UINT8), scale, new.cast(zero, TensorProto.UINT8)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A value of known rank, and one that is not quantised."""
        results = "uint8[2,3] y, float s, uint8 z"
        return (
            rewritten(
                "all outputs",
                f"(float[2,3] x) => ({results}) {{ y, s, z = DynamicQuantizeLinear(x) }}",
                becomes="Add, 2 Cast, 2 Clip, 3 Div, Equal, Max, Min, Neg, ReduceMax, ReduceMin, 2 Round, Sub, Where",
            ),
            rewritten(
                "dequantised at once, dynamic",
                """(float[N,M] x) => (float[N,M] y) { q, s, z = DynamicQuantizeLinear(x)
                y = DequantizeLinear(q, s, z) }""",
                becomes="""Add, 2 Cast, 2 Clip, DequantizeLinear, 3 Div, Equal, Max, Min, Neg, ReduceMax, ReduceMin,
                2 Round, Sub, Where""",
            ),
            unchanged("no quantisation", "(float[2,3] x) => (float y) { y = ReduceMax<keepdims=0, axes=[0,1]>(x) }"),
        )
