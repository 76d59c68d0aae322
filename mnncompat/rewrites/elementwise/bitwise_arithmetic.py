"""Bitwise operators as arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.values import NotApplicable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_IN_64_BITS = (TensorProto.INT64, TensorProto.UINT64, TensorProto.UINT32)
_NON_NEGATIVE = (TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32)
_CHUNK = 30
"""MNN clamps int64 constants at 2^30."""


class BitwiseArithmetic(NodeRewrite):
    """Write bitwise operators as arithmetic of integers.

    **What.** BitwiseAnd, BitwiseOr, BitwiseXor and BitwiseNot.

    **Why.** MNN's converter registers none of them.

    **Before and after**::

        y = BitwiseNot(x)
        y = -1 - x

        y = BitwiseAnd(x, 15)
        y = Mod(x, 16)                                    with the part of x above 2^30 likewise

        y = BitwiseOr(x, z)
        y = x + z - BitwiseAnd(x, z)

    **Algebra.** Numbers are taken apart into chunks of 30 bits, which are not negative: ``c = x mod 2^30``, and what
    remains is ``(x - c) / 2^30``. The bits of a chunk are ``c / 2^k mod 2`` on an axis of their own; their products
    times 2^k add up to the conjunction. ``x | z = x + z - (x & z)`` and ``x ^ z = (x - (x & z)) + (z - (x & z))``. The
    topmost chunk of a signed number is in two's complement.

    **Why this form.** It is exact for every type. MNN has BITWISE operators at run time, but its converter maps no ONNX
    operator to them.

    **Source.** https://onnx.ai/onnx/operators/onnx__BitwiseAnd.html
    """

    code = "MNN834"
    name = "bitwise-arithmetic"
    summary = "written as arithmetic"
    op_types = ("BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the arithmetic."""
        dtype = new.input(0).dtype
        wide = TensorProto.INT64 if dtype in _IN_64_BITS else TensorProto.INT32
        operands = [_cast(new, value, wide) for value in new.inputs()]
        bits = new.input(0).element.itemsize * 8
        if node.node.op_type == "BitwiseNot":
            ones = 2**bits - 1 if dtype in _NON_NEGATIVE and bits < 32 else -1  # noqa: PLR2004 - 16 bits at most
            return new.cast(new.scalar(ones, operands[0]) - operands[0], dtype)
        widths = [_CHUNK] * (bits // _CHUNK)
        widths.append(bits - sum(widths))
        ones, others = (_chunks(new, value, widths) for value in operands)
        parts = [
            _combined(new, node.node.op_type, one, other, width)
            for one, other, width in zip(ones, others, widths, strict=True)
        ]
        if dtype not in _NON_NEGATIVE:
            parts[-1] = _signed(new, parts[-1], widths[-1])
        result = parts.pop()
        while parts:
            result = result * 2**_CHUNK + parts.pop()
        return new.cast(result, dtype)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """All operators, several widths, masks, broadcast shapes; and a logical operator, which stays unchanged."""
        mask = np.array(12, np.int64)
        return (
            rewritten(
                "and",
                "(int32[2,3] a, int32[3] b) => (int32[2,3] y) { y = BitwiseAnd(a, b) }",
                becomes="Add, Cast, 6 Div, Greater, 8 Mod, 6 Mul, 2 ReduceSum, 3 Sub, 4 Unsqueeze",
                opset=18,
            ),
            rewritten(
                "or",
                "(uint8[2,3] a, uint8[2,3] b) => (uint8[2,3] y) { y = BitwiseOr(a, b) }",
                becomes="Add, 3 Cast, 2 Div, 4 Mod, 2 Mul, ReduceSum, Sub, 2 Unsqueeze",
                opset=18,
            ),
            rewritten(
                "exclusive or",
                "(int16[6] a, int16[6] b) => (int16[6] y) { y = BitwiseXor(a, b) }",
                becomes="Add, 4 Cast, 2 Div, Greater, 4 Mod, 3 Mul, ReduceSum, 3 Sub, 2 Unsqueeze",
                opset=18,
            ),
            rewritten(
                "mask",
                "(int64[2,N] a) => (int64[2,N] y) { y = BitwiseAnd(a, m) }",
                becomes="2 Add, Cast, 3 Div, Greater, 6 Mod, 5 Mul, ReduceSum, 3 Sub, Unsqueeze",
                opset=18,
                m=mask,
            ),
            rewritten("not", "(int32[6] a) => (int32[6] y) { y = BitwiseNot(a) }", becomes="Sub", opset=18),
            rewritten(
                "not of a byte", "(uint8[6] a) => (uint8[6] y) { y = BitwiseNot(a) }", becomes="2 Cast, Sub", opset=18
            ),
            unchanged("logic", "(bool[6] a, bool[6] b) => (bool[6] y) { y = And(a, b) }", opset=18),
        )


def _cast(new: SubgraphBuilder, value: Value, to: int) -> Value:
    """A cast; constants are cast at once."""
    if value.constant is None:
        return new.cast(value, to)
    if value.constant.dtype.kind not in "iu":
        raise NotApplicable(f"an operand of {value.constant.dtype}")
    return new.constant(value.constant.astype(np.int64 if to == TensorProto.INT64 else np.int32))


def _chunks(new: SubgraphBuilder, value: Value, widths: list[int]) -> list[Value]:
    """The number in chunks that are not negative, the lowest first."""
    chunks: list[Value] = []
    for width in widths:
        modulus = 2**width
        if value.constant is not None:
            chunk = new.constant(np.mod(value.constant, np.asarray(modulus, value.element)))
            value = new.constant(np.floor_divide(value.constant, np.asarray(modulus, value.element)))
        else:
            chunk = new.op("Mod", value, modulus)
            value = (value - chunk) / modulus
        chunks.append(chunk)
    return chunks


def _combined(new: SubgraphBuilder, op: str, one: Value, other: Value, width: int) -> Value:
    both = _both(new, one, other, width)
    match op:
        case "BitwiseAnd":
            return both
        case "BitwiseOr":
            return one + other - both
        case _:
            return one - both + (other - both)


def _both(new: SubgraphBuilder, one: Value, other: Value, width: int) -> Value:
    """The bits that both chunks have."""
    if one.constant is not None:
        one, other = other, one
    if other.constant is not None and other.constant.size == 1 and other.rank <= one.rank:
        mask = int(other.constant.reshape(()))
        if mask & (mask + 1) == 0:
            return new.op("Mod", one, mask + 1)
        width = min(width, mask.bit_length())
    powers = np.asarray([2**bit for bit in range(width)], one.element)
    product = _bits(new, one, powers) * _bits(new, other, powers) * powers
    return new.reduce("ReduceSum", product, [max(one.rank, other.rank)], keepdims=False)


def _bits(new: SubgraphBuilder, chunk: Value, powers: NDArray[Any]) -> Value:
    """The bits of a chunk, on an axis after the others."""
    if chunk.constant is not None:
        return new.constant(np.asarray(chunk.constant[..., None] // powers % np.asarray(2, powers.dtype)))
    return new.op("Mod", new.op("Div", new.unsqueeze(chunk, [chunk.rank]), powers), 2)


def _signed(new: SubgraphBuilder, chunk: Value, width: int) -> Value:
    """Two's complement: numbers with the highest bit set are negative."""
    negative = new.cast(new.op("Greater", chunk, (1 << (width - 1)) - 1), chunk.dtype)
    return chunk - negative * (1 << width)
