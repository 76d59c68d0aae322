"""RNN, GRU and LSTM, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.recurrent.recurrent_cells import GATES, Cell, Weights, require_sizes
from mnncompat.rewrites.recurrent.recurrent_loop import looped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.support.node_facts import NodeFacts

LONGEST = 128
"""The largest number of steps that is unrolled: each is 5 to 15 nodes. More, or an unknown number, become a Loop."""
_BIAS, _LENGTHS, _STATE, _PEEPHOLES = 3, 4, 5, 7
_BATCH_FIRST = {3: (1, 0, 2), 4: (2, 0, 1, 3)}


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
        batch_first = bool(node.attribute("layout"))
        value = new.transpose(new.input(0), _BATCH_FIRST[3]) if batch_first else new.input(0)
        length = new.input(0).dims[1 if batch_first else 0]
        if length == 0:
            raise NotApplicable("the sequences are empty")
        ways = {"reverse": (True,), "bidirectional": (False, True)}.get(node.attribute("direction"), (False,))
        require_sizes(node, new, len(ways))
        sequences: list[Value] = []
        finals: list[list[Value]] = []
        for number, backwards in enumerate(ways):
            cell = Cell(node, new, number, len(ways), _weights(node, new, number))
            gates, initial = _gates(new, value, number), _initial(node, new, number)
            if isinstance(length, int) and length <= LONGEST:
                steps = [new.squeeze(each, (0,)) for each in new.split(gates, [1] * length, 0)]
                outputs, state = _run(new, cell, initial, steps, _masks(new, length), backwards=backwards)
                sequences.append(new.concat([new.unsqueeze(each, (0, 1)) for each in outputs], 0))
            else:
                lengths = new.input(_LENGTHS) if new.has(_LENGTHS) else None
                initial = [_for_batch(new, each, gates) for each in initial]
                together, state = looped(new, cell, initial, gates, lengths, backwards=backwards)
                sequences.append(new.unsqueeze(together, (1,)))
            finals.append([new.unsqueeze(each, (0,)) for each in state])
        results = [new.concat(sequences, 1), *(new.concat(list(each), 0) for each in zip(*finals, strict=True))]
        if batch_first:
            results = [new.transpose(each, _BATCH_FIRST[each.rank]) for each in results]
        return list(results)

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


def _run(
    new: SubgraphBuilder,
    cell: Cell,
    state: Sequence[Value],
    steps: Sequence[Value],
    masks: Sequence[Value | None],
    *,
    backwards: bool,
) -> tuple[list[Value], list[Value]]:
    """The outputs in the order of the input, and the last state."""
    outputs: list[Value] = []
    current = list(state)
    for gates, mask in list(zip(steps, masks, strict=True))[:: -1 if backwards else 1]:
        following = cell.step(gates, current)
        if mask is None:
            current = following
            outputs.append(current[0])
            continue
        current = [new.op("Where", mask, after, before) for after, before in zip(following, current, strict=True)]
        outputs.append(new.op("Where", mask, following[0], new.scalar(0.0, following[0])))
    return outputs[:: -1 if backwards else 1], current


def _gates(new: SubgraphBuilder, value: Value, number: int) -> Value:
    """The contribution of the input to the gates, (length, batch, gates * hidden)."""
    product = value @ _transposed_part(new, new.input(1), number)
    return product + _half(new, number, 0) if new.has(_BIAS) else product


def _for_batch(new: SubgraphBuilder, state: Value, gates: Value) -> Value:
    """A state that is one row for all, as one row for each: the body of a Loop must not change its shape."""
    if state.constant is None or state.dims[0] != 1 or gates.dims[1] == 1:
        return state
    sizes = new.concat([new.slice(new.op("Shape", gates), [1], [2], [0]), new.constant([state.dim(1)])], 0)
    return new.op("Expand", state, sizes)


def _weights(node: NodeFacts, new: SubgraphBuilder, number: int) -> Weights:
    bias = _half(new, number, 1) if new.has(_BIAS) else None
    peepholes: list[Value] = []
    if node.node.op_type == "LSTM" and new.has(_PEEPHOLES):
        row, size = _row(new, new.input(_PEEPHOLES), number), new.input(2).dim(2)
        constant = row.constant
        peepholes = (
            new.split(row, [size] * 3, 0)
            if constant is None
            else [new.constant(each.copy()) for each in np.split(constant, 3)]
        )
    return Weights(_transposed_part(new, new.input(2), number), bias, peepholes)


def _half(new: SubgraphBuilder, number: int, half: int) -> Value:
    """The bias of the input (0) or of the recurrence (1)."""
    row, size = _row(new, new.input(_BIAS), number), new.input(_BIAS).dim(1) // 2
    constant = row.constant
    if constant is None:
        return new.slice(row, [half * size], [(half + 1) * size], [0])
    return new.constant(constant[half * size : (half + 1) * size].copy())


def _row(new: SubgraphBuilder, value: Value, number: int) -> Value:
    """The part of a value that belongs to one direction."""
    constant = value.constant
    if constant is not None:
        return new.constant(constant[number].copy())
    return new.squeeze(new.slice(value, [number], [number + 1], [0]), (0,))


def _transposed_part(new: SubgraphBuilder, value: Value, number: int) -> Value:
    """The transposed matrix of one direction."""
    row = _row(new, value, number)
    constant = row.constant
    return new.transpose(row, (1, 0)) if constant is None else new.constant(np.ascontiguousarray(constant.T))


def _initial(node: NodeFacts, new: SubgraphBuilder, number: int) -> list[Value]:
    """The state before the first step: the output, and for LSTM the cell."""
    result: list[Value] = []
    for position in range(_STATE, _STATE + (2 if node.node.op_type == "LSTM" else 1)):
        if not new.has(position):
            zeros = np.zeros((1, new.input(2).dim(2)), new.input(0).element)
            result.append(new.constant(zeros))
            continue
        value = new.input(position)
        turned = new.transpose(value, _BATCH_FIRST[3]) if node.attribute("layout") else value
        result.append(_row(new, turned, number))
    return result


def _masks(new: SubgraphBuilder, length: int) -> list[Value | None]:
    """For each step, whether each sequence has not ended, (batch, 1); None if all have full length."""
    if not new.has(_LENGTHS):
        return [None] * length
    lengths = new.input(_LENGTHS)
    constant = lengths.constant
    if constant is not None:
        going = constant.reshape(-1, 1) > np.arange(length)
        return [
            None if going[:, step].all() else new.constant(going[:, step : step + 1].copy()) for step in range(length)
        ]
    column = new.unsqueeze(new.cast(lengths, TensorProto.INT32), (1,))
    return [new.op("Less", new.constant(np.asarray(step, np.int32)), column) for step in range(length)]
