"""LinearAttention, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

LONGEST = 64
"""The largest number of steps that is unrolled: each is about 12 nodes."""
_PAST, _DECAY, _BETA = 3, 4, 5


class LinearAttentionUnrolled(NodeRewrite):
    """Unroll the steps of LinearAttention.

    **What.** LinearAttention of all four update rules over a sequence of a known length, with or without a past state.

    **Why.** MNN's converter does not know it, and ONNX's function body for it is a Scan, which MNN does not know
    either.

    **Before and after**::

        y, s = LinearAttention(q, k, v, past, decay, beta)
        s = past * exp(g1)  s = s + k1 (b1 * (v1 - k1^T s))^T  y1 = scale * q1 s  ...  y = Concat(y1, ...)

    **Algebra.** ONNX's definition, in float32. The packed operands are cut along the length and only then reshaped, so
    that nothing is transposed; query heads that share a state are the rows of one product.

    **Refuses** lengths that are dynamic or above 64.

    **Source.** https://onnx.ai/onnx/operators/onnx__LinearAttention.html
    """

    code = "MNN912"
    name = "linear-attention-unrolled"
    summary = "its steps are written out"
    op_types = ("LinearAttention",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the steps."""
        query, heads = new.input(0), node.attribute("kv_num_heads")
        length, group = query.dim(1), node.attribute("q_num_heads") // heads
        if length > LONGEST:
            raise NotApplicable(f"{length} steps would be written out, more than {LONGEST}")
        size, width = query.dim(2) // (heads * group), new.input(2).dim(2) // heads
        scale = node.attribute("scale") or size**-0.5
        rule = node.attribute("update_rule")
        queries = _steps(new, query * scale, (heads, group, size))
        keys, columns = (_steps(new, new.input(1), shape) for shape in ((heads, 1, size), (heads, size, 1)))
        values = _steps(new, new.input(2), (heads, 1, width))
        decays = _steps(new, _decay(new), (heads, -1, 1)) if "gated" in rule else []
        rates = _steps(new, new.input(_BETA), (-1, 1, 1)) if "delta" in rule else []
        state = new.cast(new.input(_PAST), TensorProto.FLOAT) if new.has(_PAST) else None
        outputs: list[Value] = []
        for step in range(length):
            written = values[step]
            if state is not None and decays:
                state = state * decays[step]
            if rates:
                seen = written if state is None else written - keys[step] @ state
                written = rates[step] * seen
            added = columns[step] * written
            state = added if state is None else state + added
            outputs.append(new.reshape(queries[step] @ state, (0, 1, heads * group * width)))
        if state is None:
            raise NotApplicable("the sequence is empty")
        kept = new.input(_PAST) if new.has(_PAST) else query
        return [new.cast(new.concat(outputs, 1), query.dtype), new.cast(state, kept.dtype)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Rules, shared heads, and models that stay unchanged or are refused."""
        qkv = "float[2,3,8] q, float[2,3,8] k, float[2,3,6] v"
        results = "float[2,3,6] y, float[2,2,4,3] s"
        return (
            rewritten(
                "linear",
                f"""({qkv}) => ({results}) {{
                y, s = LinearAttention<q_num_heads=2, kv_num_heads=2, update_rule="linear">(q, k, v) }}""",
                becomes="2 Add, Concat, 3 MatMul, 4 Mul, 12 Reshape, 3 Split",
                opset=27,
            ),
            rewritten(
                "gated delta, past state, shared heads, dynamic batch",
                """(float[N,2,16] q, float[N,2,8] k, float[N,2,6] v, float[N,2,4,3] p, float[N,2,8] g, float[N,2,2] b)
                => (float[N,2,12] y, float[N,2,4,3] s) {
                y, s = LinearAttention<q_num_heads=4, kv_num_heads=2, scale=0.3>(q, k, v, p, g, b) }""",
                becomes="2 Add, Concat, Exp, 4 MatMul, 7 Mul, 14 Reshape, 6 Split, 2 Sub",
                opset=27,
            ),
            refused(
                "length is dynamic",
                "dimension 1 of 'q' is dynamic",
                """(float[2,T,8] q, float[2,T,8] k, float[2,T,6] v) => (float[2,T,6] y, float[2,2,4,3] s) {
                y, s = LinearAttention<q_num_heads=2, kv_num_heads=2, update_rule="linear">(q, k, v) }""",
                opset=27,
            ),
            refused(
                "too long",
                "65 steps",
                """(float[2,65,8] q, float[2,65,8] k, float[2,65,6] v) => (float[2,65,6] y, float[2,2,4,3] s) {
                y, s = LinearAttention<q_num_heads=2, kv_num_heads=2, update_rule="linear">(q, k, v) }""",
                opset=27,
            ),
            unchanged("a product", "(float[2,3,4] q, float[2,4,3] k) => (float[2,3,3] y) { y = MatMul(q, k) }"),
        )


def _decay(new: SubgraphBuilder) -> Value:
    return new.op("Exp", new.cast(new.input(_DECAY), TensorProto.FLOAT))


def _steps(new: SubgraphBuilder, value: Value, shape: tuple[int, int, int]) -> list[Value]:
    """The steps of (batch, length, n): the batch first, then the given shape."""
    wide = new.cast(value, TensorProto.FLOAT)
    return [new.reshape(each, (0, *shape)) for each in new.split(wide, [1] * value.dim(1), 1)]
