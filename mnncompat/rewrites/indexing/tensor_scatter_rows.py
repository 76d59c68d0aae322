"""TensorScatter as a ScatterND of rows."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class TensorScatterRows(NodeRewrite):
    """Write the rows of an update by ScatterND.

    **What.** TensorScatter, the update of a key-value cache.

    **Why.** MNN's converter registers no TensorScatter.

    **Before and after**, for a cache (B, H, L, D) and an update (B, H, S, D)::

        y = TensorScatter(cache, update, w)
        y = ScatterND(Reshape(cache, (B * H * L, D)), first + w + Range(S), Reshape(update, (B * H * S, D)))

    ``first`` is where the L rows of a batch and head begin. In mode ``circular`` w + Range(S) is taken modulo L.
    Without ``write_indices`` the update and the rest of the cache are joined.

    **Algebra.** Row ``w + s`` of the axis is row ``first + w + s`` of all.

    **Refuses** dynamic sizes, except that of the batch.

    **Source.** https://onnx.ai/onnx/operators/onnx__TensorScatter.html
    """

    code = "MNN868"
    name = "tensor-scatter-rows"
    summary = "written as a ScatterND of rows"
    op_types = ("TensorScatter",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the positions and the scattering."""
        cache, update = new.input(0), new.input(1)
        axis = int(node.attribute("axis")) % cache.rank
        if not new.has(2):
            length = update.dim(axis)
            return new.concat([update, new.slice(cache, [length], [cache.dim(axis)], [axis])], axis)
        length = cache.dim(axis)
        places = new.unsqueeze(new.input(2), [1]) + np.arange(update.dim(axis))
        if node.attribute("mode") == "circular":
            places = new.op("Mod", places, length)
        blocks = prod(cache.dim(each) for each in range(1, axis))
        rows = new.reshape(new.unsqueeze(places, [1]) + _first(new, cache, blocks, length), [-1, 1])
        width = prod(cache.dim(each) for each in range(axis + 1, cache.rank))
        flat = new.op("ScatterND", new.reshape(cache, [-1, width]), rows, new.reshape(update, [-1, width]))
        return new.reshape(flat, [-1, *(cache.dim(each) for each in range(1, cache.rank))])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both modes, both ranks, and no indices."""
        four = "(float[2,3,6,4] c, float[2,3,2,4] u, int64[2] w) => (float[2,3,6,4] y)"
        return (
            rewritten(
                "linear",
                four + " { y = TensorScatter(c, u, w) }",
                becomes="2 Add, 4 Reshape, ScatterND, 2 Unsqueeze",
                opset=24,
            ),
            rewritten(
                "circular",
                '(float[2,6,4] c, float[2,2,4] u) => (float[2,6,4] y) { y = TensorScatter<mode="circular">(c, u, w) }',
                becomes="2 Add, Mod, 4 Reshape, ScatterND, 2 Unsqueeze",
                w=np.array([5, 2]),
                opset=24,
            ),
            rewritten(
                "no indices",
                "(float[2,3,6,4] c, float[2,3,2,4] u) => (float[2,3,6,4] y) { y = TensorScatter(c, u) }",
                becomes="Concat, Slice",
                opset=24,
            ),
            rewritten(
                "a dynamic batch",
                four.replace("[2,", "[N,").replace("[2]", "[N]") + " { y = TensorScatter(c, u, w) }",
                becomes="2 Add, 2 Mul, Range, 6 Reshape, ScatterND, Shape, Slice, 2 Unsqueeze",
                opset=24,
            ),
            refused(
                "a dynamic length",
                "dimension 2 of 'c' is dynamic",
                four.replace("3,6,4]", "3,L,4]") + " { y = TensorScatter(c, u, w) }",
                opset=24,
            ),
        )


def _first(new: SubgraphBuilder, cache: Value, blocks: int, length: int) -> Value:
    """Where the rows of each batch and block begin, (B, blocks, 1)."""
    batch = cache.dims[0]
    if isinstance(batch, int):
        return new.constant(np.arange(batch * blocks).reshape(batch, blocks, 1) * length)
    count = new.reshape(new.slice(new.op("Shape", cache), [0], [1], [0]), []) * blocks
    numbers = new.op("Range", new.constant(np.asarray(0)), count, new.constant(np.asarray(1)))
    return new.reshape(numbers * length, [-1, blocks, 1])
