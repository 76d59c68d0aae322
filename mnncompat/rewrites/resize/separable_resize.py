"""Resize, one axis after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.graph.operator_traits import RESIZES
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.resize.resampling import Resized, Sampling, nearest, outside, positions, sampling_of, weights
from mnncompat.rewrites.resize.resized_axes import resized_axes
from mnncompat.rewrites.resize.resized_by_taps import resized_by_taps
from mnncompat.rewrites.resize.weighted_axis import extrapolated, weighted

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts


class SeparableResize(NodeRewrite):
    """Resize one axis after the other, by a Gather or a matrix.

    **What.** Resize and Upsample whose coordinates, rounding, filter or axes MNN lacks or computes wrongly.

    **Why.** MNN knows bilinear, nearest and cubic resizes of height and width with four ways to count positions.

    **Before and after**::

        y = Resize(x, mode = nearest)              y = Gather(Gather(x, rows, axis = 2), columns, axis = 3)
        y = Resize(x, mode = linear or cubic)      y = MatMul(MatMul(A, x), B)
        y = Resize(x, mode = linear), large axis   y = Gather(x, left) * (1 - t) + Gather(x, right) * t

    Where the scales are computed at run time, but the size of the result is stated, A and B (or rows and columns) are
    computed from the scales when the model runs. Where sizes are dynamic, elements are gathered, weighed and summed:
    one for each element of the result along an axis, two in linear, and four in cubic mode.

    **Algebra.** Every mode is separable. Row i of a matrix holds the share of each element in element i of the result;
    shares of places outside count for the nearest edge (exclude_outside: for nothing, and the rest is scaled to 1).

    **Refuses** types other than floats in linear and cubic mode; with dynamic sizes antialias, cut-outs, aspect ratios,
    and opsets before 11.

    **Why this form.** Measured with MNN 3.6.1 on x86-64, one thread, 2x linear: 32 channels of 64x64 take 1.3 ms by
    matrices and 4.1 ms by Gathers, 3 channels of 256x256 take 19 ms and 13 ms, of 640x640 to half 38 ms and 5.6 ms.
    Matrices are used up to 64 elements for each that has a weight.

    **Source.** https://onnx.ai/onnx/operators/onnx__Resize.html
    """

    code = "MNN893"
    name = "separable-resize"
    summary = "resized one axis after the other"
    op_types = RESIZES

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the resize of each axis, those that shrink most first."""
        sampling = sampling_of(node)
        value = new.input(0)
        if sampling.mode != "nearest" and not value.is_float:
            raise NotApplicable(f"{sampling.mode} resize of {TensorProto.DataType.Name(value.dtype)}")
        opened = resized_by_taps(node, new, sampling)
        if opened is not None:
            return opened
        found = resized_axes(node, new)
        for axis in sorted(found, key=lambda each: each.result / each.size):
            value = _resized(new, value, axis, sampling)
        return value if found else new.op("Identity", value)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Each mode, large and small, old opsets, scales at run time."""
        return (
            *_modes(),
            *_scales(),
            *_dynamic(),
            refused(
                "dynamic and antialias",
                "antialias, and a size of 'x' or of the result is dynamic",
                """(float[1,2,H,5] x) => (float[1,2,G,5] y) <float[4] s = {1.0, 1.0, 0.5, 1.0}>
                { y = Resize<mode="linear", antialias=1,
                  coordinate_transformation_mode="half_pixel_symmetric">(x, , s) }""",
                opset=19,
            ),
            unchanged(
                "MNN does it",
                f"""(float[1,2,4,5] x) => (float[1,2,6,3] y) <{_SCALES}>
                {{ y = Resize<mode="nearest", nearest_mode="floor">(x, , s) }}""",
            ),
        )


# Parts of the examples.
_SCALES = "float[4] s = {1.0, 1.0, 1.5, 0.6}"


def _modes() -> tuple[Example, ...]:
    """Modes of interpolation."""
    return (
        rewritten(
            "rounding up",
            f"""(float[1,2,4,5] x) => (float[1,2,6,3] y) <{_SCALES}>
            {{ y = Resize<mode="nearest", nearest_mode="ceil">(x, , s) }}""",
            becomes="2 Gather",
        ),
        rewritten(
            "cubic",
            f"""(float[N,2,4,5] x) => (float[N,2,6,3] y) <{_SCALES}>
            {{ y = Resize<mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1>(x, , s) }}""",
            becomes="2 MatMul",
        ),
        rewritten(
            "antialias",
            """(float[1,2,9,8] x) => (float[1,2,4,5] y) <int64[4] n = {1, 2, 4, 5}>
            { y = Resize<mode="cubic", antialias=1>(x, , , n) }""",
            becomes="2 MatMul",
            opset=18,
        ),
        rewritten(
            "crop",
            """(float[1,2,6,7] x) => (float[1,2,4,5] y)
            <int64[4] n = {1, 2, 4, 5}, float[8] roi = {0.0, 0.0, 0.2, -0.1, 1.0, 1.0, 0.9, 1.2}>
            { y = Resize<mode="linear", coordinate_transformation_mode="tf_crop_and_resize",
              extrapolation_value=7.5>(x, roi, , n) }""",
            becomes="Add, 3 MatMul, 2 Mul, 2 Reshape, Sub",
        ),
    )


def _dynamic() -> tuple[Example, ...]:
    """Sizes that are known when the model runs."""
    return (
        rewritten(
            "dynamic height, rounding up",
            """(float[1,2,H,5] x) => (float[1,2,G,5] y) <float[4] s = {1.0, 1.0, 2.0, 1.0}>
            { y = Resize<mode="nearest", nearest_mode="ceil">(x, , s) }""",
            becomes="Add, 4 Cast, Ceil, Div, Floor, Gather, Max, Min, Mul, Range, Shape, Slice, Squeeze, 2 Sub",
        ),
        rewritten(
            "dynamic image, cubic",
            """(float[1,2,H,W] x) => (float[1,2,G,K] y) <float[4] s = {1.0, 1.0, 3.0, 1.5}>
            { y = Resize<mode="cubic">(x, , s) }""",
            becomes="""18 Add, 14 Cast, 2 Div, 4 Floor, 8 Gather, 8 Max, 8 Min, 34 Mul, 2 Range, 4 Reshape, 2 Shape, 2
            Slice, 2 Squeeze, 12 Sub""",
        ),
        rewritten(
            "cubic to sizes at run time",
            """(float[N,2,H,W] x, float[1,1,P,Q] like) => (float[N,2,P,Q] y) <int64[1] zero = {0}, int64[1] two = {2},
            int64[1] four = {4}> { a = Shape(x) b = Shape(like) c = Slice(a, zero, two) d = Slice(b, two, four)
            n = Concat<axis=0>(c, d) y = Resize<mode="cubic", exclude_outside=1>(x, , , n) }""",
            becomes="""32 Add, 15 Cast, 8 Clip, Concat, 12 Div, 2 Floor, 8 Gather, 24 Max, 8 Min, 40 Mul, 8 Neg,
            2 Range, 4 Reshape, 4 Shape, 6 Slice, 2 Squeeze, 28 Sub""",
        ),
    )


def _scales() -> tuple[Example, ...]:
    """Scales at run time, large ones, and an old opset."""
    return (
        rewritten(
            "scales at run time",
            """(float[1,2,4,5] x, float[4] one) => (float[1,2,6,3] y) <float[4] k = {1.0, 1.0, 1.5, 0.6}>
            { zero = Sub(one, one) s = Add(zero, k)
              y = Resize<mode="linear", coordinate_transformation_mode="half_pixel_symmetric">(x, , s) }""",
            becomes="3 Abs, 4 Add, 6 Clip, 6 Div, 6 MatMul, 6 Mul, 5 Reshape, 3 Slice, 13 Sub, Transpose",
        ),
        rewritten(
            "large",
            """(float[1,1,3,300] x) => (float[1,1,3,450] y) <float[4] s = {1.0, 1.0, 1.0, 1.5}>
            { y = Resize<mode="linear", coordinate_transformation_mode="half_pixel_symmetric">(x, , s) }""",
            becomes="Add, 2 Gather, 2 Mul",
        ),
        rewritten(
            "opset 10",
            f'(float[1,2,4,5] x) => (float[1,2,6,3] y) <{_SCALES}> {{ y = Resize<mode="linear">(x, s) }}',
            becomes="2 MatMul",
            opset=10,
        ),
    )


def _resized(new: SubgraphBuilder, value: Value, axis: Resized, sampling: Sampling) -> Value:
    where = positions(new, axis, sampling.coordinates)
    if sampling.mode == "nearest":
        index = nearest(new, axis, where, sampling.rounding)
        result = new.op("Gather", value, index, axis=axis.axis)
    else:
        result = weighted(new, value, axis, weights(new, axis, where, sampling))
    if sampling.coordinates != "tf_crop_and_resize":
        return result
    kept = outside(new, axis, where)
    return result if kept is None else extrapolated(new, result, axis, kept, sampling.extrapolation)
