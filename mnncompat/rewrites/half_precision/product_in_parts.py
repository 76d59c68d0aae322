"""Long products of matrices, in parts that are added in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_PART, _LEAST, _MOST = 64, 32, 96
_MATRIX = 2


class ProductInParts(NodeRewrite):
    """Compute a long product of matrices in parts of about 64 terms.

    **What.** MatMul of a value by a matrix, with sums of 1,024 terms or more, for half precision.

    **Why.** MNN adds the terms in float16.

    **Before and after**::

        y = x @ w                                                       x: [M, 4096], w: [4096, N]
        y = ReduceSum(transposed(x as [M, 64, 64]) @ (w as [64, 64, N]))

    **Algebra.** A sum in parts. Their size is the divisor of the number of terms between 32 and 96 that is nearest to
    64; if there is none, a last part with what is left is added.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, 4,096 terms: 40 to 48 dB, and 20 of one
    sign, before; 59 and 77 after. It takes more time and memory than one product: it is applied only where a device
    or a simulation shows that values gain.

    **Refuses** operands whose size is not known.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): MatMul runs in float16
    """

    code = "MNN992"
    name = "product-in-parts"
    summary = "computed in parts"
    for_half_precision = True
    needs_device = True
    op_types = ("MatMul",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the products and their sum."""
        x, w = new.input(0), new.input(1)
        terms = w.dim(0)
        if w.rank != _MATRIX or x.rank < _MATRIX:
            raise NotApplicable(f"its operands are of rank {x.rank} and {w.rank}")
        if sum(not isinstance(dim, int) for dim in x.dims[:-1]) > 1:
            raise NotApplicable("several of its sizes are not fixed")
        part = min((each for each in range(_LEAST, _MOST + 1) if terms % each == 0), key=_distance, default=_PART)
        whole = terms - terms % part
        head, tail = ((x, w), None) if whole == terms else (_cut(new, x, w, 0, whole), _cut(new, x, w, whole, terms))
        total = new.reduce("ReduceSum", _in_parts(new, *head, part), [0], keepdims=False)
        total = new.reshape(total, [*(dim if isinstance(dim, int) else -1 for dim in x.dims[:-1]), w.dim(1)])
        return total if tail is None else total + tail[0] @ tail[1]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A constant matrix and a computed one; an odd size, a short sum, and float32."""
        text = "(float[N,{0}] x{2}) => (float[N,{1}] y) {{ y = MatMul(x, w) }}"
        return (
            rewritten(
                "constant",
                text.format(1024, 4, ""),
                becomes="MatMul, ReduceSum, 2 Reshape, Transpose",
                w=(1024, 4),
                precision="low",
            ),
            rewritten(
                "computed",
                text.format(1024, 4, ", float[1024,4] w"),
                becomes="MatMul, ReduceSum, 3 Reshape, Transpose",
                precision="low",
            ),
            rewritten(
                "no multiple of 64",
                text.format(1100, 4, ""),
                becomes="MatMul, ReduceSum, 2 Reshape, Transpose",
                w=(1100, 4),
                precision="low",
            ),
            rewritten(
                "a prime number",
                text.format(1031, 4, ""),
                becomes="Add, 2 MatMul, ReduceSum, 2 Reshape, 2 Slice, Transpose",
                w=(1031, 4),
                precision="low",
            ),
            refused(
                "two free sizes",
                "not fixed",
                "(float[N,M,1024] x) => (float[N,M,4] y) { y = MatMul(x, w) }",
                w=(1024, 4),
                precision="low",
            ),
            unchanged("short", text.format(512, 4, ""), w=(512, 4), precision="low"),
            unchanged("in float32", text.format(1024, 4, ", float[1024,4] w")),
        )


def _distance(part: int) -> int:
    return abs(part - _PART)


def _in_parts(new: SubgraphBuilder, x: Value, w: Value, part: int) -> Value:
    """The products of the parts: (parts, M, N)."""
    parts = w.dim(0) // part
    rows = new.transpose(new.reshape(x, (-1, parts, part)), (1, 0, 2))
    shape, matrix = (parts, part, w.dim(1)), w.constant
    columns = new.reshape(w, shape) if matrix is None else new.constant(np.ascontiguousarray(matrix.reshape(shape)))
    return rows @ columns


def _cut(new: SubgraphBuilder, x: Value, w: Value, first: int, end: int) -> tuple[Value, Value]:
    """The operands of the terms from `first` to `end`."""
    matrix = w.constant
    rows = new.slice(w, [first], [end], [0]) if matrix is None else new.constant(matrix[first:end])
    return new.slice(x, [first], [end], [x.rank - 1]), rows
