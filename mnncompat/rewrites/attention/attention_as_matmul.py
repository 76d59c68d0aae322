"""Attention as MatMul, Softmax and MatMul."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.attention.attention_mask import LOWEST, Mask
from mnncompat.rewrites.attention.grouped_heads import GroupedHeads, Heads
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_RAW, _CAPPED, _BIASED, _SOFTMAX = range(4)
_PACKED = 3
_LOWEST_BFLOAT16 = -3.3895313892515355e38


class AttentionAsMatmul(NodeRewrite):
    """Write Attention as MatMul, Softmax and MatMul.

    **What.** Attention of every form: packed (3-D) and split (4-D) heads, fewer heads of keys than of queries, masks of
    booleans and of numbers, causal and windowed attention, past and present keys, padded caches, soft caps, and every
    form of the fourth output.

    **Why.** MNN's converter does not know Attention. ONNX's function body for it computes masks, scales and repeated
    heads at run time, in operators that MNN partly computes wrongly.

    **Before and after**::

        y = Attention(q, k, v)
        y = Softmax((q * scale) @ k^T + bias) @ v

    **Algebra.** ONNX's definition. Queries that share a head of keys are stacked along the length, so that no key is
    copied: (batch, keys * group, length, size) is (batch, keys, group * length, size). Constant parts of the mask are
        computed beforehand. Rows without any key are zero by ONNX's definition, and Softmax of
    nothing but minus infinity is not: where such rows are possible, scores are limited to the lowest number and the
    rows are multiplied by zero. bfloat16 is not cast: MNN has no cast to it, and holds it in float32.

    **Why this form.** On MNN 3.6.1, x86-64, one thread, 8 heads on 2 of size 64 and 256 positions: 2.3 ms stacked, 2.4
    with keys and values repeated, 2.5 as products of rank 5.

    **Refuses** masks of integers, operands of unknown rank, and sizes of heads or numbers of heads that are not static.

    **Source.** https://onnx.ai/onnx/operators/onnx__Attention.html
    """

    code = "MNN910"
    name = "attention-as-matmul"
    summary = "written as MatMul, Softmax and MatMul"
    op_types = ("Attention",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the products."""
        heads = _split(node, new)
        packed = new.input(0).rank == _PACKED
        key, value = (
            new.concat([new.input(past), each], 2) if new.has(past) else each
            for past, each in ((4, heads.key), (5, heads.value))
        )
        size = heads.query.dim(3)
        scale = node.attribute("scale") if node.given("scale") else size**-0.5
        shapes = GroupedHeads(heads, key.dims[2])
        raw = shapes.split(new, shapes.stack(new, heads.query * scale) @ new.transpose(key, (0, 1, 3, 2)))
        capped = _capped(new, raw, node.attribute("softcap"))
        mask = Mask(node, new, heads.query, key)
        biased = mask.apply(capped)
        weights = _softmax(new, biased, mask, node.attribute("softmax_precision"))
        result = shapes.split(new, shapes.stack(new, weights) @ value, value.dim(3))
        if packed:
            result = new.reshape(new.transpose(result, (0, 2, 1, 3)), (0, 0, heads.queries * value.dim(3)))
        mode = node.attribute("qk_matmul_output_mode") or _RAW
        scores = {_RAW: raw, _CAPPED: capped, _BIASED: biased, _SOFTMAX: weights}.get(mode)
        if scores is None:
            raise NotApplicable(f"qk_matmul_output_mode {mode}, which ONNX does not have")
        return [result, key, value, scores]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Forms of heads and masks, and models that stay unchanged or are refused."""
        return (
            *_heads_and_masks(),
            rewritten(
                "bfloat16, masked rows",
                """(bfloat16[2,4,5,8] q, bfloat16[2,4,6,8] k, bfloat16[2,4,6,4] v, bool[5,6] m)
                => (bfloat16[2,4,5,4] y) { y = Attention<is_causal=1>(q, k, v, m) }""",
                becomes="""And, 4 CastLike, Greater, 2 MatMul, Max, Mul, ReduceMax, Softmax, Transpose, 2 Where""",
                opset=24,
            ),
            refused(
                "mask of integers",
                "the mask is INT32",
                f"({_Q}, {_KV}, int32[5,6] m) => (float[2,4,5,4] y) {{ y = Attention(q, k, v, m) }}",
                opset=23,
            ),
            refused(
                "size of the heads is dynamic",
                "dimension 3 of 'q' is dynamic",
                "(float[2,4,5,D] q, float[2,4,6,D] k, float[2,4,6,4] v) => (float[2,4,5,4] y) {y = Attention(q, k, v)}",
                opset=23,
            ),
            unchanged(
                "the products themselves",
                "(float[2,4,5,8] q, float[2,4,8,6] k) => (float[2,4,5,6] y) { s = MatMul(q, k) y = Softmax(s) }",
            ),
        )


# Parts of the examples.
_Q, _KV = "float[2,4,5,8] q", "float[2,2,6,8] k, float[2,2,6,4] v"


def _heads_and_masks() -> tuple[Example, ...]:
    """Forms of heads and of masks."""
    return (
        rewritten(
            "packed heads, dynamic batch",
            """(float[N,5,16] q, float[N,6,16] k, float[N,6,12] v) => (float[N,5,12] y) {
            y = Attention<q_num_heads=4, kv_num_heads=4>(q, k, v) }""",
            becomes="2 MatMul, Mul, 4 Reshape, Softmax, 5 Transpose",
            opset=23,
        ),
        rewritten(
            "shared keys, causal, soft cap",
            f"({_Q}, {_KV}) => (float[2,4,5,4] y) {{ y = Attention<is_causal=1, softcap=2.0>(q, k, v) }}",
            becomes="Add, Div, 2 MatMul, 2 Mul, 4 Reshape, Softmax, Tanh, Transpose",
            opset=23,
        ),
        rewritten(
            "boolean mask, every length dynamic",
            """(float[2,4,S,8] q, float[2,2,T,8] k, float[2,2,T,4] v, bool[S,T] m) => (float[2,4,S,4] y) {
            y = Attention<is_causal=1>(q, k, v, m) }""",
            becomes="""And, Cast, 2 Concat, Greater, LessOrEqual, 2 MatMul, Max, 2 Mul, 2 Range, ReduceMax, 4 Reshape,
            4 Shape, 6 Slice, Softmax, 2 Squeeze, Transpose, Unsqueeze, Where""",
            opset=23,
        ),
        rewritten(
            "past and present, biased scores",
            """(float[2,4,5,8] q, float[2,4,6,8] k, float[2,4,6,8] v, float[5,9] m, float[2,4,3,8] pk,
            float[2,4,3,8] pv) => (float[2,4,5,8] y, float[2,4,9,8] nk, float[2,4,9,8] nv, float[2,4,5,9] s) {
            y, nk, nv, s = Attention<qk_matmul_output_mode=2>(q, k, v, m, pk, pv) }""",
            becomes="Add, Cast, 2 Concat, Greater, 2 MatMul, Max, 2 Mul, ReduceMax, Softmax, Transpose",
            opset=23,
        ),
    )


def _split(node: NodeFacts, new: SubgraphBuilder) -> Heads:
    """The operands with their heads along axis 1."""
    values = [new.input(position) for position in range(3)]
    if values[0].rank != _PACKED:
        query, key, value = values
        return Heads(query, key, value, query.dim(1), key.dim(1))
    counts = node.attribute("q_num_heads"), node.attribute("kv_num_heads"), node.attribute("kv_num_heads")
    if None in counts:
        raise NotApplicable("the operands are packed, and the numbers of heads are not stated")
    split = [
        new.transpose(new.reshape(value, (0, 0, count, value.dim(2) // count)), (0, 2, 1, 3))
        for value, count in zip(values, counts, strict=True)
    ]
    return Heads(split[0], split[1], split[2], counts[0], counts[1])


def _capped(new: SubgraphBuilder, scores: Value, softcap: float | None) -> Value:
    return new.op("Tanh", scores / softcap) * softcap if softcap else scores


def _softmax(new: SubgraphBuilder, scores: Value, mask: Mask, precision: int | None) -> Value:
    """Softmax along the keys; rows in which no key is allowed are zero."""
    dtype = scores.dtype
    exact = precision if precision not in (None, TensorProto.DOUBLE) else dtype
    if dtype == TensorProto.BFLOAT16:
        return _softmax_of_bfloat16(new, scores, mask)
    if not mask.may_be_empty:
        return new.cast(new.op("Softmax", new.cast(scores, exact), axis=-1), dtype)
    wide = dtype if dtype == TensorProto.DOUBLE else TensorProto.FLOAT
    lowest = np.asarray(LOWEST, np.float64 if wide == TensorProto.DOUBLE else np.float32)
    limited = new.op("Max", new.cast(scores, wide), lowest)
    best = new.reduce("ReduceMax", limited, (-1,))
    some: Any = new.cast(new.op("Greater", best, lowest), wide)
    weights = new.op("Softmax", limited, axis=-1)
    if exact == TensorProto.FLOAT16:
        weights = new.cast(new.cast(weights, exact), wide)
    return new.cast(weights * some, dtype)


def _softmax_of_bfloat16(new: SubgraphBuilder, scores: Value, mask: Mask) -> Value:
    """Without a cast: MNN has none to bfloat16, and holds it in float32."""
    if not mask.may_be_empty:
        return new.op("Softmax", scores, axis=-1)
    lowest = np.asarray(_LOWEST_BFLOAT16, scores.element)
    limited = new.op("Max", scores, lowest)
    some = new.op("Greater", new.reduce("ReduceMax", limited, (-1,)), lowest)
    return new.op("Where", some, new.op("Softmax", limited, axis=-1), np.zeros((), scores.element))
