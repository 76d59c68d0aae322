"""LSTM, GRU and RNN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

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
def recurrent(sample: Sample) -> None:
    """PyTorch's form mostly: bias, zero initial state, all outputs; then lengths, clipping, layouts, activations."""
    dtype = sample.dtype({"float32": 95.0, "float16": 4.0, "float64": 1.0})
    direction = sample.weighted({"forward": 5.0, None: 1.0, "bidirectional": 2.5, "reverse": 1.2})
    sizes = Sizes(
        directions=2 if direction == "bidirectional" else 1,
        time=sample.weighted({1: 2.0, 2: 1.0, 3: 3.0, 5: 3.0, 8: 1.0}),
        batch=sample.batch(),
        features=sample.dim(1, 8),
        hidden=sample.dim(1, 8),
        batch_first=sample.version >= _LAYOUT and sample.chance(0.03),
    )
    attributes = {"direction": direction, "hidden_size": sizes.hidden} | _attributes(sample, sizes)
    inputs = _inputs(sample, sizes, dtype)
    names = ["Y", "Y_h", "Y_c"][: 3 if sample.op == "LSTM" else 2]
    form = sample.weighted({"all": 4.0, "declared": 3.0, "first": 2.0, "last": 1.0})
    if form == "first":
        names = names[:1]
    elif form == "last":
        names = ["", *names[1:2]]
    found = sample.emit(*inputs, outputs=names, **attributes)
    if form == "declared":  # all are outputs of the node, as PyTorch writes it, one is used
        sample.outputs([sample.pick(found)] if sample.chance(0.3) else found[:1])


def _attributes(sample: Sample, sizes: Sizes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if sizes.batch_first:
        found["layout"] = 1
    if sample.op == "GRU":
        found["linear_before_reset"] = sample.weighted({1: 7.0, 0: 1.0, None: 1.5})
    if sample.op == "RNN":
        found["activations"] = sample.weighted({None: 1.0, "Tanh": 5.0, "Relu": 2.0})
        found["activations"] = found["activations"] and [found["activations"]] * sizes.directions
    elif sample.chance(0.05):
        gates = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}[sample.op]
        found["activations"] = gates * sizes.directions
    if sample.chance(0.02):
        found["clip"] = 0.3
    if sample.op == "LSTM" and sample.chance(0.04):
        found["input_forget"] = 0
    return found


def _inputs(sample: Sample, sizes: Sizes, dtype: np.dtype[Any]) -> list[str]:
    gates, hidden = _GATES[sample.op], sizes.hidden
    x = (sizes.batch, sizes.time) if sizes.batch_first else (sizes.time, sizes.batch)
    inputs = [sample.input(sample.normal((*x, sizes.features), dtype))]
    for stem, width in (("W", sizes.features), ("R", hidden)):
        weight = sample.normal((sizes.directions, gates * hidden, width), dtype, 0.7)
        inputs.append(sample.parameter(weight, stem))
    bias = sample.normal((sizes.directions, 2 * gates * hidden), dtype)
    inputs.append(sample.parameter(bias, "B") if sample.chance(0.85) else "")
    lengths = sample.uniform((sizes.batch,), 1, sizes.time, "int32")
    lengths[0] = max(sizes.time - 1, 1)
    inputs.append(sample.operand(lengths, "sequence_lens", constant=0.4) if sample.chance(0.07) else "")
    state = (sizes.directions, sizes.batch, hidden)
    if sizes.batch_first:
        state = (sizes.batch, sizes.directions, hidden)
    form = sample.weighted({"zeros": 5.0, "fed": 3.0, "absent": 2.0})
    for stem in ("initial_h", "initial_c")[: 2 if sample.op == "LSTM" else 1]:
        if form == "zeros":
            inputs.append(sample.constant(np.zeros(state, dtype), stem))
        elif form == "fed":
            inputs.append(sample.input(sample.normal(state, dtype, 0.5), stem))
    if form != "absent" and sample.op == "LSTM" and sample.chance(0.03):
        inputs.append(sample.constant(sample.normal((sizes.directions, 3 * hidden), dtype, 0.5), "P"))
    while inputs[-1] == "":
        inputs.pop()
    return inputs
