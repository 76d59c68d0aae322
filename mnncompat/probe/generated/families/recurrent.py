"""LSTM, GRU and RNN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_LAYOUT = 14  # opset


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Dimensions of a recurrent layer."""

    directions: int
    time: int
    batch: int
    features: int
    hidden: int
    batch_first: bool


@generator("LSTM", weight=90, precision=Precision.APPROXIMATE)
@generator("GRU", weight=80, precision=Precision.APPROXIMATE)
@generator("RNN", weight=50, precision=Precision.APPROXIMATE)
def recurrent(draw: Draw) -> None:
    """PyTorch's form mostly: bias, zero initial state, all outputs; then lengths, clipping, layouts, activations."""
    dtype = draw.dtype({"float32": 95.0, "float16": 4.0, "float64": 1.0})
    direction = draw.weighted({"forward": 5.0, None: 1.0, "bidirectional": 2.5, "reverse": 1.2})
    sizes = Sizes(
        directions=2 if direction == "bidirectional" else 1,
        time=draw.weighted({1: 2.0, 2: 1.0, 3: 3.0, 5: 3.0, 8: 1.0}),
        batch=draw.batch(),
        features=draw.dim(1, 8),
        hidden=draw.dim(1, 8),
        batch_first=draw.version >= _LAYOUT and draw.chance(0.03),
    )
    attributes = {"direction": direction, "hidden_size": sizes.hidden} | _attributes(draw, sizes)
    inputs = _inputs(draw, sizes, dtype)
    names = ["Y", "Y_h", "Y_c"][: 3 if draw.op == "LSTM" else 2]
    form = draw.weighted({"all": 4.0, "declared": 3.0, "first": 2.0, "last": 1.0})
    if form == "first":
        names = names[:1]
    elif form == "last":
        names = ["", *names[1:2]]
    found = draw.emit(*inputs, outputs=names, **attributes)
    if form == "declared":  # all are outputs of the node, as PyTorch writes it, one is used
        draw.outputs([draw.pick(found)] if draw.chance(0.3) else found[:1])


def _attributes(draw: Draw, sizes: Sizes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if sizes.batch_first:
        found["layout"] = 1
    if draw.op == "GRU":
        found["linear_before_reset"] = draw.weighted({1: 7.0, 0: 1.0, None: 1.5})
    if draw.op == "RNN":
        found["activations"] = draw.weighted({None: 1.0, "Tanh": 5.0, "Relu": 2.0})
        found["activations"] = found["activations"] and [found["activations"]] * sizes.directions
    elif draw.chance(0.05):
        gates = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}[draw.op]
        found["activations"] = gates * sizes.directions
    if draw.chance(0.02):
        found["clip"] = 0.3
    if draw.op == "LSTM" and draw.chance(0.04):
        found["input_forget"] = 0
    return found


def _inputs(draw: Draw, sizes: Sizes, dtype: np.dtype[Any]) -> list[str]:
    gates, hidden = _GATES[draw.op], sizes.hidden
    x = (sizes.batch, sizes.time) if sizes.batch_first else (sizes.time, sizes.batch)
    inputs = [draw.input(draw.normal((*x, sizes.features), dtype))]
    for stem, width in (("W", sizes.features), ("R", hidden)):
        weight = draw.normal((sizes.directions, gates * hidden, width), dtype, 0.7)
        inputs.append(draw.parameter(weight, stem))
    bias = draw.normal((sizes.directions, 2 * gates * hidden), dtype)
    inputs.append(draw.parameter(bias, "B") if draw.chance(0.85) else "")
    lengths = draw.uniform((sizes.batch,), 1, sizes.time, "int32")
    lengths[0] = max(sizes.time - 1, 1)
    inputs.append(draw.operand(lengths, "sequence_lens", constant=0.4) if draw.chance(0.07) else "")
    state = (sizes.directions, sizes.batch, hidden)
    if sizes.batch_first:
        state = (sizes.batch, sizes.directions, hidden)
    form = draw.weighted({"zeros": 5.0, "fed": 3.0, "absent": 2.0})
    for stem in ("initial_h", "initial_c")[: 2 if draw.op == "LSTM" else 1]:
        if form == "zeros":
            inputs.append(draw.constant(np.zeros(state, dtype), stem))
        elif form == "fed":
            inputs.append(draw.input(draw.normal(state, dtype, 0.5), stem))
    if form != "absent" and draw.op == "LSTM" and draw.chance(0.03):
        inputs.append(draw.constant(draw.normal((sizes.directions, 3 * hidden), dtype, 0.5), "P"))
    while inputs[-1] == "":
        inputs.pop()
    return inputs
