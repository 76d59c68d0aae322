"""Arithmetic and comparisons of bytes in int32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_BYTES = (TensorProto.INT8, TensorProto.UINT8)


class WidenBytes(NodeRewrite):
    """Compute with int8 and uint8 in int32.

    **What.** Elementwise operators, comparisons and reductions of int8 or uint8, and some operators that move data.

    **Why.** MNN stores bytes but has no arithmetic for them: most such operators kill the process or give nothing.

    **Before and after**::

        y = Add(a, b)                                     uint8
        y = Cast(Add(Cast(a, int32), Cast(b, int32)), uint8)

    **Algebra.** int32 holds every sum, product and shift of two bytes; the cast back keeps the lowest 8 bits, as the
    arithmetic of bytes does.

    **Source.** MNN 3.6.1, source/backend/cpu/CPUBinary.cpp
    """

    code = "MNN812"
    name = "widen-bytes"
    summary = "computed in int32"
    op_types = (
        *("Abs", "Add", "Clip", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min"),
        *("Mod", "Mul", "Neg", "ReduceMax", "ReduceMin", "Sub"),
        *("NonZero", "OneHot", "ReverseSequence"),
    )
    before = (("binary-chain", "one pair of casts is enough where the operands are widened before they form a chain"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """The node between casts."""
        dtype = new.value(node.node.output[0]).dtype
        inputs = [None if not name else new.value(name) for name in node.node.input]
        wide = [
            new.cast(each, TensorProto.INT32) if each is not None and each.dtype in _BYTES else each for each in inputs
        ]
        (result,) = new.clone_node(*wide)
        return new.cast(result, dtype) if dtype in _BYTES else result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A sum that wraps around, a comparison, a reduction, a missing bound; and wider integers."""
        return (
            rewritten(
                "sum", "(uint8[2,3] a, uint8[3] b) => (uint8[2,3] y) { y = Add(a, b) }", becomes="Add, 3 Cast", opset=14
            ),
            rewritten(
                "remainder", "(int8[6] a) => (int8[6] y) <int8[1] b = {7}> { y = Mod(a, b) }", becomes="3 Cast, Mod"
            ),
            rewritten(
                "comparison",
                "(uint8[2,3] a, uint8[2,3] b) => (bool[2,3] y) { y = Greater(a, b) }",
                becomes="2 Cast, Greater",
            ),
            rewritten(
                "reduction",
                "(int8[2,3] a) => (int8[2,1] y) { y = ReduceMax<axes=[1]>(a) }",
                becomes="2 Cast, ReduceMax",
            ),
            rewritten(
                "upper bound",
                "(uint8[6] a) => (uint8[6] y) <uint8 b = {9}> { y = Clip(a, , b) }",
                becomes="3 Cast, Clip",
            ),
            rewritten("positions", "(uint8[2,3] a) => (int64[2,N] y) { y = NonZero(a) }", becomes="Cast, NonZero"),
            unchanged("int32", "(int32[2,3] a, int32[3] b) => (int32[2,3] y) { y = Add(a, b) }"),
        )
