"""Sines and cosines of positions, from tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.half_angles import Angle, angle_of_positions

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_FINE, _COARSE = 64, 2048
_LARGEST = 1 << 22


class AnglesFromTables(NodeRewrite):
    """Look sines and cosines of positions up.

    **What.** Sin and Cos of whole numbers times a constant, such as the angles of rotary embeddings, for half
    precision.

    **Why.** The product is computed in float16: above 2,048 an angle is off by whole turns of its last bits.

    **Before and after**::

        y = Sin(p * w)
        q = p / 64  r = p - 64 * q  y = sin(64 * q * w) * cos(r * w) + cos(64 * q * w) * sin(r * w)

    **Algebra.** The sum of angles. The four functions are tables, gathered by whole numbers, which are exact.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, positions from 3,000 on: 12 dB before, 65
    and more after. Two tables of 2,048 and 64 rows reach up to 131,071; one would have to have as many.

    **Refuses** constants of more than one axis, and tables of more than 4 million elements. Positions above 131,071 are
    not looked up rightly.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): BinaryOp runs in float16
    """

    code = "MNN995"
    name = "angles-from-tables"
    summary = "looked up in tables"
    for_half_precision = True
    op_types = ("Cos", "Sin")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the sum of products."""
        angle = angle_of_positions(node.view, node.node.input[0])
        if angle is None:
            raise NotApplicable("it is of no positions")
        axis, speeds = _speeds(angle, new)
        whole = new.cast(new.value(angle.whole), TensorProto.INT32)
        placed = new.splice(angle.shaped, {angle.shaped[0].input[0]: whole}) if angle.shaped else {}
        positions = placed[angle.shaped[-1].output[0]] if angle.shaped else whole
        size = new.op("Abs", positions)
        coarse = size / _FINE
        fine = size - coarse * _FINE
        steps = np.arange(_COARSE)[:, None] * _FINE * speeds, np.arange(_FINE)[:, None] * speeds
        rows = [new.op("Min", coarse, _COARSE - 1), fine]
        like = new.value(angle.product)
        pairs = [
            [_looked_up(new, function(each).astype(like.element), row, axis) for function in (np.sin, np.cos)]
            for each, row in zip(steps, rows, strict=True)
        ]
        (sine, cosine), (sine_of_rest, cosine_of_rest) = pairs
        if node.node.op_type == "Cos":
            result = cosine * cosine_of_rest - sine * sine_of_rest
        else:
            result = sine * cosine_of_rest + cosine * sine_of_rest
            signs = (new.scalar(-1.0, like), new.scalar(1.0, like))
            result = result * new.op("Where", new.op("Greater", new.scalar(0, positions), positions), *signs)
        if not angle.after:
            return result
        return new.splice(angle.after, {angle.after[0].input[0]: result})[angle.after[-1].output[0]]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Products of both kinds, a transposition after; two axes, positions that are counted, and float32."""
        text = "(int64[1,N] p) => (float[{0}] y) <int64[1] a = {{{1}}}> {{ f = Cast<to=1>(p) u = Unsqueeze(f, a) {2} }}"
        product = text.format("1,N,3", 2, "m = Mul(u, w) y = Sin(m)")
        speeds = np.array([1, 0.1, 0.01], np.float32)
        return (
            rewritten(
                "sine",
                product,
                becomes="Abs, Add, Cast, Div, 4 Gather, Greater, Min, 4 Mul, 4 Squeeze, Sub, Unsqueeze, Where",
                precision="low",
                w=speeds,
            ),
            rewritten(
                "outer product, transposed",
                text.format("1,N,3", 1, "m = MatMul(w, u) t = Transpose<perm=[0, 2, 1]>(m) y = Cos(t)"),
                becomes="Abs, Cast, Div, 4 Gather, Min, 3 Mul, 4 Squeeze, 2 Sub, 5 Transpose, Unsqueeze",
                precision="low",
                w=speeds.reshape(1, 3, 1),
            ),
            refused(
                "two axes",
                "more than one axis",
                text.format("1,2,3", 2, "m = Mul(u, w) y = Sin(m)").replace("N", "2"),
                precision="low",
                w=np.ones((2, 3), np.float32),
            ),
            unchanged(
                "counted",
                """(float[N,3] x) => (float[N,3] y) <int64 i = {0}, int64 o = {1}, int64[1] a = {1}> { s = Shape(x)
                n = Gather(s, i) p = Range(i, n, o) f = Cast<to=1>(p) u = Unsqueeze(f, a) m = Mul(u, w) z = Sin(m)
                y = Add(x, z) }""",
                precision="low",
                w=speeds,
            ),
            unchanged("in float32", product, w=speeds),
        )


def _speeds(angle: Angle, new: SubgraphBuilder) -> tuple[int, np.ndarray]:
    """The axis of the product, from the end, along which the constant differs, and its elements.

    Raises:
        NotApplicable: It differs along several, the positions as well, or it is too large.
    """
    factor = angle.factor
    long = [axis - factor.ndim for axis, size in enumerate(factor.shape) if size != 1]
    if len(long) > 1:
        raise NotApplicable(f"the constant of shape {list(factor.shape)} has more than one axis")
    axis = long[0] if long else -1
    if factor.size * _COARSE > _LARGEST:
        raise NotApplicable(f"a table of {factor.size} columns is too large")
    dims = new.value(angle.shaped[-1].output[0] if angle.shaped else angle.whole).dims
    if len(dims) < -axis or dims[axis] != 1:
        raise NotApplicable("the positions differ along the axis of the constant as well")
    return axis, factor.reshape(-1).astype(np.float64)


def _looked_up(new: SubgraphBuilder, table: np.ndarray, rows: Value, axis: int) -> Value:
    """Rows of a table, whose columns become an axis of the result."""
    at = rows.rank + axis
    found = new.op("Gather", new.constant(table), new.squeeze(rows, [at]), axis=0)
    others = list(range(rows.rank - 1))
    return found if at == rows.rank - 1 else new.transpose(found, [*others[:at], rows.rank - 1, *others[at:]])
