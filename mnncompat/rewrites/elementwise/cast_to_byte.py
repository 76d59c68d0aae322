"""Casts of graph inputs to uint8 through another type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_ANOTHER: dict[int, int] = {TensorProto.INT8: TensorProto.INT32, TensorProto.BOOL: TensorProto.FLOAT}


class CastToByte(NodeRewrite):
    """Cast a graph input to uint8 through another type.

    **What.** Cast of a graph input to uint8.

    **Why.** MNN's converter crashes if the operand of such a cast is an input of the graph, or an input after a cast
    that MNN drops, such as that from bool to int32.

    **Before and after**::

        y = Cast(x, to = uint8)                           x is an int64 input
        y = Cast(Cast(x, to = int8), to = uint8)

    **Algebra.** Integers keep their lowest 8 bits both ways. Floats outside of 0 to 255 have no defined result.

    **Why this form.** The first cast must be one that MNN carries out: int8 for integers, int32 for floats and int8,
    float for bool.

    **Source.** Measured: MNN 3.6.1, SIGSEGV in the converter
    """

    code = "MNN816"
    name = "cast-to-byte"
    summary = "cast to another type first"
    op_types = ("Cast",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit two casts."""
        x = new.input(0)
        between = TensorProto.INT32 if x.is_float else _ANOTHER.get(x.dtype, TensorProto.INT8)
        return new.cast(new.cast(x, between), TensorProto.UINT8)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Integers that wrap around, floats, booleans; and a value that is computed."""
        return (
            rewritten("int64", "(int64[6] x) => (uint8[6] y) { y = Cast<to=2>(x) }", becomes="2 Cast"),
            rewritten("int8", "(int8[6] x) => (uint8[6] y) { y = Cast<to=2>(x) }", becomes="2 Cast"),
            rewritten("bool", "(bool[6] x) => (uint8[6] y) { y = Cast<to=2>(x) }", becomes="2 Cast"),
            unchanged("computed", "(float[6] x) => (uint8[6] y) { a = Abs(x) y = Cast<to=2>(a) }"),
        )
