"""An LSTM with weights of integers, whose operands are quantised at run time; `contrib-op-to-onnx` calls it.

As in ONNX Runtime's kernel, the input is quantised once, and the state in every step; products are of integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.contrib.quantized_parameters import folded
from mnncompat.rewrites.core.examples import rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.recurrent.recurrent_cells import Cell, Weights
from mnncompat.rewrites.recurrent.recurrent_steps import BIAS, all_directions, half_of_bias, peepholes_of, row_of

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_LENGTHS = 4
_INPUT, _RECURRENT = (1, 8, 9), (2, 10, 11)
"""Positions of weights, their scale and their zero point."""


def examples() -> tuple[Example, ...]:
    """Two steps."""
    draws = np.random.default_rng(0)
    return (
        rewritten(
            "two steps of an LSTM",
            """(float[2,N,3] x) => (float[2,1,N,2] y, float[1,N,2] h) <float[1] ws = {0.02}, int8[1] wz = {0}> {
            y, h = com.microsoft.DynamicQuantizeLSTM<hidden_size=2>(x, w, r, b, , , , , ws, wz, ws, wz) }""",
            becomes="""7 Add, 3 Cast, Concat, 3 DynamicQuantizeLinear, 3 MatMulInteger, 12 Mul, 6 Sigmoid, 3 Split,
            2 Squeeze, 4 Tanh, 3 Unsqueeze""",
            imports='"": 17, "com.microsoft": 1',
            w=draws.integers(-90, 90, (1, 3, 8)).astype(np.int8),
            r=draws.integers(-90, 90, (1, 2, 8)).astype(np.int8),
            b=(1, 16),
        ),
    )


def _lstm(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """DynamicQuantizeLSTM."""
    size = new.input(2).dim(1)
    _require_full_sequences(new)

    def direction(number: int, directions: int) -> tuple[Cell, Value]:
        bias = half_of_bias(new, number, 1) if new.has(BIAS) else None
        recurrent = _product(new, number, _RECURRENT)
        weights = Weights(new.input(2), bias, peepholes_of(new, number, size), recurrent)
        gates = _product(new, number, _INPUT)(new.input(0))
        gates = gates + half_of_bias(new, number, 0) if new.has(BIAS) else gates
        return Cell(node, new, number, directions, weights), gates

    return all_directions(node, new, direction, size)


def _require_full_sequences(new: SubgraphBuilder) -> None:
    """Reject sequences that end early: what is quantised together with others depends on it."""
    if not new.has(_LENGTHS):
        return
    lengths, steps = new.input(_LENGTHS).constant, new.input(0).dims[0]
    if lengths is None or not isinstance(steps, int) or (lengths < steps).any():
        raise NotApplicable("sequences that may end before the last step")


def _product(new: SubgraphBuilder, number: int, positions: tuple[int, int, int]) -> Callable[[Value], Value]:
    """The product of a value, quantised when it is known, and weights of one direction."""
    weights, scale, zero = (row_of(new, new.input(each), number) for each in positions)

    def of(value: Value) -> Value:
        integers, unit, place = new.ops("DynamicQuantizeLinear", value, count=3)
        total = new.cast(new.op("MatMulInteger", integers, weights, place, zero), TensorProto.FLOAT)
        return total * folded(new, lambda one, two: one * two, unit, scale)

    return of


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {"DynamicQuantizeLSTM": _lstm}
"""How each is emitted, by op type."""
