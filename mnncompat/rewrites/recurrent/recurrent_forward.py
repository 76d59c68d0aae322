"""RNN, GRU and LSTM that run backwards, as forward ones over the reversed sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.graph.operator_traits import RECURRENT
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_LENGTHS = 4
_STEPS_SINCE = 10


class RecurrentForward(NodeRewrite):
    """Reverse the sequence before and after RNN, GRU and LSTM that run backwards.

    **What.** Direction ``reverse``, of sequences of any length.

    **Why.** MNN does not read that direction, and runs forward.

    **Before and after**::

        y, h, c = LSTM<direction = "reverse">(x, ...)
        y', h, c = LSTM(Slice(x, step = -1), ...)  y = Slice(y', step = -1)

    **Algebra.** The definition of the direction. The axis of directions, of length 1, is removed for the reversal, as
    MNN reverses axes before the last three wrongly.

    **Refuses** lengths of the single sequences, as the reversed ones begin at different positions, and dynamic lengths
    below opset 10, where Slice has no steps.

    **Source.** https://onnx.ai/onnx/operators/onnx__LSTM.html
    """

    code = "MNN926"
    name = "recurrent-forward"
    summary = "the sequence is reversed before and after"
    op_types = RECURRENT
    before = (
        ("recurrent-length-first", "both are needed, and it knows the axis of either layout"),
        ("recurrent-outputs", "it declares all outputs itself, which spares a round"),
    )

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the reversals around the node."""
        if new.has(_LENGTHS):
            raise NotApplicable("the sequences have lengths of their own")
        inputs = [new.value(name) if name else None for name in node.node.input]
        axis = 1 if node.attribute("layout") else 0
        sequence, *state = new.clone_node(
            _reversed(new, new.input(0), axis),
            *inputs[1:],
            outputs=3 if node.node.op_type == "LSTM" else 2,
            direction=None,
        )
        direction = 2 if node.attribute("layout") else 1
        turned = _reversed(new, new.squeeze(sequence, (direction,)), axis)
        return [new.unsqueeze(turned, (direction,)), *state]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Each operator, and models that stay unchanged or are refused."""
        return (
            *_backward_examples(),
            refused(
                "lengths",
                "lengths of their own",
                """(float[N,2,4] x, int32[2] n) => (float[1,2,5] h) {
                , h = RNN<hidden_size=5, direction="reverse">(x, w, r, , n) }""",
                opset=14,
                w=(1, 5, 4),
                r=(1, 5, 5),
            ),
            unchanged(
                "forward",
                "(float[3,2,4] x) => (float[3,1,2,5] y, float[1,2,5] h) { y, h = RNN<hidden_size=5>(x, w, r) }",
                opset=14,
                w=(1, 5, 4),
                r=(1, 5, 5),
            ),
        )


def _backward_examples() -> tuple[Example, ...]:
    """Each operator, backwards."""
    results = "float[N,1,2,5] y, float[1,2,5] h"
    return (
        rewritten(
            "lstm, last states",
            """(float[3,2,4] x) => (float[1,2,5] h, float[1,2,5] c) {
            , h, c = LSTM<hidden_size=5, direction="reverse">(x, w, r) }""",
            becomes="LSTM, Slice",
            opset=14,
            w=(1, 20, 4),
            r=(1, 20, 5),
        ),
        rewritten(
            "rnn, dynamic",
            f"""(float[N,2,4] x) => ({results}) {{ y, h = RNN<hidden_size=5, direction="reverse">(x, w, r) }}""",
            becomes="RNN, 2 Slice, Squeeze, Unsqueeze",
            opset=11,
            w=(1, 5, 4),
            r=(1, 5, 5),
        ),
        rewritten(
            "gru, batch first",
            """(float[2,3,4] x) => (float[2,3,1,5] y) {
            y = GRU<hidden_size=5, layout=1, linear_before_reset=1, direction="reverse">(x, w, r) }""",
            becomes="GRU, 2 Slice, Squeeze, Unsqueeze",
            opset=14,
            w=(1, 15, 4),
            r=(1, 15, 5),
        ),
        rewritten(
            "lstm, opset 8",
            """(float[3,2,4] x) => (float[3,1,2,5] y, float[1,2,5] h, float[1,2,5] c) {
            y, h, c = LSTM<hidden_size=5, direction="reverse">(x, w, r) }""",
            becomes="2 Gather, LSTM, Squeeze, Unsqueeze",
            opset=8,
            w=(1, 20, 4),
            r=(1, 20, 5),
        ),
    )


def _reversed(new: SubgraphBuilder, value: Value, axis: int) -> Value:
    if new.opset < _STEPS_SINCE:
        return new.op("Gather", value, new.constant(list(range(value.dim(axis)))[::-1]), axis=axis)
    return new.slice(value, [-1], [int(np.iinfo(np.int64).min)], [axis], [-1])
