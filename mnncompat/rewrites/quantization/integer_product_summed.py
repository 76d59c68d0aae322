"""Products of int32 and int64 matrices as sums of products."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_LARGEST = 1 << 22
_LARGEST_EACH = 1 << 16
_MATRIX = 2


class IntegerProductSummed(NodeRewrite):
    """Write MatMul and Gemm of integers as Mul and ReduceSum.

    **What.** Both, of int32 and int64; Gemm without factors other than 1.

    **Why.** MNN multiplies integer matrices as if their bits were floats. Float32 products would not be exact, but MNN
    has int32 for Mul and ReduceSum.

    **Before and after**::

        y = MatMul(a, b)                                 a: (m, k)   b: (k, n)
        y = ReduceSum(Unsqueeze(a, -1) * Unsqueeze(b, -3), -2)

    **Algebra.** The definition of a product of matrices; int32 wraps around in every order of summation alike.

    **Refuses** products of more than four million terms, which all are in memory at once (65536 for each element of a
    dynamic dimension), and other factors of Gemm than 1.

    **Source.** https://onnx.ai/onnx/operators/onnx__MatMul.html
    """

    code = "MNN921"
    name = "integer-product-summed"
    summary = "written as Mul and ReduceSum of integers"
    op_types = ("MatMul", "Gemm")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the sum."""
        if node.node.op_type == "MatMul":
            return _product(new, new.input(0), new.input(1))
        factors = node.attribute("alpha"), node.attribute("beta")
        if factors != (1.0, 1.0):
            raise NotApplicable(f"alpha and beta are {factors[0]} and {factors[1]}")
        one, two = (
            new.transpose(new.input(position), (1, 0)) if node.attribute(name) else new.input(position)
            for position, name in enumerate(("transA", "transB"))
        )
        result = _product(new, one, two)
        return result + new.input(2) if new.has(2) else result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Ranks and types, and models that stay unchanged or are refused."""
        return (
            rewritten(
                "dynamic",
                "(int32[N,3] a, int32[3,4] b) => (int32[N,4] y) { y = MatMul(a, b) }",
                becomes="Mul, ReduceSum, 2 Unsqueeze",
            ),
            rewritten(
                "matrices",
                "(int32[2,3] a, int32[3,4] b) => (int32[2,4] y) { y = MatMul(a, b) }",
                becomes="Mul, ReduceSum, 2 Unsqueeze",
            ),
            rewritten(
                "batch and vector",
                "(int64[2,5,3] a, int64[3] b) => (int64[2,5] y) { y = MatMul(a, b) }",
                becomes="Mul, ReduceSum, Squeeze, 3 Unsqueeze",
            ),
            refused(
                "large", "8000000 terms", "(int32[200,200] a, int32[200,200] b) => (int32[200,200] y) {y = MatMul(a,b)}"
            ),
            refused(
                "factor",
                "2.0",
                "(int32[2,3] a, int32[3,4] b) => (int32[2,4] y) { y = Gemm<alpha=2.0>(a, b) }",
                opset=11,
            ),
            unchanged("floats", "(float[2,3] a, float[3,4] b) => (float[2,4] y) { y = MatMul(a, b) }"),
        )


def _product(new: SubgraphBuilder, one: Value, two: Value) -> Value:
    """The product of matrices, batches of them, or vectors."""
    rows, columns = one.rank >= _MATRIX, two.rank >= _MATRIX
    terms = _terms(one, two)
    limit = _LARGEST if _is_static(one) and _is_static(two) else _LARGEST_EACH
    if terms > limit:
        raise NotApplicable(f"{terms} terms would be in memory at once, more than {limit}")
    left_ = new.unsqueeze(one if rows else new.unsqueeze(one, (0,)), (max(one.rank, _MATRIX),))
    right = new.unsqueeze(two if columns else new.unsqueeze(two, (1,)), (max(two.rank, _MATRIX) - _MATRIX,))
    rank = max(one.rank, two.rank, _MATRIX) + 1
    total = new.reduce("ReduceSum", left_ * right, (rank - 2,), keepdims=False)
    gone = ([] if rows else [rank - 3]) + ([] if columns else [rank - 2])
    return new.squeeze(total, gone) if gone else total


def _terms(one: Value, two: Value) -> int:
    """The number of terms of all sums together; dynamic dimensions count as one."""
    sizes = [[dim if isinstance(dim, int) else 1 for dim in value.dims] for value in (one, two)]
    columns = sizes[1][-1] if two.rank >= _MATRIX else 1
    batches = math.prod(sizes[1][:-2]) if two.rank > one.rank else 1
    return math.prod(sizes[0]) * columns * batches


def _is_static(value: Value) -> bool:
    return all(isinstance(dim, int) for dim in value.dims)
