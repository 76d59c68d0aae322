"""BitCast as casts and arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.values import element_of
from mnncompat.rewrites.elementwise.float_bits import LAYOUTS, bits_of, floats_of, require_layout

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class CastBits(NodeRewrite):
    """Write BitCast as Cast and arithmetic.

    **What.** BitCast from a type to itself, among integers and bools of one width, and between float32 and int32 or
    float16 and 16 bits.

    **Why.** MNN's converter registers no BitCast.

    **Before and after**::

        y = BitCast<to = uint8>(x)                        x is int8
        y = Cast<to = uint8>(x)

        y = BitCast<to = int16>(x)                        x is uint16
        y = Cast<to = int16>(Mod(Cast<to = int32>(x) + 32768, 65536) - 32768)

    **Algebra.** A cast among integers of one width keeps the bits. MNN holds 16 bits in 32, so that those are taken
    into their range first. The exponent field of a float is the number of powers of two that its magnitude reaches,
    found by comparing with all of them; divided by its power, the magnitude is a whole number of last places. All
    factors are powers of two, so nothing is rounded. Infinities, -0 and numbers below the smallest power come out with
    their bits; every NaN becomes the quiet one, whose bits are those of numpy's.

    **Refuses** types that MNN holds in fewer bits: float64, bfloat16, uint32 and 64-bit integers. No operator of MNN
    reads bits as another type.

    **Why this form.** Log2 and Pow are off by a last place in MNN; comparisons and products with powers of two are
    exact. It takes the memory of 256 numbers for each float.

    **Source.** https://onnx.ai/onnx/operators/onnx__BitCast.html
    """

    code = "MNN844"
    name = "cast-bits"
    summary = "written as Cast"
    op_types = ("BitCast",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the cast."""
        x, to = new.input(0), node.attribute("to")
        result = element_of(to)
        if x.dtype == to:
            return x
        if {x.element.kind, result.kind} - set("bui"):
            require_layout(x, to)
            return bits_of(new, x, to) if x.dtype in LAYOUTS else floats_of(new, x, to)
        if result.itemsize == np.int16().itemsize:
            low = 0 if result.kind == "u" else 1 << 15
            x = new.op("Mod", new.cast(x, TensorProto.INT32) + low, 1 << 16) - low
        return new.op("Cast", x, to=to)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Bytes, 16 bits, one type; and floats."""
        return (
            rewritten("bytes", "(int8[6] x) => (uint8[6] y) { y = BitCast<to=2>(x) }", becomes="Cast", opset=26),
            rewritten(
                "to a signed type",
                "(uint16[6] x) => (int16[6] y) { y = BitCast<to=5>(x) }",
                becomes="Add, 2 Cast, Mod, Sub",
                opset=26,
            ),
            rewritten(
                "to itself", "(float[6] x) => (float[6] y) { y = BitCast<to=1>(x) }", becomes="Identity", opset=26
            ),
            *_floats(),
            refused(
                "double",
                "the bits of DOUBLE are read as INT64",
                "(double[6] x) => (int64[6] y) { y = BitCast<to=7>(x) }",
                opset=26,
            ),
            unchanged("Cast", "(float[6] x) => (int32[6] y) { y = Cast<to=6>(x) }", opset=26),
        )


def _floats() -> tuple[Example, ...]:
    """Floats of 32 and 16 bits, both ways."""
    return (
        rewritten(
            "floats as integers",
            "(float[6] x) => (int32[6] y) { y = BitCast<to=6>(x) }",
            becomes="""Abs, 2 Add, 3 Cast, Div, Equal, 3 Gather, 2 Greater, GreaterOrEqual,
            2 Less, 2 Mul, Neg, Not, 2 Or, ReduceSum, Squeeze, Unsqueeze, 4 Where""",
            opset=26,
        ),
        rewritten(
            "16 bits",
            "(float16[N,2] x) => (uint16[N,2] y) { y = BitCast<to=4>(x) }",
            becomes="""Abs, 2 Add, 5 Cast, Div, Equal, 3 Gather, 2 Greater, GreaterOrEqual,
            2 Less, 2 Mul, Neg, Not, 2 Or, ReduceSum, Squeeze, Unsqueeze, 4 Where""",
            opset=26,
        ),
        rewritten(
            "integers as floats",
            "(int32[6] x) => (float[6] y) { h = Mul(x, k) y = BitCast<to=1>(h) }",
            becomes="3 Add, Cast, Div, 2 Equal, 3 Gather, Less, 5 Mul, Sub, 4 Where",
            opset=26,
            k=np.asarray(10_000_019, np.int32),
        ),
    )
