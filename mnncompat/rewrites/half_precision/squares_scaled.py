"""Norms whose squares stay in the range of half precision."""

from __future__ import annotations

from math import prod, sqrt
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.half_conditions import LARGEST
from mnncompat.support.relations.half_norms import RootOfSquares, norm_by_root, root_of_squares

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_SMALLEST = 2.0**-10
"""Divides where all elements are smaller. Any positive number gives an equal result; squares of this one are not 0."""
_LEAST = 2.0**-14
"""The smallest normal number of float16: what is divided by does not fall below it."""
_SEEN = 2.0**-12
_UNSEEN = 1e-9
"""Beside a root of squares that float16 holds, such a number changes nothing."""
_NOT_ZERO = 1e-30
"""An element is at most the root of their number times the root of the mean of their squares. MNN fuses a product with
the norm as its gain, whatever its shape: what limits the result keeps it from that."""


class SquaresScaled(NodeRewrite):
    """Keep the squares of a norm out of half precision.

    **What.** Division by the root of a sum or mean of squares (RMS and L2 norms, variances, F.normalize), and such
    roots, for half precision.

    **Why.** Squares of more than 255 overflow in float16, and an epsilon below 6e-8 is 0 there: a row of zeros, or of
    one value, gives NaN.

    **Before and after**::

        y = x / Max(ReduceL2(x), 1e-12)                  x: [2, 16]
        y = 0.25 * (x / Sqrt(ReduceMean(x^2) + 6e-26))

        y = Sqrt(ReduceSum(x * x))
        m = Max(ReduceMax(Abs(x)), 2^-10)  b = x / m  y = 4 * m * Sqrt(ReduceMean(b * b))

    **Algebra.** A sum is the mean times the number of elements. A number of at most 1e-9 beside the root, which it does
    not fall below or which is added, goes below it: both are equal for norms that are not as small. Otherwise
    numerator and denominator are divided by the same positive number, the largest element; the denominator is at least
    2^-14 then where nothing else keeps it from 0, and equal for elements above 2^-24, the smallest number of float16.

    **Why this form.** The first one is what MNN fuses to its norm, and computes in float32. Measured on an emulated
    Cortex-A76, `precision = low`, elements of 0.001 to 1,000: 69 to 71 dB; divided by the largest element 57 to 70; the
    forms before had -29 to 68, and NaN.

    **Refuses** values of unknown rank that are reduced over all axes.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): BinaryOp runs in float16;
    tools/converter/source/optimizer/merge/FuseLayerNormV2.cpp
    """

    code = "MNN981"
    name = "squares-scaled"
    summary = "its squares are not computed in half precision"
    for_half_precision = True
    op_types = ("Div", "Mul", "ReduceL2", "Sqrt")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the quotient, or the root."""
        norm = norm_by_root(node) if node.node.op_type in ("Div", "Mul") else None
        root = norm[1] if norm is not None else root_of_squares(node.view, node.node.output[0])
        if root is None:
            raise NotApplicable("it is no root of squares, and divides by none")
        value = new.value(root.value)
        axes = root.axes or tuple(range(value.rank))
        if norm is not None and norm[0] == root.value and max(root.floor, root.added) <= _UNSEEN:
            fused = _fused(new, root, value, axes)
            if fused is not None:
                return fused
        largest = new.op("Max", new.reduce("ReduceMax", new.op("Abs", value), axes), _SMALLEST)
        small = value / largest
        divisor, scale = _divisor(new, root, small, axes, largest)
        if norm is None:
            result = _times(divisor, scale) * largest
            return result if root.keepdims else new.squeeze(result, axes)
        over = small if norm[0] == root.value else new.value(norm[0]) / largest
        return _times(over / _not_zero(new, root, divisor, scale), 1 / scale)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Every way to write such a norm, and the root alone; what MNN fuses, and other roots."""
        return (*_norms(), *_roots(), *_look_alikes())


def _fused(new: SubgraphBuilder, root: RootOfSquares, value: Value, axes: tuple[int, ...]) -> Value | None:
    """The norm in the form that MNN fuses; None if it is a sum of an unknown number of squares."""
    op, factor = _as_mean(root, value, axes)
    if op != "ReduceMean":
        return None
    epsilon = max(root.epsilon / factor, root.floor**2 / factor, _NOT_ZERO)
    mean = new.reduce(op, new.op("Pow", value, 2.0), axes)
    result = value / new.op("Sqrt", mean + epsilon)
    if factor == 1:
        return result
    dims = value.dims[min(axis % value.rank for axis in axes) :]
    if len(dims) == len(axes) and all(isinstance(dim, int) for dim in dims):
        return result * np.full([int(dim or 0) for dim in dims], 1 / sqrt(factor), value.element)
    return new.clip(result, -LARGEST, LARGEST) * (1 / sqrt(factor))


def _as_mean(root: RootOfSquares, value: Value, axes: tuple[int, ...]) -> tuple[str, float]:
    """A sum of a known number of squares as their mean, and the factor."""
    dims = [value.dims[axis] for axis in axes]
    sizes = [dim for dim in dims if isinstance(dim, int)]
    if root.op == "ReduceMean" or len(sizes) < len(dims) or not prod(sizes):
        return root.op, root.factor
    return "ReduceMean", root.factor * prod(sizes)


def _times(value: Value, number: float) -> Value:
    return value if number == 1 else value * number


def _divisor(
    new: SubgraphBuilder, root: RootOfSquares, small: Value, axes: tuple[int, ...], largest: Value
) -> tuple[Value, float]:
    """The root for the scaled value, and a number to multiply it by."""
    op, factor = _as_mean(root, small, axes)
    scale = sqrt(factor)
    square = new.reduce(op, small * small, axes)
    ratio = sqrt(root.epsilon / factor)
    if ratio:
        part = ratio / largest
        square = square + part * part
    found = new.op("Sqrt", square)
    if root.floor:
        found = new.op("Max", found, (root.floor / scale) / largest)
    if root.added:
        found = found + (root.added / scale) / largest
    return found, scale


def _not_zero(new: SubgraphBuilder, root: RootOfSquares, divisor: Value, scale: float) -> Value:
    """A divisor that is not 0 in half precision, where nothing beside the squares keeps it from that."""
    beside = max(sqrt(root.epsilon), root.floor, root.added) / scale
    return new.op("Max", divisor, _LEAST) if beside < _SEEN * _SMALLEST else divisor


_X = "(float[2,6,4] x) => (float[2,6,4] y)"


def _norms() -> tuple[Example, ...]:
    """Divisions by a root of squares."""
    mean, total = "m = ReduceMean<axes=[1, 2]>(q)", "<float c = {0.25}, float h = {-0.5}, int64[1] a = {-1}>"
    return (
        rewritten(
            "mean over two axes, no epsilon",
            f"{_X} {{ q = Mul(x, x) {mean} r = Sqrt(m) y = Div(x, r) }}",
            becomes="Add, Div, Pow, ReduceMean, Sqrt",
            precision="low",
        ),
        rewritten(
            "variance with a tiny epsilon",
            f"""{_X} <float e = {{1e-12}}> {{ u = ReduceMean<axes=[-1]>(x) d = Sub(x, u) q = Mul(d, d)
            m = ReduceMean<axes=[-1]>(q) a = Add(m, e) r = Sqrt(a) y = Div(d, r) }}""",
            becomes="Add, Div, Pow, 2 ReduceMean, Sqrt, Sub",
            precision="low",
        ),
        rewritten(
            "sum, power and gain",
            f"""{_X} {total} {{ q = Mul(x, x) s = ReduceSum(q, a) m = Mul(s, c) t = Add(m, c) i = Pow(t, h)
            y = Mul(i, x) }}""",
            becomes="Add, Div, Pow, ReduceMean, Sqrt",
            precision="low",
        ),
        rewritten(
            "F.normalize, dynamic",
            """(float[N,C] x) => (float[N,C] y) <float e = {1e-12}> { r = ReduceL2<axes=[1], keepdims=1>(x)
            c = Clip(r, e) s = Shape(x) b = Expand(c, s) y = Div(x, b) }""",
            becomes="Abs, 3 Div, 3 Max, Mul, ReduceMax, ReduceSum, Sqrt",
            precision="low",
        ),
    )


def _roots() -> tuple[Example, ...]:
    """Roots of squares that are results."""
    return (
        rewritten(
            "ReduceL2",
            "(float[2,6,4] x) => (float[2,4] y) { y = ReduceL2<axes=[1], keepdims=0>(x) }",
            becomes="Abs, Div, Max, 3 Mul, ReduceMax, ReduceMean, Sqrt, Squeeze",
            precision="low",
        ),
        rewritten(
            "root of a mean",
            "(float[2,6,4] x) => (float[2,1,4] y) { q = Mul(x, x) m = ReduceMean<axes=[1]>(q) y = Sqrt(m) }",
            becomes="Abs, Div, Max, 2 Mul, ReduceMax, ReduceMean, Sqrt",
            precision="low",
        ),
    )


def _look_alikes() -> tuple[Example, ...]:
    """What MNN fuses, what is no root of squares, and what is not for half precision."""
    fused = f"""{_X} <float e = {{1e-5}}> {{ q = Mul(x, x) m = ReduceMean<axes=[-1]>(q) a = Add(m, e) r = Sqrt(a)
        y = Div(x, r) }}"""
    return (
        unchanged("fused by MNN", fused, precision="low"),
        unchanged("in float32", f"{_X} {{ q = Mul(x, x) m = ReduceMean<axes=[-1]>(q) r = Sqrt(m) y = Div(x, r) }}"),
        unchanged(
            "no squares",
            f"{_X} {{ q = Exp(x) m = ReduceMean<axes=[-1]>(q) r = Sqrt(m) y = Div(x, r) }}",
            precision="low",
        ),
    )
