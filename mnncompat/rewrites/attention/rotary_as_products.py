"""RotaryEmbedding as Mul, Sub, Add and Concat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.attention.rotation import Turn
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_PACKED = 3


class RotaryAsProducts(NodeRewrite):
    """Write RotaryEmbedding as Mul, Sub, Add and Concat.

    **What.** RotaryEmbedding of halves and of pairs, of all of a head or its beginning, of packed (3-D) and split (4-D)
    heads, with and without positions.

    **Why.** MNN's converter does not know it. ONNX's function body for it computes shapes at run time, which MNN partly
    computes wrongly.

    **Before and after**::

        y = RotaryEmbedding(x, cos, sin)
        a, b = Split(x)  y = Concat(a * cos - b * sin, a * sin + b * cos)

    **Algebra.** ONNX's definition. Heads are not transposed: the tables of cosines and sines get an axis of length one
    at the position of the heads.

    **Refuses** sizes of heads that are not static.

    **Source.** https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html
    """

    code = "MNN911"
    name = "rotary-as-products"
    summary = "written as Mul, Sub, Add and Concat"
    op_types = ("RotaryEmbedding",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the products."""
        given = new.input(0)
        packed = given.rank == _PACKED
        value = _split(node, new) if packed else given
        turned = node.attribute("rotary_embedding_dim") or value.dim(3)
        heads = 2 if packed else 1
        cosine, sine = (new.unsqueeze(_table(new, position), (heads,)) for position in (1, 2))
        turn = Turn(cosine, sine, turned, interleaved=bool(node.attribute("interleaved")))
        result = turn.apply(new, value)
        return new.reshape(result, (0, 0, given.dim(2))) if packed else result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both layouts, halves and pairs, and models that stay unchanged or are refused."""
        return (
            rewritten(
                "split heads, positions",
                """(float[2,3,5,8] x, float[9,4] c, float[9,4] s) => (float[2,3,5,8] y) <int64[2,5] p =
                {0,1,2,3,4,8,7,6,5,4}> { y = RotaryEmbedding(x, c, s, p) }""",
                becomes="Add, Concat, 2 Gather, 4 Mul, Split, Sub, 2 Unsqueeze",
                opset=23,
            ),
            rewritten(
                "packed heads, beginning, dynamic batch and length",
                """(float[N,S,24] x, float[N,S,3] c, float[N,S,3] s) => (float[N,S,24] y) {
                y = RotaryEmbedding<num_heads=3, rotary_embedding_dim=6>(x, c, s) }""",
                becomes="Add, Concat, 4 Mul, 2 Reshape, Split, Sub, 2 Unsqueeze",
                opset=23,
            ),
            rewritten(
                "pairs",
                """(float[2,3,5,8] x, float[2,5,3] c, float[2,5,3] s) => (float[2,3,5,8] y) {
                y = RotaryEmbedding<interleaved=1, rotary_embedding_dim=6>(x, c, s) }""",
                becomes="Add, 2 Concat, 4 Mul, Reshape, 3 Slice, Sub, 4 Unsqueeze",
                opset=23,
            ),
            refused(
                "size of the heads is dynamic",
                "dimension 3 of 'x' is dynamic",
                "(float[2,3,5,D] x, float[2,5,4] c, float[2,5,4] s) => (float[2,3,5,D] y) {y=RotaryEmbedding(x,c,s)}",
                opset=23,
            ),
            unchanged("the products themselves", "(float[2,8] x, float[2,8] c) => (float[2,8] y) { y = Mul(x, c) }"),
        )


def _split(node: NodeFacts, new: SubgraphBuilder) -> Value:
    """Packed heads as (batch, length, heads, size)."""
    value, count = new.input(0), node.attribute("num_heads")
    if not count:
        raise NotApplicable("the heads are packed, and their number is not stated")
    return new.reshape(value, (0, 0, count, value.dim(2) // count))


def _table(new: SubgraphBuilder, position: int) -> Value:
    """Cosines or sines as (batch, length, half): selected by the positions, if these are given."""
    table = new.input(position)
    return new.op("Gather", table, new.input(3), axis=0) if new.has(3) else table
