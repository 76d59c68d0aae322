"""Constant factors of a written-out normalisation that MNN would misread as its gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.support.relations.normalization import fused_norm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts
    from mnncompat.support.relations.normalization import FusedNorm

_ROOT = "p = Pow(x, two) m = ReduceMean<axes=[-1]>(p) a = Add(m, e) s = Sqrt(a)"
_STORED = "<float e = {0.1}, float one = {1.0}, float two = {2.0}>"


class GainOfNorm(NodeRewrite):
    """Give the factor of a normalisation the shape of the normalised axes, or keep MNN from fusing it.

    **What.** A product with a constant of ``x / Sqrt(ReduceMean(x * x) + epsilon)``, where the constant has not exactly
    the axes over which the mean is taken: a scale after a pixel norm, a gain per channel of a norm over height and
    width.

    **Why.** MNN fuses the normalisation to one operator and treats any constant that it is multiplied by as the gain.
    If that has fewer elements, MNN reads past its end.

    **Before and after**::

        y = Mul(x * (1 / s), 0.5)                         normalised over the last axis, of 4 elements
        y = Mul(x * (1 / s), [0.5, 0.5, 0.5, 0.5])

        y = Mul(x * (1 / s), c)                           normalised over height and width, c is [C, 1, 1]
        y = Mul((1 / s) * x, c)

    **Algebra.** Broadcasting; products commute.

    **Why this form.** A constant of full shape keeps the fused operator. Where no such constant exists, the other order
    of the product adds no node, and MNN does not fuse it.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/merge/FuseLayerNormRMSGamm.cpp
    """

    code = "MNN841"
    name = "gain-of-norm"
    summary = "its constant is given the normalised shape, or kept out of the fused normalisation"
    op_types = ("Div", "Mul")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the product with another constant, or in another order."""
        norm = fused_norm(node)
        if norm is None:
            raise NotApplicable("no normalisation stands before the constant")
        gain = new.array(norm.gain)
        full = _full(new, norm, gain)
        if full is not None:
            operands = [new.constant(full), new.input(1 - norm.gain)]
            return new.op(node.node.op_type, *(operands if norm.gain == 0 else operands[::-1]))
        factor = new.value(norm.factor) if norm.factor else 1.0 / new.value(norm.root)
        return new.op(node.node.op_type, new.op("Mul", factor, new.value(norm.value)), gain)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Scalars, gains along other axes, divisions; and gains that MNN reads correctly."""
        picture = f"(float[2,3,4] x) => (float[2,3,4] y) {_STORED} {{ {_ROOT} "
        return (
            rewritten(
                "scalar",
                picture + "r = Div(one, s) n = Mul(x, r) y = Mul(n, c) }",
                becomes="Add, Div, 2 Mul, Pow, ReduceMean, Sqrt",
                c=(1,),
            ),
            rewritten(
                "division",
                picture + "n = Div(x, s) y = Div(n, varc) }",
                becomes="Add, 2 Div, Pow, ReduceMean, Sqrt",
                varc=(1, 1),
            ),
            rewritten(
                "along another axis",
                picture + "n = Div(x, s) y = Mul(c, n) }",
                becomes="Add, Div, 2 Mul, Pow, ReduceMean, Sqrt",
                c=(3, 1),
            ),
            rewritten(
                "mean subtracted, dynamic",
                f"""(float[2,3,N] z) => (float[2,3,N] y) {_STORED} {{
                u = ReduceMean<axes=[-1]>(z) x = Sub(z, u) {_ROOT} n = Div(x, s) y = Mul(n, c) }}""",
                becomes="Add, Div, 2 Mul, Pow, 2 ReduceMean, Sqrt, Sub",
                c=(1,),
            ),
            unchanged("gain", picture + "r = Div(one, s) n = Mul(x, r) y = Mul(n, c) }", c=(4,)),
            unchanged("root first", picture + "r = Div(one, s) n = Mul(r, x) y = Mul(n, c) }", c=(1,)),
        )


def _full(new: SubgraphBuilder, norm: FusedNorm, gain: NDArray[np.generic]) -> NDArray[np.generic] | None:
    """The constant in the shape of the normalised axes, if these are the last ones, static, and its only axes."""
    dims = new.value(norm.value).dims
    first = len(dims) - len(norm.axes)
    shape = [dim for dim in dims[first:] if isinstance(dim, int)]
    if {axis % len(dims) for axis in norm.axes} != set(range(first, len(dims))) or len(shape) < len(norm.axes):
        return None
    while gain.ndim > len(shape) and gain.shape[0] == 1:
        gain = gain[0]
    return None if gain.ndim > len(shape) else np.broadcast_to(gain, shape).copy()
