"""TensorScatter as a ScatterND of rows."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.base import Example
from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite
from mnncompat.rewrites.sketch import Sketch, Value

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts


class TensorScatterRows(NodeRewrite):
    """Write the rows of an update where a ScatterND puts them.

    **What.** TensorScatter, the update of a key-value cache.

    **Why.** MNN's converter registers no TensorScatter.

    **Before and after**, for a cache (B, H, L, D) and an update (B, H, S, D)::

        y = TensorScatter(cache, update, w)
        y = ScatterND(Reshape(cache, (B * H * L, D)), first + w + Range(S), Reshape(update, (B * H * S, D)))

    ``first`` is where the L rows of a batch and head begin. In mode ``circular`` w + Range(S) is taken modulo L.
    Without ``write_indices`` the update and the rest of the cache are joined.

    **Algebra.** Row ``w + s`` of the axis is row ``first + w + s`` of all.

    **Refuses** shapes with dynamic sizes.

    **Source.** https://onnx.ai/onnx/operators/onnx__TensorScatter.html
    """

    code = "MNN868"
    name = "tensor-scatter-rows"
    summary = "written as a ScatterND of rows"
    op_types = ("TensorScatter",)

    def build(self, node: NodeFacts, new: Sketch) -> Value:
        """Draw the places and the scattering."""
        cache, update = new.input(0), new.input(1)
        axis = int(node.attribute("axis")) % cache.rank
        if not new.has(2):
            length = update.dim(axis)
            return new.concat([update, new.slice(cache, [length], [cache.dim(axis)], [axis])], axis)
        shape, length, count = cache.shape, cache.dim(axis), update.dim(axis)
        places = new.unsqueeze(new.input(2), [1]) + np.arange(count)
        if node.attribute("mode") == "circular":
            places = new.op("Mod", places, length)
        blocks = prod(shape[1:axis])
        first = np.arange(shape[0] * blocks).reshape(shape[0], blocks, 1) * length
        rows = new.reshape(new.unsqueeze(places, [1]) + first, [-1, 1])
        width = prod(shape[axis + 1 :])
        flat = new.op("ScatterND", new.reshape(cache, [-1, width]), rows, new.reshape(update, [-1, width]))
        return new.reshape(flat, shape)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both modes, both ranks, and no indices."""
        four = "(float[2,3,6,4] c, float[2,3,2,4] u, int64[2] w) => (float[2,3,6,4] y)"
        return (
            taken("linear", four + " { y = TensorScatter(c, u, w) }", opset=24),
            taken(
                "circular",
                '(float[2,6,4] c, float[2,2,4] u) => (float[2,6,4] y) { y = TensorScatter<mode="circular">(c, u, w) }',
                w=np.array([5, 2]),
                opset=24,
            ),
            taken(
                "no indices",
                "(float[2,3,6,4] c, float[2,3,2,4] u) => (float[2,3,6,4] y) { y = TensorScatter(c, u) }",
                opset=24,
            ),
            left(
                "a dynamic batch",
                "dimension 0 of 'c' is dynamic",
                four.replace("[2,", "[N,").replace("[2]", "[N]") + " { y = TensorScatter(c, u, w) }",
                opset=24,
            ),
        )
