"""Casts to bool as comparisons with zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.graph.operator_traits import CASTS
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_EQUAL_OF_FLOATS = 11
_COMPARABLE = (TensorProto.INT32, TensorProto.INT64)


class CastToBool(NodeRewrite):
    """Write a cast to bool as a comparison with zero.

    **What.** Cast, or CastLike, of numbers to bool.

    **Why.** MNN casts to int32 instead: 0.5 becomes 0, that is false, and 2 stays 2, which is not what operators that
    take a bool expect.

    **Before and after**::

        y = Cast(x, to = bool)
        y = Not(Equal(x, 0))

    **Algebra.** Every number but zero is true, NaN too. Below opset 11, where Equal takes no floats, the test is
    ``Not(0.5 > Ceil(Abs(x)))``. (A comparison with the smallest positive number would fail: that of double is zero in
    MNN, which computes in float32.)

    **Source.** MNN 3.6.1, tools/converter/source/onnx/CastOnnx.cpp
    """

    code = "MNN815"
    name = "cast-to-bool"
    summary = "compared with zero"
    op_types = CASTS

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the comparison."""
        x = new.input(0)
        if not x.is_float:
            x = x if x.dtype in _COMPARABLE else new.cast(x, TensorProto.INT32)
        elif node.opset < _EQUAL_OF_FLOATS:
            return new.op("Not", new.op("Greater", new.scalar(0.5, x), new.op("Ceil", new.op("Abs", x))))
        return new.op("Not", new.op("Equal", x, 0))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Floats in old and new opsets, integers of several widths, CastLike; and what is a bool already."""
        return (
            rewritten("float", "(float[2,3] x) => (bool[2,3] y) { y = Cast<to=9>(x) }", becomes="Equal, Not"),
            rewritten(
                "float in opset 9",
                "(float[2,3] x) => (bool[2,3] y) { y = Cast<to=9>(x) }",
                becomes="Abs, Ceil, Greater, Not",
                opset=9,
            ),
            rewritten(
                "double in opset 7",
                "(double[2,3] x) => (bool[2,3] y) { y = Cast<to=9>(x) }",
                becomes="Abs, Ceil, Greater, Not",
                opset=7,
            ),
            rewritten("float16", "(float16[2,3] x) => (bool[2,3] y) { y = Cast<to=9>(x) }", becomes="Equal, Not"),
            rewritten("int64", "(int64[6] x) => (bool[6] y) { b = Cast<to=9>(x) y = Not(b) }", becomes="Equal, 2 Not"),
            rewritten(
                "uint8", "(uint8[6] x) => (bool[6] y) { b = Cast<to=9>(x) y = Not(b) }", becomes="Cast, Equal, 2 Not"
            ),
            rewritten(
                "like a bool",
                "(float[2,3] x, bool b) => (bool[2,3] y) { y = CastLike(x, b) }",
                becomes="Equal, Not",
                opset=15,
            ),
            unchanged("bool", "(bool[2,3] x) => (bool[2,3] y) { y = Cast<to=9>(x) }"),
            unchanged("to int32", "(float[2,3] x) => (int32[2,3] y) { y = Cast<to=6>(x) }"),
        )
