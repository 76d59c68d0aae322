"""LSTM and GRU over sequences whose length is not fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_WEIGHT, _RECURRENCE, _LENGTHS = 1, 2, 4
_CLOSED = 1e4
_WHERE_SINCE = 9
_DEFAULT = (["Sigmoid", "Tanh"], ["Sigmoid", "Tanh"] * 2)


class RecurrentOpenLength(NodeRewrite):
    """Keep MNN from unrolling a sequence of unknown length as a single step.

    **What.** LSTM of one direction with initial states, and GRU, both with constant weights, over a sequence whose
    length is not fixed.

    **Why.** MNN's converter assumes 1 for an unknown length, and unrolls that one step.

    **Before and after**::

        y, h, c = LSTM(x, w, r, b, , h0, c0)
        y, h, c = LSTM(x, Where(x[0, 0, 0] > 0, w, w), r, b, , h0, c0)

        y, h = GRU(x, w, r, b)
        y', h = GRU(Pad(x), w', r, b)  y = y'[:-1]

    **Algebra.** Where selects between two equal weights; MNN unrolls steps with constant weights only, and runs others
    by its own operator. It refuses such weights for GRU: there the sequence gets one more step, so that its length is
    not 1, and the input one more element, which opens the update gate in that step and is 0 in the others: the state
    stays as it is, in both directions.

    **Why this form.** For LSTM of 128 in and out, 50 steps, on MNN 3.6.1 and x86-64 with one thread: 0.10 ms, with a
    further step 0.69 ms, with a second direction 1.36 ms.

    **Refuses** forms that MNN's own operators do not support at any length: the default form of GRU
    (``linear_before_reset = 0``), clipped cells, other activations, lengths of the single sequences.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxLSTMMerge.cpp (``inputInfo->dim[0] == 1``),
    OnnxSequenceGRUMerge.cpp (``singleSeq``)
    """

    code = "MNN925"
    name = "recurrent-open-length"
    summary = "an unknown length is no longer read as 1"
    op_types = ("LSTM", "GRU")
    before = (("recurrent-outputs", "for GRU it declares all outputs itself, which spares a round"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the node with another weight, or with another step."""
        if node.attribute("layout") or new.has(_LENGTHS):
            raise NotApplicable("the sequences are batch first" if node.attribute("layout") else "they have lengths")
        inputs = [new.value(name) if name else None for name in node.node.input]
        if node.node.op_type == "LSTM":
            inputs[_WEIGHT] = _weight_by_where(new)
            return list(new.clone_node(*inputs))
        self._require_own_form(node)
        inputs[0], inputs[_WEIGHT] = _longer(new), _weight_with_open_gate(new)
        sequence, *state = new.clone_node(*inputs)
        return [new.slice(sequence, [0], [-1], [0]), *state]

    @staticmethod
    def _require_own_form(node: NodeFacts) -> None:
        if not node.attribute("linear_before_reset"):
            raise NotApplicable("linear_before_reset is 0")
        if node.given("clip"):
            raise NotApplicable(f"clip is {node.attribute('clip')}")
        if node.given("activations") and node.attribute("activations") not in _DEFAULT:
            raise NotApplicable(f"the activations are {node.attribute('activations')}")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both operators, and models that stay unchanged or are refused."""
        return (
            *_lstm_examples(),
            *_gru_examples(),
            refused(
                "clipped gru",
                "clip is 9.0",
                f"(float[N,2,4] x) => (float[N,1,2,5] y) {{ y = {_GRU}, clip=9.0>(x, w, r) }}",
                opset=14,
                w=(1, 15, 4),
                r=(1, 15, 5),
            ),
            unchanged(
                "lstm of a fixed length",
                f"""(float[3,2,4] x, float[1,2,5] h, float[1,2,5] c) => (
                float[3,1,2,5] y, float[1,2,5] n, float[1,2,5] m) {{
                y, n, m = {_LSTM} }}""",
                opset=14,
                w=(1, 20, 4),
                r=(1, 20, 5),
                b=(1, 40),
            ),
        )


# Parts of the examples.
_LSTM = "LSTM<hidden_size=5>(x, w, r, b, , h, c)"
_GRU = "GRU<hidden_size=5, linear_before_reset=1"


def _lstm_examples() -> tuple[Example, ...]:
    """LSTM."""
    return (
        rewritten(
            "lstm with states",
            f"""(float[N,2,4] x, float[1,2,5] h, float[1,2,5] c) => (
            float[N,1,2,5] y, float[1,2,5] n, float[1,2,5] m) {{
            y, n, m = {_LSTM} }}""",
            becomes="Greater, LSTM, Slice, Where",
            opset=14,
            w=(1, 20, 4),
            r=(1, 20, 5),
            b=(1, 40),
        ),
        rewritten(
            "lstm with states, opset 7",
            f"""(float[N,2,4] x, float[1,2,5] h, float[1,2,5] c) => (float[1,2,5] n, float[1,2,5] m) {{
            , n, m = {_LSTM} }}""",
            becomes="Cast, Gather, Greater, LSTM, Reshape, Slice, Sub",
            opset=7,
            w=(1, 20, 4),
            r=(1, 20, 5),
            b=(1, 40),
        ),
    )


def _gru_examples() -> tuple[Example, ...]:
    """GRU."""
    return (
        rewritten(
            "gru",
            f"(float[N,2,4] x) => (float[N,1,2,5] y, float[1,2,5] h) {{ y, h = {_GRU}>(x, w, r) }}",
            becomes="GRU, 2 Pad, Slice",
            opset=13,
            w=(1, 15, 4),
            r=(1, 15, 5),
        ),
        rewritten(
            "gru in both directions with a state",
            f"""(float[N,2,4] x, float[2,2,5] i) => (float[N,2,2,5] y, float[2,2,5] h) {{
            y, h = {_GRU}, direction="bidirectional">(x, w, r, b, , i) }}""",
            becomes="GRU, 2 Pad, Slice",
            opset=14,
            w=(2, 15, 4),
            r=(2, 15, 5),
            b=(2, 30),
        ),
    )


def _weight_by_where(new: SubgraphBuilder) -> Value:
    """The weight, selected by the input, and therefore not constant."""
    weight, first = new.input(_WEIGHT), new.slice(new.input(0), [0, 0, 0], [1, 1, 1], [0, 1, 2])
    choice = new.op("Greater", first, 0.0)
    if new.opset >= _WHERE_SINCE:
        return new.op("Where", choice, weight, weight)
    number = new.reshape(new.cast(choice, TensorProto.INT64), (1,))
    return new.op("Gather", weight, number - number, axis=0)


def _longer(new: SubgraphBuilder) -> Value:
    """The sequence with an element of 0 appended to each step, and a step of ones appended to its end."""
    return new.pad(new.pad(new.input(0), [0, 0, 0, 0, 0, 1]), [0, 0, 0, 1, 0, 0], 1.0)


def _weight_with_open_gate(new: SubgraphBuilder) -> Value:
    """The weight with a column that opens the update gate, the first of three."""
    weight, size = new.array(_WEIGHT), new.input(_RECURRENCE).dim(2)
    column = np.zeros((*weight.shape[:2], 1), weight.dtype)
    column[:, :size] = max(_CLOSED, 16 * float(np.abs(weight).sum(axis=2, dtype=np.float64).max(initial=0.0)))
    return new.constant(np.concatenate([weight, column], axis=2))
