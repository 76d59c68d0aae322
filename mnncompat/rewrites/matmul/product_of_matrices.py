"""Products of vectors and of crossed batches as products of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.numpy_on_demand import np
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class ProductOfMatrices(NodeRewrite):
    """Give the operands of MatMul shapes that MNN multiplies correctly.

    **What.** MatMul of two vectors, of a batch with a constant vector, and of batches that are broadcast against each
    other.

    **Why.** MNN crashes on the first, gives nothing for the second, and for the third reads past the end of the
    operands if both hold the same number of matrices, or did so when the session was first resized.

    **Before and after**::

        y = MatMul(a, b)                     a: (k,)           b: (k,)
        y = ReduceSum(a * b)

        y = MatMul(a, b)                     a: (s, t, m, k)   b: (k,)
        y = Squeeze(MatMul(a, Reshape(b, (k, 1))), -1)

        y = MatMul(a, b)                     a: (s, 1, m, k)   b: (t, k, n)
        y = MatMul(Expand(a, (s, t, m, k)), b)

        y = MatMul(a, b)                     a: (N, s, m, k)   b: (1, s, k, n)
        y = MatMul(a, Expand(b, Concat(Shape(a)[0:1], (1, 1, 1))))

    **Algebra.** The definitions of MatMul of vectors and of broadcasting.

    **Refuses** operands of unknown rank, and batches of which none is known to be broadcast.

    **Source.** https://onnx.ai/onnx/operators/onnx__MatMul.html
    """

    code = "MNN920"
    name = "product-of-matrices"
    summary = "its operands are given shapes that MNN multiplies correctly"
    op_types = ("MatMul",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the product."""
        one, two = new.input(0), new.input(1)
        if one.rank == 1 and two.rank == 1:
            return new.reduce("ReduceSum", one * two, (0,), keepdims=False)
        if two.rank == 1:
            constant = two.constant
            column = new.reshape(two, (-1, 1)) if constant is None else new.constant(constant.reshape(-1, 1))
            return new.squeeze(one @ column, (one.rank - 1,))
        if not all(isinstance(dim, int) for each in (one, two) for dim in each.dims[:-2]):
            wide_one, wide_two = _expanded_to_batch(new, one, two), _expanded_to_batch(new, two, one)
            if (wide_one, wide_two) == (one, two):
                raise NotApplicable("no size of a batch is known to be 1")
            return wide_one @ wide_two
        batches = [tuple(each.dim(axis) for axis in range(each.rank - 2)) for each in (one, two)]
        shape = np.broadcast_shapes(*batches)
        wider = one if one.constant is None else two
        expanded = new.op("Expand", wider, new.constant([*shape, 1, 1]))
        return expanded @ two if wider is one else one @ expanded

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Vectors and batches, and models that stay unchanged or are refused."""
        return (
            *_vectors_and_batches(),
            unchanged(
                "open batch, single matrix",
                "(float[N,2,3,4] a, float[4,5] b) => (float[N,2,3,5] y) { y = MatMul(a, b) }",
            ),
            refused(
                "sizes that are unknown",
                "no size of a batch is known to be 1",
                """(float[N,4,3,4] a, float[M,4,4,5] b, int64[4] s) => (float[K,4,3,5] y) {
                c = Reshape(a, s) y = MatMul(c, b) }""",
            ),
            unchanged(
                "open batch, expanded already",
                """(float[N,2,3,4] a, float[1,2,4,5] b, int64[4] s) => (float[N,2,3,5] y) {
                e = Expand(b, s) f = Reshape(a, k) y = MatMul(f, e) }""",
                k=np.array([-1, 2, 3, 4]),
            ),
            unchanged(
                "vector computed at run time", "(float[2,3,4] a, float[4] b) => (float[2,3] y) { y = MatMul(a, b) }"
            ),
            unchanged(
                "batches of which one is larger",
                "(float[3,1,2,4] a, float[2,4,5] b) => (float[3,2,2,5] y) { y = MatMul(a, b) }",
            ),
        )


def _vectors_and_batches() -> tuple[Example, ...]:
    """Vectors and batches."""
    return (
        rewritten("vectors", "(float[5] a, float[5] b) => (float y) { y = MatMul(a, b) }", becomes="Mul, ReduceSum"),
        rewritten(
            "constant vector",
            "(float[2,N,4] a) => (float[2,N] y) { y = MatMul(a, w) }",
            becomes="MatMul, Squeeze",
            opset=11,
            w=(4,),
        ),
        rewritten(
            "crossed batches",
            "(float[3,1,2,4] a, float[3,4,5] b) => (float[3,3,2,5] y) { y = MatMul(a, b) }",
            becomes="Expand, MatMul",
        ),
        rewritten(
            "open batch",
            "(float[N,2,3,4] a) => (float[N,2,3,5] y) { y = MatMul(a, w) }",
            becomes="Concat, Expand, MatMul, Shape, Slice",
            w=(1, 2, 4, 5),
        ),
        rewritten(
            "open batches with single matrices",
            "(float[N,1,3,4] a, float[N,2,4,5] b) => (float[N,2,3,5] y) { y = MatMul(a, b) }",
            becomes="Concat, Expand, MatMul",
            opset=11,
        ),
    )


def _expanded_to_batch(new: SubgraphBuilder, value: Value, other: Value) -> Value:
    """An operand, expanded along the axes of its batch that are 1 in it and not in the other one."""
    missing = other.rank - value.rank
    target: list[Value] = []
    for axis in range(other.rank - 2):
        single = axis < missing or value.dims[axis - missing] == 1
        size = other.dims[axis] if single else 1
        if isinstance(size, int):
            target.append(new.constant([size]))
        else:
            target.append(new.slice(new.op("Shape", other), [axis], [axis + 1], [0]))
    if all(size.constant is not None and size.constant[0] == 1 for size in target):
        return value
    return new.op("Expand", value, new.concat([*target, new.constant([1, 1])], 0))
