"""Reductions of what was found in data, which may be nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.rewrites.reduction.axes import Reduction

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


_NEUTRAL = {"ReduceMax": -np.inf, "ReduceMean": 0.0, "ReduceMin": np.inf, "ReduceProd": 1.0, "ReduceSum": 0.0}
"""What does not change the result of a reduction; of a mean, that of its sum."""


class ReductionOfFound(NodeRewrite):
    """Append an element that does not change the result to what is reduced and may be nothing.

    **What.** Reductions of what Compress, NonZero or NonMaxSuppression leave, such as ``x[mask].sum()``.

    **Why.** Where nothing is left and several axes are reduced, or none is named, MNN makes the result a constant of
    all later runs; releases before 3.4 do so with one axis as well. The extreme along one axis of nothing is what was
    in memory.

    **Before and after**::

        y = ReduceSum(x, [0])                             x: (K, 3), K found
        y = ReduceSum(Concat(x, [[0, 0, 0]]), [0])        ReduceProd: 1

        y = ReduceMax(x, [0])
        y = ReduceMax(Concat(x, [[-inf, -inf, -inf]]), [0])

        y = ReduceMean(x, [0])
        y = ReduceSum(Concat(x, [[0, 0, 0]]), [0]) / Max(elements of x along [0], 1)

    **Algebra.** 0 does not change a sum, nor 1 a product, nor the limit of the type an extreme, of which it is the
    value for nothing by ONNX's definition. The mean of nothing is 0 in ONNX Runtime.

    **Refuses** axes that are not known, a dimension beside the found one that is not known, and types of which MNN does
    not hold the limits; means of integers.

    **Source.** MNN 3.6.1, source/geometry/GeometryReduce.cpp
    """

    code = "MNN952"
    name = "reduction-of-found"
    summary = "right where nothing was found"
    op_types = tuple(_NEUTRAL)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the reduction with one element more, of a mean the sum and what divides it."""
        x, reduction, op = new.input(0), Reduction.of(node, new), node.node.op_type
        if not isinstance(reduction.axes, tuple):
            raise NotApplicable("the axes are computed at run time")
        axes = sorted({axis % x.rank for axis in reduction.axes})
        longer = _extended(new, x, axes, _NEUTRAL[op])
        if op != "ReduceMean":
            return reduction.emit(op, longer)
        if not x.is_float:
            raise NotApplicable("a mean of integers")
        return reduction.emit("ReduceSum", longer) / new.cast(_count(new, x, axes), x.dtype)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """All reductions, over all axes, one and several; and tensors whose elements were not found."""
        return (
            *_sums(),
            *_extremes(),
            unchanged("one axis", _kept("[1,3]", "ReduceSum(g, a)", "[6,3]"), a=np.array([0])),
            unchanged("nothing is found", "(float[N,3] x) => (float y) { y = ReduceSum<keepdims=0>(x) }"),
        )


def _extended(new: SubgraphBuilder, x: Value, axes: list[int], neutral: float) -> Value:
    """The operand with one element more along the first open axis."""
    axis = next(axis for axis in axes if not isinstance(x.dims[axis], int))
    shape = tuple(1 if each == axis else x.dim(each) for each in range(x.rank))
    if x.dtype in (TensorProto.INT32, TensorProto.INT64):
        limits = np.iinfo(np.int32)  # what MNN holds of both
        neutral = min(max(neutral, limits.min), limits.max)
    elif not x.is_float:
        raise NotApplicable(f"elements of type {TensorProto.DataType.Name(x.dtype)}")
    return new.concat([x, new.constant(np.full(shape, neutral, x.element))], axis)


def _count(new: SubgraphBuilder, x: Value, axes: list[int]) -> Value:
    """How many elements are reduced, at least 1."""
    sizes = new.op("Gather", new.op("Shape", x), new.constant(axes), axis=0)
    return new.op("Max", new.cast(new.reduce("ReduceProd", sizes, [0], keepdims=False), TensorProto.FLOAT), 1.0)


# ---- examples ------------------------------------------------------------------------------------------------------


def _kept(result: str, expression: str, shape: str = "[6]", dtype: str = "float") -> str:
    """A model that reduces the rows whose first input is above 0."""
    return (
        f"({dtype}{shape} x, float[6] m) => ({dtype}{result} y) <float zero = {{0}}> "
        f"{{ c = Greater(m, zero) g = Compress<axis=0>(x, c) y = {expression} }}"
    )


def _sums() -> tuple[Example, ...]:
    return (
        rewritten("sum of all", _kept("", "ReduceSum<keepdims=0>(g)"), becomes="Compress, Concat, Greater, ReduceSum"),
        rewritten(
            "one axis in an old release",
            _kept("[3]", "ReduceSum<keepdims=0>(g, a)", "[6,3]"),
            becomes="Compress, Concat, Greater, ReduceSum",
            mnn="3.2.0",
            a=np.array([0]),
        ),
        rewritten(
            "product of two axes",
            _kept("[1,1,4]", "ReduceProd<axes=[0,-2]>(g)", "[6,2,4]"),
            becomes="Compress, Concat, Greater, ReduceProd",
        ),
        rewritten(
            "mean of all",
            _kept("[1,1]", "ReduceMean(g)", "[6,3]"),
            becomes="Cast, Compress, Concat, Div, Gather, Greater, Max, ReduceProd, ReduceSum, Shape",
        ),
        rewritten(
            "sum of integers",
            _kept("", "ReduceSum<keepdims=0>(g)", "[6,2]", "int32"),
            becomes="Compress, Concat, Greater, ReduceSum",
        ),
    )


def _extremes() -> tuple[Example, ...]:
    return (
        rewritten(
            "largest of all", _kept("", "ReduceMax<keepdims=0>(g)"), becomes="Compress, Concat, Greater, ReduceMax"
        ),
        rewritten(
            "smallest of one axis",
            _kept("[3]", "ReduceMin<axes=[0], keepdims=0>(g)", "[6,3]"),
            becomes="Compress, Concat, Greater, ReduceMin",
        ),
        refused(
            "another dimension is not known",
            "is dynamic",
            _kept("[N]", "ReduceMax<axes=[0], keepdims=0>(g)", "[6,N]"),
        ),
    )
