"""RNN, GRU and LSTM with the batch first, rewritten to have the length first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.operator_traits import RECURRENT
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_STATES = (5, 6)
_SWAPPED, _BATCH_FIRST = (1, 0, 2), (2, 0, 1, 3)


class RecurrentLengthFirst(NodeRewrite):
    """Transpose the operands and results of RNN, GRU and LSTM with ``layout = 1``.

    **What.** All three, with and without initial states.

    **Why.** MNN does not read ``layout``, and uses the batch as the length.

    **Before and after**::

        y, h = GRU<layout = 1>(x, w, r, b, , h0)
        y', h' = GRU(Transpose(x), w, r, b, , Transpose(h0))  y = Transpose(y')  h = Transpose(h')

    **Algebra.** The definition of the layout.

    **Source.** https://onnx.ai/onnx/operators/onnx__GRU.html
    """

    code = "MNN927"
    name = "recurrent-length-first"
    summary = "its operands and results are transposed to layout 0"
    op_types = RECURRENT
    before = (("recurrent-outputs", "it declares all outputs itself, which spares a round"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the transpositions around the node."""
        inputs = [new.value(name) if name else None for name in node.node.input]
        for position in (0, *_STATES):
            if new.has(position):
                inputs[position] = new.transpose(new.input(position), _SWAPPED)
        count = 3 if node.node.op_type == "LSTM" else 2
        sequence, *states = new.clone_node(*inputs, outputs=count, layout=None)
        return [new.transpose(sequence, _BATCH_FIRST), *(new.transpose(each, _SWAPPED) for each in states)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Two operators, and models that stay unchanged or are refused."""
        return (
            rewritten(
                "lstm with states, dynamic batch",
                """(float[N,3,4] x, float[N,1,5] h0, float[N,1,5] c0) => (
                float[N,3,1,5] y, float[N,1,5] h, float[N,1,5] c) {
                y, h, c = LSTM<hidden_size=5, layout=1>(x, w, r, b, , h0, c0) }""",
                becomes="LSTM, 6 Transpose",
                opset=14,
                w=(1, 20, 4),
                r=(1, 20, 5),
                b=(1, 40),
            ),
            rewritten(
                "rnn in both directions",
                """(float[2,3,4] x) => (float[2,3,2,5] y, float[2,2,5] h) {
                y, h = RNN<hidden_size=5, layout=1, direction="bidirectional">(x, w, r) }""",
                becomes="RNN, 3 Transpose",
                opset=14,
                w=(2, 5, 4),
                r=(2, 5, 5),
            ),
            unchanged(
                "length first",
                "(float[3,2,4] x) => (float[3,1,2,5] y, float[1,2,5] h) { y, h = RNN<hidden_size=5>(x, w, r) }",
                opset=14,
                w=(1, 5, 4),
                r=(1, 5, 5),
            ),
        )
