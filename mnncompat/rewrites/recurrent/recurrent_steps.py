"""The steps of recurrent operators, in every direction: unrolled, or as the body of a Loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.recurrent.recurrent_loop import looped

if TYPE_CHECKING:
    from mnncompat.rewrites.recurrent.recurrent_cells import Cell
    from mnncompat.support.node_facts import NodeFacts

LONGEST = 128
"""The largest number of steps that is unrolled: each is 5 to 15 nodes. More, or an unknown number, become a Loop."""
BIAS = 3
_LENGTHS, _STATE, _PEEPHOLES = 4, 5, 7
BATCH_FIRST = {3: (1, 0, 2), 4: (2, 0, 1, 3)}
"""Permutation that exchanges batch and length, by rank."""
Direction = Callable[[int, int], "tuple[Cell, Value]"]


def all_directions(node: NodeFacts, new: SubgraphBuilder, direction: Direction, size: int) -> list[Value | None]:
    """The results of a recurrent operator.

    Args:
        node: The node; its operands from the bias on are those of LSTM.
        new: Where to emit nodes.
        direction: Makes the cell of a direction, by its number and how many there are, and the contribution of the
            input to its gates, (length, batch, gates * hidden).
        size: Of the state.

    Raises:
        NotApplicable: The sequences are empty.
    """
    batch_first = bool(node.attribute("layout"))
    length = new.input(0).dims[1 if batch_first else 0]
    if length == 0:
        raise NotApplicable("the sequences are empty")
    ways = {"reverse": (True,), "bidirectional": (False, True)}.get(node.attribute("direction"), (False,))
    sequences: list[Value] = []
    finals: list[list[Value]] = []
    for number, backwards in enumerate(ways):
        cell, gates = direction(number, len(ways))
        initial = _initial(node, new, number, size)
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
        results = [new.transpose(each, BATCH_FIRST[each.rank]) for each in results]
    return list(results)


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


def _for_batch(new: SubgraphBuilder, state: Value, gates: Value) -> Value:
    """A state that is one row for all, as one row for each: the body of a Loop must not change its shape."""
    if state.constant is None or state.dims[0] != 1 or gates.dims[1] == 1:
        return state
    sizes = new.concat([new.slice(new.op("Shape", gates), [1], [2], [0]), new.constant([state.dim(1)])], 0)
    return new.op("Expand", state, sizes)


def peepholes_of(new: SubgraphBuilder, number: int, size: int) -> list[Value]:
    """Weights of the cell in the input, output and forget gates of a direction; empty if there are none."""
    if not new.has(_PEEPHOLES):
        return []
    row = row_of(new, new.input(_PEEPHOLES), number)
    constant = row.constant
    if constant is None:
        return new.split(row, [size] * 3, 0)
    return [new.constant(each.copy()) for each in np.split(constant, 3)]


def half_of_bias(new: SubgraphBuilder, number: int, half: int) -> Value:
    """The bias of the input (0) or of the recurrence (1)."""
    row, size = row_of(new, new.input(BIAS), number), new.input(BIAS).dim(1) // 2
    constant = row.constant
    if constant is None:
        return new.slice(row, [half * size], [(half + 1) * size], [0])
    return new.constant(constant[half * size : (half + 1) * size].copy())


def row_of(new: SubgraphBuilder, value: Value, number: int) -> Value:
    """The part of a value that belongs to one direction."""
    constant = value.constant
    if constant is not None:
        return new.constant(constant[number].copy())
    return new.squeeze(new.slice(value, [number], [number + 1], [0]), (0,))


def _initial(node: NodeFacts, new: SubgraphBuilder, number: int, size: int) -> list[Value]:
    """The state before the first step: the output, and for LSTM the cell."""
    result: list[Value] = []
    for position in range(_STATE, _STATE + (2 if node.node.op_type.endswith("LSTM") else 1)):
        if not new.has(position):
            zeros = np.zeros((1, size), new.input(0).element)
            result.append(new.constant(zeros))
            continue
        value = new.input(position)
        turned = new.transpose(value, BATCH_FIRST[3]) if node.attribute("layout") else value
        result.append(row_of(new, turned, number))
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
