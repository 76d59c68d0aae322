"""Operands in branches and bodies whose shape is stated for MNN's converter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.operator_traits import CONVOLUTIONS
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ShapeOfCapturedValue(NodeRewrite):
    """State the shape of a value of the graph around a branch or body, or of one computed from it.

    **What.** GRU, LSTM, NonMaxSuppression, Conv and ConvTranspose in a branch of If or a body of Loop.

    **Why.** MNN's converter takes a value of the graph around a branch for one dimension of one element, and builds
    these operators by it: a GRU of one step, a convolution without kernel, the boxes of no batch.

    **Before and after**::

        y = GRU(x, w, r, b)                                  x: (4, n, 3)
        y = GRU(Reshape(x, [4, 0, 3]), w, r, b)

        y = Conv(x, w)                                       w: (8, 3, 3, 3)
        y = Conv(x, Expand(w, [8, 3, 3, 3]))

    **Algebra.** Both give a value the shape that it has. A 0 in Reshape takes over a dimension.

    **Why these forms.** After Reshape the converter knows no shape, and computes with the one that comes at run time;
    a convolution needs the shape of its weight before. (Measured: MNN 3.6.1.)

    **Refuses** weights whose shape is not known.

    **Source.** MNN 3.6.1, tools/converter/source/onnx/onnxOpConverter.cpp (``OnnxScope::buildSubGraph``)
    """

    code = "MNN970"
    name = "shape-of-captured-value"
    summary = "its operand's shape is stated"
    op_types = ("GRU", "LSTM", "NonMaxSuppression", *CONVOLUTIONS)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value]:
        """Emit a copy that reads the value with its shape."""
        if node.node.op_type not in CONVOLUTIONS:
            return new.clone_node(_as_it_comes(new, new.input(0)), *_others(node, new, 1))
        weight = new.input(1)
        stated = new.op("Expand", weight, new.constant(list(weight.shape)))
        return new.clone_node(new.input(0), stated, *_others(node, new, 2))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Each operator, of captured values and of what is computed from them; and where the shape is known."""
        return (*_recurrent_examples(), *_other_examples())


def _recurrent_examples() -> tuple[Example, ...]:
    gru = "o, h = GRU<hidden_size=2, linear_before_reset=1>({}, w, r, b) p = Squeeze(o, one)"
    lstm = "o, h, k = LSTM<hidden_size=2>(x, w, r, b, , s, s) p = Squeeze(o, one)"
    weights = {"w": (1, 6, 3), "r": (1, 6, 2), "b": (1, 12)}
    larger = {"w": (1, 8, 3), "r": (1, 8, 2), "b": (1, 16), "s": (1, 2, 2)}
    return (
        rewritten("GRU", _sequences(gru.format("x")), becomes="If{GRU, Reshape, Squeeze | Abs, MatMul}", **weights),
        rewritten(
            "GRU behind a function",
            _sequences("t = Tanh(x) " + gru.format("t")),
            becomes="If{GRU, Reshape, Squeeze, Tanh | Abs, MatMul}",
            **weights,
        ),
        rewritten("LSTM", _sequences(lstm), becomes="If{LSTM, Reshape, Squeeze | Abs, MatMul}", **larger),
        unchanged("LSTM without states", _sequences(lstm.replace(", , s, s", "")), **larger),
        unchanged("one step", _sequences(gru.format("x"), steps=1), **weights),
    )


def _other_examples() -> tuple[Example, ...]:
    boxes = """(float[1,3,4] x, float[1,1,3] s, bool c) => (int64[N,3] y) <int64 n = {2}, float t = {0.5}> {
        y = If<then_branch = one () => (int64[N,3] p) { p = NonMaxSuppression(x, s, n, t) },
        else_branch = two () => (int64[N,3] q) { q = Constant<value=int64[1,3] {0,0,0}>() }>(c) }"""
    return (
        rewritten("boxes", boxes, becomes="If{NonMaxSuppression, Reshape | Constant}"),
        rewritten("weight", _images("p = Conv(x, k)"), becomes="If{Conv, Expand | AveragePool}"),
        rewritten(
            "weight that is computed",
            _images("t = Neg(k) p = Conv<kernel_shape=[2,2]>(x, t, b)"),
            becomes="If{Conv, Expand, Neg | AveragePool}",
            b=(2,),
        ),
        rewritten(
            "transposed",
            _images("p = ConvTranspose<pads=[1,1,1,1]>(x, k)"),
            becomes="If{ConvTranspose, Expand | AveragePool}",
        ),
        unchanged("weight is constant", _images("p = Conv(x, w)"), w=(2, 2, 2, 2)),
        refused(
            "shape of the weight is not known",
            "dynamic",
            _images("p = Conv(x, k)").replace("float[2,2,2,2] k", "float[2,2,K,K] k"),
        ),
    )


def _sequences(nodes: str, *, steps: int = 4) -> str:
    return f"""(float[{steps},2,3] x, float[3,2] z, bool c) => (float[{steps},2,2] y) <int64[1] one = {{1}}> {{
        y = If<then_branch = one () => (float[{steps},2,2] p) {{ {nodes} }},
        else_branch = two () => (float[{steps},2,2] q) {{ m = MatMul(x, z) q = Abs(m) }}>(c) }}"""


def _images(nodes: str) -> str:
    image = "float[1,2,4,4]"
    return f"""(float[1,2,5,5] x, float[2,2,2,2] k, bool c) => ({image} y) {{
        y = If<then_branch = one () => ({image} p) {{ {nodes} }}, else_branch = two () => ({image} q)
        {{ q = AveragePool<kernel_shape=[2,2], strides=[1,1]>(x) }}>(c) }}"""


def _as_it_comes(new: SubgraphBuilder, value: Value) -> Value:
    return new.reshape(value, [dim if isinstance(dim, int) else 0 for dim in value.dims])


def _others(node: NodeFacts, new: SubgraphBuilder, first: int) -> list[Value | None]:
    return [new.input(position) if new.has(position) else None for position in range(first, len(node.node.input))]
