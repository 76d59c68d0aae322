"""BitCast among integers of one width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.rewrites.core.values import element_of

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class CastBits(NodeRewrite):
    """Write BitCast among integers as Cast.

    **What.** BitCast from a type to itself, or among integers and bools of one width.

    **Why.** MNN's converter registers no BitCast.

    **Before and after**::

        y = BitCast<to = uint8>(x)                        x is int8
        y = Cast<to = uint8>(x)

        y = BitCast<to = int16>(x)                        x is uint16
        y = Cast<to = int16>(Mod(Cast<to = int32>(x) + 32768, 65536) - 32768)

    **Algebra.** A cast among integers of one width keeps the bits. MNN holds 16 bits in 32, so that those are taken
    into their range first.

    **Refuses** floats that become integers and integers that become floats: no operator of MNN reads bits as another
    type.

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
            raise NotApplicable(f"the bits of {x.element.name} are read as {result.name}")
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
            refused("floats", "the bits of float32", "(float[6] x) => (int32[6] y) { y = BitCast<to=6>(x) }", opset=26),
            unchanged("Cast", "(float[6] x) => (int32[6] y) { y = Cast<to=6>(x) }", opset=26),
        )
