"""BitShift by amounts within 32 bits, of 32-bit numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_BITS = 32


class BitShiftRange(NodeRewrite):
    """Shift 32-bit numbers by 0 to 31 bits, and select the results of other amounts by Where.

    **What.** BitShift of bytes, and by amounts that may lie outside of 0 to 31.

    **Why.** MNN shifts 32-bit numbers with the processor's instruction, which takes the amount modulo 32, and has no
    BitShift of bytes.

    **Before and after**::

        y = BitShift<direction = "LEFT">(x, a)            uint32
        y = Where(And(Greater(32, a), Greater(a, -1)), BitShift<direction = "LEFT">(x, Mod(a, 32)), 0)

    **Algebra.** Amounts of the width and more, and negative ones, leave 0, or -1 of a negative number that is shifted
    to the right. Bytes and numbers of 16 bits keep their lowest bits.

    **Refuses** numbers of 64 bits.

    **Source.** https://onnx.ai/onnx/operators/onnx__BitShift.html; MNN 3.6.1, source/backend/cpu/BinaryUtils.hpp
    """

    code = "MNN835"
    name = "bit-shift-range"
    summary = "written for 32 bits and amounts of 0 to 31"
    op_types = ("BitShift",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the shift and the choice."""
        dtype, bits = new.input(0).dtype, new.input(0).element.itemsize * 8
        if bits > _BITS:
            raise NotApplicable(f"numbers of {bits} bits do not fit into MNN's")
        signed = new.input(0).element.kind == "i"
        x, amounts = (new.cast(new.input(each), TensorProto.INT32 if signed else TensorProto.UINT32) for each in (0, 1))
        constant = new.input(1).constant
        if constant is not None and not ((constant < 0) | (constant >= bits)).any():
            return _narrowed(new, new.cast(new.clone_node(x, constant.astype(x.element))[0], TensorProto.INT32), dtype)
        shifted = new.cast(new.clone_node(x, new.op("Mod", amounts, _BITS))[0], TensorProto.INT32)
        number = new.cast(amounts, TensorProto.INT32)
        within = new.op("And", new.op("Greater", new.scalar(bits, number), number), new.op("Greater", number, -1))
        rest = new.scalar(0, number)
        if signed and node.attribute("direction") == "RIGHT":
            rest = -new.cast(new.op("Greater", rest, x), TensorProto.INT32)
        return _narrowed(new, new.op("Where", within, shifted, rest), dtype)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Bytes, amounts at run time, constants out of range; 64 bits, which are refused; and amounts in range."""
        amounts = np.array([0, 1, 7], np.uint8)
        wide = np.array([0, 31, 40], np.uint32)
        return (
            rewritten(
                "bytes",
                '(uint8[3] x) => (uint8[3] y) { y = BitShift<direction="LEFT">(x, a) }',
                becomes="BitShift, 3 Cast",
                a=amounts,
            ),
            rewritten(
                "amounts",
                """(uint32[6] x) => (uint32[6] y) <uint32 m = {40}> {
                a = Mod(x, m) b = Add(a, zero) y = BitShift<direction="RIGHT">(x, b) }""",
                becomes="Add, And, BitShift, 3 Cast, 2 Greater, 2 Mod, Where",
                zero=np.zeros(1, np.uint32),
            ),
            refused(
                "64 bits",
                "64 bits",
                '(uint64[3] x) => (uint64[3] y) { y = BitShift<direction="RIGHT">(x, a) }',
                a=wide.astype(np.uint64),
            ),
            unchanged(
                "within",
                '(uint32[3] x) => (uint32[3] y) { y = BitShift<direction="RIGHT">(x, a) }',
                a=wide % 32,
            ),
        )


def _narrowed(new: SubgraphBuilder, value: Value, dtype: int) -> Value:
    """The lowest bits of an int32; MNN holds 16 bits in 32, so that a cast alone would keep the others."""
    if dtype == TensorProto.UINT16:
        value = new.op("Mod", value, 2**16)
    elif dtype == TensorProto.INT16:
        value = new.op("Mod", value + 2**15, 2**16) - 2**15
    return new.cast(value, dtype)
