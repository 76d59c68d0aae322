"""The steps of a recurrent operator as the body of a Loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.rewrites.recurrent.recurrent_cells import Cell


def looped(
    new: SubgraphBuilder, cell: Cell, state: Sequence[Value], gates: Value, lengths: Value | None, *, backwards: bool
) -> tuple[Value, list[Value]]:
    """Emit a Loop over the steps of one direction.

    Args:
        new: Where to emit nodes.
        cell: Of the direction.
        state: The state before the first step, (batch, hidden) each.
        gates: Contribution of the input, (length, batch, gates * hidden).
        lengths: Of the single sequences, (batch,); None if all are full.
        backwards: Begin at the end.

    Returns:
        The outputs, (length, batch, hidden), in the order of the input, and the last state.
    """
    count = new.squeeze(new.slice(new.op("Shape", gates), [0], [1], [0]), (0,))
    last = count - 1
    column = None if lengths is None else new.unsqueeze(new.cast(lengths, TensorProto.INT64), (1,))
    begin = len(new.nodes)
    index = new.op("Identity", new.constant(np.asarray(0, np.int64)))
    going = new.op("Identity", new.constant(np.asarray(1, np.bool_)))
    before = [new.op("Identity", each) for each in state]
    inputs = new.nodes[begin:]
    step = last - index if backwards else index
    after = cell.step(new.op("Gather", gates, step, axis=0), before)
    output = after[0]
    if column is not None:
        goes = new.op("Less", step, column)
        after = [new.op("Where", goes, one, two) for one, two in zip(after, before, strict=True)]
        output = new.op("Where", goes, output, new.scalar(0.0, output))
    results = [new.op("Identity", each) for each in (going, *after, output)]
    types = [TensorProto.INT64, TensorProto.BOOL, *(each.dtype for each in before)]
    sizes = [each.dims[-1] for each in state]  # what is in the body may ask for the rank
    dims: list[Sequence[int | None]] = [(), (), *((None, each if isinstance(each, int) else None) for each in sizes)]
    declared = [
        helper.make_tensor_value_info(node.output[0], dtype, shape)
        for node, dtype, shape in zip(inputs, types, dims, strict=True)
    ]
    given = [helper.make_tensor_value_info(each.name, each.dtype, None) for each in results]
    body = helper.make_graph(new.extract_nodes(begin)[len(inputs) :], "steps", declared, given)
    always = new.constant(np.asarray(1, np.bool_))
    *final, outputs = new.ops("Loop", count, always, *state, count=len(state) + 1, body=body)
    if backwards:
        outputs = new.slice(outputs, [-1], [int(np.iinfo(np.int64).min)], [0], [-1])
    return outputs, list(final)
