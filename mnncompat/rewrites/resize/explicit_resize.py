"""Resize and Upsample whose mode and axes are written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.graph.operator_traits import RESIZES
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_ROI, _SCALES, _SIZES = 1, 2, 3


class ExplicitResize(NodeRewrite):
    """Write the mode into a resize, and scales or sizes for every axis; give rank 3 a fourth dimension.

    **What.** Resize and Upsample without ``mode``, Resize with ``axes``, and linear Resize of rank 3.

    **Why.** MNN reads an absent mode as linear, ignores ``axes``, and reads memory that was never written for some
    resizes of rank 3.

    **Before and after**::

        Resize(x, scales = [2, 2], axes = [2, 3])        Resize(x, scales = [1, 1, 2, 2], mode = nearest)
        Resize(x, mode = linear)                         Squeeze(Resize(Unsqueeze(x, 2), mode = linear), 2)

    **Algebra.** None but a dimension of 1: an axis that is not named keeps its size, a mode that is not stated is
    nearest.

    **Refuses** axes with sizes where other dimensions are dynamic, and a cut-out, which has a row and a remedy of its
    own.

    **Why this form.** It keeps MNN's own operator, one node; the other rewrites write several.

    **Source.** https://onnx.ai/onnx/operators/onnx__Resize.html
    """

    code = "MNN892"
    name = "explicit-resize"
    summary = "mode and axes are written out"
    op_types = RESIZES
    before = (("separable-resize", "with its mode written out MNN's own operator, one node, may be right"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit a copy of the resize with mode, scales and sizes stated."""
        x, mode = new.input(0), node.attribute("mode") or "nearest"
        spread, widened = bool(node.attribute("axes")), x.rank == len("NCL") and mode != "nearest"
        if node.attribute("coordinate_transformation_mode") == "tf_crop_and_resize":
            raise NotApplicable("tf_crop_and_resize reads a cut-out")
        if node.opset < 11 and node.given("mode"):  # noqa: PLR2004 - there are no other forms yet
            raise NotApplicable(f"everything is stated in opset {node.opset}")
        if node.node.op_type == "Upsample" or node.opset < 11 or not (spread or widened):  # noqa: PLR2004 - old forms
            return new.clone_node(mode=mode)[0]
        amounts = [
            self._for_every_axis(node, new, position, kept) for position, kept in ((_SCALES, 1.0), (_SIZES, None))
        ]
        roi = new.input(_ROI) if new.has(_ROI) else None
        if not widened:
            return new.clone_node(x, roi, *amounts, mode=mode, axes=None)[0]
        wide = [None if each is None else _with_one(new, each) for each in amounts]
        return new.squeeze(new.clone_node(new.unsqueeze(x, [2]), roi, *wide, mode=mode, axes=None)[0], [2])

    @staticmethod
    def _for_every_axis(node: NodeFacts, new: SubgraphBuilder, position: int, kept: float | None) -> Value | None:
        """Scales or sizes for every axis, None if they are not stated."""
        if not new.has(position):
            return None
        value, axes = new.input(position), node.attribute("axes")
        constant = value.constant
        if not axes or (constant is not None and not constant.size):
            return value
        x = new.input(0)
        beyond = next((axis for axis in axes if not -x.rank <= axis < x.rank), None)
        if beyond is not None:
            raise NotApplicable(f"axes name axis {beyond} of an image of {x.rank} axes")
        order = [axis % x.rank for axis in axes]
        if constant is None:
            return _spread(new, value, order, kept)
        given = dict(zip(order, constant.reshape(-1).tolist(), strict=True))
        full = [given[axis] if axis in given else kept or x.dim(axis) for axis in range(x.rank)]
        return new.constant(np.asarray(full, constant.dtype))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Modes and axes."""
        return (
            *_modes(),
            *_axes(),
            refused(
                "sizes of a dynamic image",
                "dimension 0 of 'x' is dynamic",
                """(float[N,2,4,5] x) => (float[N,2,6,7] y) <int64[2] n = {7, 6}>
                { y = Resize<axes=[3,2], mode="nearest">(x, , , n) }""",
                opset=18,
            ),
            unchanged(
                "all stated",
                """(float[1,2,4,5] x) => (float[1,2,8,10] y) <float[4] s = {1.0, 1.0, 2.0, 2.0}>
                { y = Resize<mode="linear">(x, , s) }""",
            ),
        )


def _modes() -> tuple[Example, ...]:
    """Nodes without a mode."""
    return (
        rewritten(
            "no mode",
            "(float[1,2,4,5] x) => (float[1,2,8,10] y) <float[4] s = {1.0, 1.0, 2.0, 2.0}> { y = Resize(x, , s) }",
            becomes="Resize",
        ),
        rewritten(
            "Upsample without mode",
            "(float[1,2,4,5] x) => (float[1,2,8,10] y) <float[4] s = {1.0, 1.0, 2.0, 2.0}> { y = Upsample(x, s) }",
            becomes="Upsample",
            opset=9,
        ),
    )


def _axes() -> tuple[Example, ...]:
    """Sizes and scales of some axes."""
    return (
        rewritten(
            "scales of two axes",
            """(float[N,2,4,5] x) => (float[N,2,6,10] y) <float[2] s = {2.0, 1.5}>
            { y = Resize<axes=[3,2], mode="linear">(x, , s) }""",
            becomes="Resize",
            opset=18,
        ),
        rewritten(
            "sizes of one axis",
            """(float[1,2,4,5] x) => (float[1,2,4,9] y) <int64[1] n = {9}>
            { y = Resize<axes=[-1], mode="nearest">(x, , , n) }""",
            becomes="Resize",
            opset=18,
        ),
        rewritten(
            "rank 3",
            """(float[1,2,40] x) => (float[1,2,60] y) <float[3] s = {1.0, 1.0, 1.5}>
            { y = Resize<mode="linear">(x, , s) }""",
            becomes="Resize, Squeeze, Unsqueeze",
        ),
        rewritten(
            "sizes at run time",
            """(float[1,2,4,5] x, int64[2] k) => (float[1,2,6,7] y) <int64[2] n = {7, 6}>
            { zero = Sub(k, k) m = Add(n, zero) y = Resize<axes=[3,2], mode="nearest">(x, , , m) }""",
            becomes="Add, Concat, Resize, 2 Slice, Sub",
            opset=18,
        ),
    )


def _spread(new: SubgraphBuilder, value: Value, order: Sequence[int], kept: float | None) -> Value:
    """Scales or sizes that are computed at run time, axis by axis."""
    x, parts = new.input(0), []
    for axis in range(x.rank):
        if axis in order:
            index = order.index(axis)
            parts.append(new.slice(value, [index], [index + 1], [0]))
        else:
            parts.append(new.constant(np.asarray([kept or x.dim(axis)], value.element)))
    return new.concat(parts, 0)


def _with_one(new: SubgraphBuilder, amounts: Value) -> Value:
    """Scales or sizes of rank 3 with a 1 for the new axis 2."""
    constant = amounts.constant
    if constant is not None and not constant.size:
        return amounts
    if constant is not None:
        return new.constant(np.insert(constant.reshape(-1), 2, 1))
    head, tail = new.split(amounts, [2, 1], 0)
    return new.concat([head, new.constant(np.ones(1, amounts.element)), tail], 0)
