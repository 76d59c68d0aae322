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

_PART = 64
_MATRIX = 2


class ProductInParts(NodeRewrite):
    """Compute a long product of matrices in parts of 64 terms.

    **What.** MatMul of a value by a matrix, with sums of 1,024 terms or more, for half precision.

    **Why.** MNN adds the terms in float16.

    **Before and after**::

        y = x @ w                                                       x: [M, 4096], w: [4096, N]
        y = ReduceSum(transposed(x as [M, 64, 64]) @ (w as [64, 64, N]))

    **Algebra.** A sum in parts.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, 4,096 terms: 40 to 48 dB, and 20 of one
    sign, before; 59 and 77 after. It takes more time and memory than one product: it is applied only where a device
    shows that the outputs gain.

    **Refuses** sizes that are not multiples of 64, and operands whose size is not known.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): MatMul runs in float16
    """

    code = "MNN992"
    name = "product-in-parts"
    summary = "computed in parts of 64 terms"
    for_half_precision = True
    needs_device = True
    op_types = ("MatMul",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the products and their sum."""
        x, w = new.input(0), new.input(1)
        terms = w.dim(0)
        if w.rank != _MATRIX or x.rank < _MATRIX:
            raise NotApplicable(f"its operands are of rank {x.rank} and {w.rank}")
        if terms % _PART:
            raise NotApplicable(f"{terms} terms are no multiple of {_PART}")
        if sum(not isinstance(dim, int) for dim in x.dims[:-1]) > 1:
            raise NotApplicable("several of its sizes are not fixed")
        parts = terms // _PART
        rows = new.transpose(new.reshape(x, (-1, parts, _PART)), (1, 0, 2))
        matrix = w.constant
        shape = (parts, _PART, w.dim(1))
        columns = new.reshape(w, shape) if matrix is None else new.constant(np.ascontiguousarray(matrix.reshape(shape)))
        total = new.reduce("ReduceSum", rows @ columns, [0], keepdims=False)
        return new.reshape(total, [*(dim if isinstance(dim, int) else -1 for dim in x.dims[:-1]), w.dim(1)])

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
            refused("odd", "no multiple", text.format(1100, 4, ""), w=(1100, 4), precision="low"),
            unchanged("short", text.format(512, 4, ""), w=(512, 4), precision="low"),
            unchanged("in float32", text.format(1024, 4, ", float[1024,4] w")),
        )
