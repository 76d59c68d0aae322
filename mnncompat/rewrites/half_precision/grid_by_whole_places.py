"""Bilinear GridSample of a constant grid and an offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.half_grids import offset_grid

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_NEAR = 1e-3
_SIZES = {"x": 0, "y": 1}


class GridByWholePlaces(NodeRewrite):
    """Keep the places of a constant grid as whole numbers, and sample by the offset alone.

    **What.** Bilinear GridSample whose grid is a constant and a computed offset, such as an optical flow, with padding
    by zeros or the border, for half precision.

    **Why.** MNN computes places in float16: in a picture of 512 elements they are off by up to a quarter of one.

    **Before and after**::

        y = GridSample(x, base + flow)
        p = flow * size / 2  i = int(base place) + int(Floor(p))  t = p - Floor(p)
        y = x[i] * (1 - t) + x[i + 1] * t                                   in both directions

    **Algebra.** A place is a whole number and the rest; the constant part is whole, or its rest is added to the offset.
    Whole numbers are int32, which is exact.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, 96 x 96, offsets of 2 elements: 4 to 27 dB
    before, 50 and more after.

    **Refuses** pictures whose size is not known.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): GridSample runs in float16
    """

    code = "MNN993"
    name = "grid-by-whole-places"
    summary = "places of its constant grid are whole numbers"
    for_half_precision = True
    op_types = ("GridSample",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the four neighbours and their weights."""
        grid = offset_grid(node.view, node.node.input[1])
        if grid is None:
            raise NotApplicable("its grid is no sum of a constant and an offset")
        x, flow = new.input(0), new.value(grid.offset)
        batch, channels, height, width = x.shape
        lengths = np.array([width, height], np.float64) - bool(node.attribute("align_corners"))
        for step in grid.steps:
            flow = new.transpose(flow, step.perm) if step.factor is None else flow * step.factor.astype(x.element)
        places = (grid.base + 1) * lengths / 2 - (0 if node.attribute("align_corners") else 0.5)
        whole = np.where(np.abs(places - np.rint(places)) < _NEAR, np.rint(places), np.floor(places))
        moved = flow * (lengths / 2).astype(x.element) + (places - whole).astype(x.element)
        down = new.op("Floor", moved)
        axes = [_Axis(new, each, down, moved - down, whole) for each in _SIZES.values()]
        rows = new.reshape(new.transpose(x, (0, 2, 3, 1)), (-1, channels))
        first = (np.arange(batch, dtype=np.int32) * (height * width)).reshape(-1, 1, 1)
        is_zero = node.attribute("padding_mode") in (None, "zeros")
        total: Value | None = None
        for across in (0, 1):
            for below in (0, 1):
                columns, of_columns = axes[0].neighbour(across, width, is_zero=is_zero)
                lines, of_lines = axes[1].neighbour(below, height, is_zero=is_zero)
                read = new.op("Gather", rows, lines * width + columns + first, axis=0)
                part = read * new.unsqueeze(of_columns * of_lines, [3])
                total = part if total is None else total + part
        assert total is not None  # noqa: S101 - four neighbours
        return new.transpose(total, (0, 3, 1, 2))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both paddings, a scaled sum; an unknown size, other grids, and float32."""
        base = np.stack(np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 4)), -1)[None].astype(np.float32)
        text = "(float[{0},2,{1},5] x, float[{0},4,5,2] f) => (float[{0},2,4,5] y) {{ {2} y = GridSample<{3}>(x, g) }}"
        flow = "g = Add(b, f)"
        return (
            rewritten(
                "zeros, corners",
                text.format(1, 4, flow, "align_corners=1"),
                becomes="""18 Add, 2 Cast, 8 Equal, Floor, 8 Gather, 8 Max, 8 Min, 13 Mul,
                Reshape, 6 Sub, 2 Transpose, 4 Unsqueeze, 8 Where""",
                opset=16,
                precision="low",
                b=base,
            ),
            rewritten(
                "border, scaled after the sum",
                text.format(2, 4, "p = Mul(f, h) s = Add(p, b) g = Sub(s, h)", 'padding_mode="border"'),
                becomes="""18 Add, 2 Cast, Floor, 8 Gather, 8 Max, 8 Min, 14 Mul, Reshape, 6 Sub, 2 Transpose,
                4 Unsqueeze""",
                opset=16,
                precision="low",
                b=base,
                h=np.array(0.25, np.float32),
            ),
            refused(
                "unknown size",
                "is dynamic",
                text.format(1, "H", flow, "align_corners=0"),
                opset=16,
                precision="low",
                b=base,
            ),
            unchanged("no constant", text.format(1, 4, "g = Add(f, f)", "align_corners=0"), opset=16, precision="low"),
            unchanged("in float32", text.format(1, 4, flow, "align_corners=0"), opset=16, b=base),
        )


class _Axis:
    """Whole places and shares along one axis of the picture."""

    def __init__(self, new: SubgraphBuilder, axis: int, down: Value, share: Value, whole: np.ndarray) -> None:
        self._new = new
        at = new.constant(np.asarray(axis, np.int64))
        place = new.cast(new.op("Gather", down, at, axis=3), TensorProto.INT32)
        self._place = place + whole[..., axis].astype(np.int32)
        self._share = new.op("Gather", share, at, axis=3)

    def neighbour(self, step: int, size: int, *, is_zero: bool) -> tuple[Value, Value]:
        """The place of one of two neighbours, inside the picture, and its weight."""
        new = self._new
        place = self._place + 1 if step else self._place
        share = self._share if step else 1 - self._share
        inside = new.op("Min", new.op("Max", place, 0), size - 1)
        if not is_zero:
            return inside, share
        return inside, new.op("Where", new.op("Equal", inside, place), share, new.scalar(0.0, share))
