"""Products of vectors and of crossed batches as products of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.base import Example
from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite
from mnncompat.rewrites.sketch import Sketch, Value

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts


class ProductOfMatrices(NodeRewrite):
    """Give the operands of MatMul shapes that MNN multiplies right.

    **What.** MatMul of two vectors, of a batch with a constant vector, and of batches that are broadcast against each
    other.

    **Why.** MNN crashes on the first, gives nothing for the second, and for the third reads behind the operands if both
    hold the same number of matrices.

    **Before and after**::

        y = MatMul(a, b)                     a: (k,)           b: (k,)
        y = ReduceSum(a * b)

        y = MatMul(a, b)                     a: (s, t, m, k)   b: (k,)
        y = Squeeze(MatMul(a, Reshape(b, (k, 1))), -1)

        y = MatMul(a, b)                     a: (s, 1, m, k)   b: (t, k, n)
        y = MatMul(Expand(a, (s, t, m, k)), b)

    **Algebra.** How MatMul reads vectors, and what broadcasting means.

    **Refuses** batches whose sizes are not static.

    **Source.** https://onnx.ai/onnx/operators/onnx__MatMul.html
    """

    code = "MNN920"
    name = "product-of-matrices"
    summary = "its operands are given the shapes of matrices"
    op_types = ("MatMul",)

    def build(self, node: NodeFacts, new: Sketch) -> Value:  # noqa: ARG002
        """Draw the product."""
        one, two = new.input(0), new.input(1)
        if one.rank == 1 and two.rank == 1:
            return new.reduce("ReduceSum", one * two, (0,), keepdims=False)
        if two.rank == 1:
            constant = two.constant
            column = new.reshape(two, (-1, 1)) if constant is None else new.constant(constant.reshape(-1, 1))
            return new.squeeze(one @ column, (one.rank - 1,))
        batches = [tuple(each.dim(axis) for axis in range(each.rank - 2)) for each in (one, two)]
        shape = np.broadcast_shapes(*batches)
        wider = one if one.constant is None else two
        expanded = new.op("Expand", wider, new.constant([*shape, 1, 1]))
        return expanded @ two if wider is one else one @ expanded

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Vectors and batches, and what is left."""
        return (
            taken("vectors", "(float[5] a, float[5] b) => (float y) { y = MatMul(a, b) }"),
            taken("constant vector", "(float[2,N,4] a) => (float[2,N] y) { y = MatMul(a, w) }", opset=11, w=(4,)),
            taken("crossed batches", "(float[3,1,2,4] a, float[3,4,5] b) => (float[3,3,2,5] y) { y = MatMul(a, b) }"),
            left(
                "vector computed at run time", "", "(float[2,3,4] a, float[4] b) => (float[2,3] y) { y = MatMul(a, b) }"
            ),
            left(
                "batches of which one is larger",
                "",
                "(float[3,1,2,4] a, float[2,4,5] b) => (float[3,2,2,5] y) { y = MatMul(a, b) }",
            ),
        )
