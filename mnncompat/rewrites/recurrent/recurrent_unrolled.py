"""RNN, GRU and LSTM, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
from mnncompat.rewrites.recurrent.recurrent_cells import GATES, Cell, Weights, require_sizes
from mnncompat.rewrites.recurrent.recurrent_steps import (
    BATCH_FIRST,
    BIAS,
    all_directions,
    half_of_bias,
    peepholes_of,
    row_of,
)

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class RecurrentUnrolled(NodeRewrite):
    """Unroll the steps of RNN, GRU and LSTM where MNN's own operators compute something else.

    **What.** GRU that resets before the product (its default), clipped cells, coupled gates, peepholes, any
    activations, lengths of the single sequences, weights computed at run time; with both directions, both layouts, and
    initial states.

    **Why.** MNN ignores or refuses all of these.

    **Before and after**::

        y, h = GRU(x, w, r, b)
        g = x @ w^T + b  z, q = Sigmoid(g1 + h @ r1^T)  c = Tanh(g2 + (q * h) @ r2^T)  h = c + z * (h - c)  ...

    **Algebra.** ONNX's definition. The contribution of the inputs is one product for all steps. After the end of a
    sequence the state is kept, and the output is zero. More than 128 steps, or an unknown number of them, are the body
    of a Loop.

    **Refuses** activations without the numbers that they need, and empty sequences.

    **Source.** https://onnx.ai/onnx/operators/onnx__GRU.html, onnx__LSTM.html, onnx__RNN.html
    """

    code = "MNN924"
    name = "recurrent-unrolled"
    summary = "its steps are written out"
    op_types = tuple(GATES)
    before = (
        ("recurrent-forward", "it writes both directions out itself"),
        ("recurrent-length-first", "it reads both layouts itself"),
        ("recurrent-open-length", "it takes sequences of any length itself"),
        ("recurrent-outputs", "the node whose outputs that one would declare is replaced"),
    )

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the steps of every direction."""
        require_sizes(node, new, 2 if node.attribute("direction") == "bidirectional" else 1)
        value = new.transpose(new.input(0), BATCH_FIRST[3]) if node.attribute("layout") else new.input(0)

        def direction(number: int, directions: int) -> tuple[Cell, Value]:
            cell = Cell(node, new, number, directions, _weights(node, new, number))
            return cell, _gates(new, value, number)

        return all_directions(node, new, direction, new.input(2).dim(2))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One example of each form that MNN lacks, and models that stay unchanged or are refused."""
        return (
            *_gru_steps(),
            *_lstm_and_rnn_steps(),
            *_loops(),
            refused(
                "an activation without its numbers",
                "have no default",
                f"""({_X}) => ({_RESULTS}) {{ y, h = RNN<hidden_size=5, activations=["Affine"]>(x, w, r) }}""",
                opset=14,
                w=(1, 5, 4),
                r=(1, 5, 5),
            ),
            unchanged(
                "MNN has it",
                f"({_X}) => ({_RESULTS}) {{ y, h = GRU<hidden_size=5, linear_before_reset=1>(x, w, r) }}",
                opset=14,
                w=(1, 15, 4),
                r=(1, 15, 5),
            ),
        )


# Parts of the examples.
_X, _RESULTS = "float[3,2,4] x", "float[3,1,2,5] y, float[1,2,5] h"


def _gru_steps() -> tuple[Example, ...]:
    """Steps of a GRU."""
    return (
        rewritten(
            "gru, dynamic batch",
            "(float[3,N,4] x) => (float[3,1,N,5] y) { y = GRU<hidden_size=5>(x, w, r, b) }",
            becomes="16 Add, Concat, 7 MatMul, 6 Mul, 3 Sigmoid, 7 Split, 3 Squeeze, 3 Sub, 3 Tanh, 3 Unsqueeze",
            opset=14,
            w=(1, 15, 4),
            r=(1, 15, 5),
            b=(1, 30),
        ),
        rewritten(
            "gru in both directions, lengths",
            """(float[3,2,4] x) => (float[3,2,2,5] y, float[2,2,5] h) <int32[2] n = {3, 2}> {
            y, h = GRU<hidden_size=5, direction="bidirectional">(x, w, r, , n) }""",
            becomes="""18 Add, 4 Concat, 14 MatMul, 12 Mul, 6 Sigmoid, 14 Split, 6 Squeeze, 6 Sub, 6 Tanh, 8 Unsqueeze,
            4 Where""",
            opset=14,
            w=(2, 15, 4),
            r=(2, 15, 5),
        ),
    )


def _lstm_and_rnn_steps() -> tuple[Example, ...]:
    """Steps of an LSTM and of an RNN."""
    return (
        rewritten(
            "lstm with peepholes, coupled gates, and a clip",
            f"""({_X}) => ({_RESULTS}, float[1,2,5] c) {{
            y, h, c = LSTM<hidden_size=5, clip=0.2, input_forget=1>(x, w, r, b, , h0, c0, p) }}""",
            becomes="""16 Add, 9 Clip, Concat, 4 MatMul, 15 Mul, 6 Sigmoid, 4 Split, 3 Squeeze, 3 Sub, 6 Tanh,
            5 Unsqueeze""",
            opset=14,
            w=(1, 20, 4),
            r=(1, 20, 5),
            b=(1, 40),
            h0=(1, 2, 5),
            c0=(1, 2, 5),
            p=(1, 15),
        ),
        rewritten(
            "rnn of another activation",
            f"""({_X}) => ({_RESULTS}) {{
            y, h = RNN<hidden_size=5, activations=["LeakyRelu"], activation_alpha=[0.1], direction="reverse">(
            x, w, r) }}""",
            becomes="3 Add, Concat, 3 LeakyRelu, 4 MatMul, Split, 3 Squeeze, 4 Unsqueeze",
            opset=14,
            w=(1, 5, 4),
            r=(1, 5, 5),
        ),
    )


def _loops() -> tuple[Example, ...]:
    """Sequences of unknown length, and long ones."""
    return (
        rewritten(
            "unknown length and batch, both directions",
            """(float[S,N,4] x) => (float[S,2,N,5] y, float[2,N,5] h) {
            y, h = GRU<hidden_size=5, direction="bidirectional">(x, w, r, b) }""",
            becomes="""2 Add, 4 Concat, 2 Expand, Loop{5 Add, Gather, 3 Identity, 2 MatMul, 2 Mul, Sigmoid, 2 Split,
            2 Sub, Tanh}, Loop{5 Add, Gather, 3 Identity, 2 MatMul, 2 Mul, Sigmoid, 2 Split, Sub, Tanh}, 2 MatMul,
            4 Shape, 5 Slice, 2 Squeeze, Sub, 4 Unsqueeze""",
            opset=14,
            w=(2, 15, 4),
            r=(2, 15, 5),
            b=(2, 30),
        ),
        rewritten(
            "many steps",
            """(float[129,2,4] x) => (float[1,2,5] h) <int32[2] n = {129, 100}> {
            , h = RNN<hidden_size=5, clip=1.0>(x, w, r, , n) }""",
            becomes="""Cast, Concat, Expand, Loop{Add, Clip, Gather, 3 Identity, Less, MatMul, Tanh, 2 Where}, MatMul,
            2 Shape, 2 Slice, Squeeze, 2 Unsqueeze""",
            opset=14,
            w=(1, 5, 4),
            r=(1, 5, 5),
        ),
    )


def _gates(new: SubgraphBuilder, value: Value, number: int) -> Value:
    """The contribution of the input to the gates, (length, batch, gates * hidden)."""
    product = value @ _transposed_part(new, new.input(1), number)
    return product + half_of_bias(new, number, 0) if new.has(BIAS) else product


def _weights(node: NodeFacts, new: SubgraphBuilder, number: int) -> Weights:
    bias = half_of_bias(new, number, 1) if new.has(BIAS) else None
    peepholes = peepholes_of(new, number, new.input(2).dim(2)) if node.node.op_type == "LSTM" else []
    return Weights(_transposed_part(new, new.input(2), number), bias, peepholes)


def _transposed_part(new: SubgraphBuilder, value: Value, number: int) -> Value:
    """The transposed matrix of one direction."""
    row = row_of(new, value, number)
    constant = row.constant
    return new.transpose(row, (1, 0)) if constant is None else new.constant(np.ascontiguousarray(constant.T))
