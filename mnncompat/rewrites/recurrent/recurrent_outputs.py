"""RNN, GRU and LSTM with all their outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.operator_traits import RECURRENT
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class RecurrentOutputs(NodeRewrite):
    """Declare every output of RNN, GRU and LSTM.

    **What.** Outputs that are left out, in front or at the end.

    **Why.** MNN's converter names the outputs one after the other: it crashes where there are fewer than three of LSTM,
    and gives the first one under the name of the second where the first is left out.

    **Before and after**::

        , h = GRU(x, w, r)
        y, h = GRU(x, w, r)

    **Algebra.** Unused outputs have no effect.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxLSTMMerge.cpp
    """

    code = "MNN928"
    name = "recurrent-outputs"
    summary = "all its outputs are declared"
    op_types = RECURRENT

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the node with all outputs."""
        return new.clone_node(outputs=3 if node.node.op_type == "LSTM" else 2)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Outputs that are left out at either end, and nodes with all outputs."""
        weights = "float[1,20,4] w, float[1,20,5] r"
        return (
            rewritten(
                "lstm, the sequence alone",
                "(float[3,2,4] x) => (float[3,1,2,5] y) { y = LSTM<hidden_size=5>(x, w, r) }",
                becomes="LSTM",
                opset=7,
                w=(1, 20, 4),
                r=(1, 20, 5),
            ),
            rewritten(
                "lstm, a last state alone, weights at run time",
                f"(float[3,2,4] x, {weights}) => (float[1,2,5] h) {{ , h = LSTM<hidden_size=5>(x, w, r) }}",
                becomes="LSTM",
                opset=14,
            ),
            rewritten(
                "rnn, the last state alone",
                "(float[3,2,4] x) => (float[1,2,5] h) { , h = RNN<hidden_size=5>(x, w, r) }",
                becomes="RNN",
                opset=14,
                w=(1, 5, 4),
                r=(1, 5, 5),
            ),
            unchanged(
                "all declared",
                """(float[3,2,4] x) => (float[3,1,2,5] y, float[1,2,5] h, float[1,2,5] c) {
                y, h, c = LSTM<hidden_size=5>(x, w, r) }""",
                opset=14,
                w=(1, 20, 4),
                r=(1, 20, 5),
            ),
        )
