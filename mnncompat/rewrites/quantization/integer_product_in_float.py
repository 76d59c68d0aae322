"""Products of 8-bit integers in float arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import EXACT, centred, convolved, magnitude

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.support.node_facts import NodeFacts

_MOST_PARTS = 64
_CONV, _LAST = "ConvInteger", -1


class IntegerProductInFloat(NodeRewrite):
    """Write MatMulInteger and ConvInteger as MatMul and Conv of float32.

    **What.** Both, with and without zero points, for one tensor or for each row, column or channel.

    **Why.** MNN's converter does not know them (some releases did, and crashed).

    **Before and after**::

        y = MatMulInteger(a, b, a_zero, b_zero)
        y = Cast(MatMul(Cast(a) - a_zero, Cast(b) - b_zero), to = int32)

    **Algebra.** Sums below 2^24 are exact in float32, whatever the order. Where the operands may exceed that (weights
    are known, other operands are assumed to be as large as their type allows) the dimension that is summed over is cut
    into parts whose sums cannot, and these are added as int32. Square kernels get a column of zeros: MNN runs them by
    Winograd's transform, which is not exact.

    **Refuses** dimensions to sum over that are dynamic where nothing is known about the weights, groups of channels
    whose sums may be too large, and products that would take more than 64 parts.

    **Source.** https://onnx.ai/onnx/operators/onnx__MatMulInteger.html,
    https://onnx.ai/onnx/operators/onnx__ConvInteger.html
    """

    code = "MNN916"
    name = "integer-product-in-float"
    summary = "written in float32, in parts whose sums are exact"
    op_types = ("MatMulInteger", _CONV)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the products and their sum."""
        convolves = node.node.op_type == _CONV
        zeros = [_zero_point(new, position, convolves=convolves) for position in (0, 1)]
        left_, right = (centred(new, position, zero) for position, zero in zip((0, 1), zeros, strict=True))
        reach = magnitude(new, 0, zeros[0])
        sizes = _parts(node, reach, magnitude(new, 1, zeros[1]), new)
        axes = (1, 1) if convolves else (_LAST, max(right.rank - 2, 0))
        pairs = zip(new.split(left_, sizes, axes[0]), _split(new, right, sizes, axes[1]), strict=True)
        total: Value | None = None
        for one, two in pairs:
            product = convolved(node, new, one, two) if convolves else one @ two
            part = new.cast(product, TensorProto.INT32)
            total = part if total is None else total + part
        if total is None:
            raise NotApplicable("nothing is summed")
        return total

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Zero points, parts, and models that stay unchanged or are refused."""
        big = np.arange(600, dtype=np.int64).reshape(300, 2) % 255
        return (
            rewritten(
                "matrix, zero points, dynamic batch",
                """(uint8[N,3] a) => (int32[N,2] y) <uint8 za = {12}, int8[3,2] b = {1,-2,3,4,-5,6},
                int8[2] zb = {1,0}> { y = MatMulInteger(a, b, za, zb) }""",
                becomes="2 Cast, MatMul, Sub",
            ),
            rewritten(
                "sums that may be too large",
                "(uint8[2,300] a) => (int32[2,2] y) { y = MatMulInteger(a, w) }",
                becomes="2 Cast, MatMul",
                w=big.astype(np.uint8),
            ),
            rewritten(
                "convolution",
                """(uint8[1,2,5,5] x, int8[3,2,3,3] w) => (int32[1,3,5,5] y) <uint8 z = {128}, int8 zw = {3}> {
                y = ConvInteger<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w, z, zw) }""",
                becomes="3 Cast, Conv, 2 Sub",
            ),
            refused(
                "what is summed over is dynamic",
                "dimension 1 of 'a' is dynamic",
                "(uint8[2,K] a, int8[K,3] b) => (int32[2,3] y) { y = MatMulInteger(a, b) }",
            ),
            refused(
                "groups of too many channels",
                "1280 channels in 2 groups",
                """(uint8[1,1280,4,4] x, int8[2,640,4,4] w) => (int32[1,2,1,1] y) {
                y = ConvInteger<kernel_shape=[4,4], group=2>(x, w) }""",
            ),
            unchanged("floats", "(float[2,3] a, float[3,2] b) => (float[2,2] y) { y = MatMul(a, b) }"),
        )


def _zero_point(new: SubgraphBuilder, position: int, *, convolves: bool) -> Value | None:
    """The zero point of an operand, in a shape that is broadcast against it; None if there is none."""
    if not new.has(position + 2):
        return None
    zero, value = new.input(position + 2), new.input(position)
    if zero.rank == 0 or zero.dims == (1,):
        return new.reshape(zero, ()) if zero.constant is None and zero.rank else _scalar(new, zero)
    if convolves:
        shape = (-1, *[1] * (value.rank - 1))
    elif zero.rank == 1 and position == 0:
        shape = (-1, 1)
    else:
        return zero
    return new.constant(zero.constant.reshape(shape)) if zero.constant is not None else new.reshape(zero, shape)


def _scalar(new: SubgraphBuilder, zero: Value) -> Value:
    return zero if zero.constant is None else new.constant(zero.constant.reshape(()))


def _parts(node: NodeFacts, one: Any, two: Any, new: SubgraphBuilder) -> list[int]:
    """The number of rows or channels in each part, such that no sum of a part exceeds the exact range."""
    convolves = node.node.op_type == _CONV
    weights = new.input(1)
    highest = int(np.max(one, initial=0))
    if isinstance(two, np.ndarray):
        rows = two.swapaxes(0, 1) if convolves else np.moveaxis(two, max(two.ndim - 2, 0), 0)
        flat = rows.reshape(len(rows), two.shape[0] if convolves else 1, -1)
        each = flat.sum(axis=2) if convolves else rows.reshape(len(rows), -1)
    elif convolves:
        each = np.full((weights.dim(1), 1), two * int(np.prod(weights.shape[2:])), np.int64)
    else:
        each = np.full((new.input(0).dim(_LAST), 1), two, np.int64)
    sizes = _cut(each * highest)
    groups = node.attribute("group") or 1
    if len(sizes) > 1 and groups > 1:
        raise NotApplicable(f"sums over {len(each) * groups} channels in {groups} groups may exceed 2^24")
    if len(sizes) > _MOST_PARTS:
        raise NotApplicable(f"it would take {len(sizes)} parts, more than {_MOST_PARTS}")
    return sizes


def _cut(bounds: np.ndarray) -> list[int]:
    """Sizes of runs along axis 0 in which no column's sum reaches the limit."""
    sizes = [0]
    reached = np.zeros(bounds.shape[1:], np.int64)
    for row in bounds:
        reached = reached + row
        if reached.max(initial=0) >= EXACT and sizes[-1]:
            sizes.append(0)
            reached = row.copy()
        if reached.max(initial=0) >= EXACT:
            raise NotApplicable(f"a single sum may reach {reached.max()}, which float32 does not hold exactly")
        sizes[-1] += 1
    return sizes


def _split(new: SubgraphBuilder, value: Value, sizes: Sequence[int], axis: int) -> list[Value]:
    constant = value.constant
    if constant is None:
        return new.split(value, sizes, axis)
    return [new.constant(each) for each in np.split(constant, np.cumsum(sizes)[:-1], axis=axis)]
