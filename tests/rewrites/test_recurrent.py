"""RNN, GRU and LSTM of every form are computed right by MNN after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto
from remedied import Arrays, assert_remedied, one_node, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FEATURES, HIDDEN, BATCH = 3, 4, 2
FLOAT = TensorProto.FLOAT


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@st.composite
def recurrent(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """One of the three, of a fixed or an open length."""
    op = draw(st.sampled_from(list(GATES)))
    direction = draw(st.sampled_from([None, "reverse", "bidirectional"]))
    ways, width = 2 if direction == "bidirectional" else 1, GATES[op] * HIDDEN
    length, lstm = draw(st.integers(1, 4)), op == "LSTM"
    stated: dict[str, Any] = {"hidden_size": HIDDEN, "direction": direction}
    state = draw(st.booleans())
    lengths = draw(st.sampled_from([None, np.asarray([length, max(length - 1, 1)], np.int32)]))
    operands = {
        "x": random([length, BATCH, FEATURES]),
        "w": random([ways, width, FEATURES], seed=1) / 2,
        "r": random([ways, width, HIDDEN], seed=2) / 2,
        "b": random([ways, 2 * width], seed=3) if draw(st.booleans()) else None,
        "lengths": lengths,
        "h": random([ways, BATCH, HIDDEN], seed=4) if state else None,
        "c": random([ways, BATCH, HIDDEN], seed=5) if state and lstm else None,
        "p": random([ways, 3 * HIDDEN], seed=6) if lstm and draw(st.booleans()) else None,
    }
    if not lstm:
        del operands["c"], operands["p"]
    if op == "GRU":
        stated["linear_before_reset"] = draw(st.sampled_from([None, 1]))
    if draw(st.booleans()):
        stated["clip"] = 0.4
    if draw(st.booleans()):
        stated["activations"] = {
            "RNN": ["Softsign"],
            "GRU": ["HardSigmoid", "Relu"],
            "LSTM": ["Sigmoid", "Relu", "Tanh"],
        }[op] * ways
    constants = ["w", "r", "b", "lengths"] if draw(st.booleans()) else []
    results: list[int] = draw(st.sampled_from([[FLOAT], [0, FLOAT], [FLOAT, FLOAT]]))
    return one_node(
        op,
        operands,
        opset=draw(st.sampled_from([9, 14])),
        constants=[name for name in constants if operands[name] is not None],
        outputs=[*results, FLOAT] if lstm and len(results) > 1 else results,
        **stated,
    )


@QUICK
@given(recurrent())
def test_recurrent_operator_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@settings(QUICK, max_examples=15)
@given(
    op=st.sampled_from(list(GATES)),
    direction=st.sampled_from([None, "reverse", "bidirectional"]),
    length=st.integers(1, 4),
    state=st.booleans(),
    first=st.booleans(),
    resets_after=st.booleans(),
)
def test_open_length_is_right(
    prober: Prober, op: str, direction: str | None, length: int, *, state: bool, first: bool, resets_after: bool
) -> None:
    """Sequences whose length is a symbol; with the batch first they are not run by ONNX Runtime."""
    ways, width = 2 if direction == "bidirectional" else 1, GATES[op] * HIDDEN
    initial = [BATCH, ways, HIDDEN] if first else [ways, BATCH, HIDDEN]
    operands = {
        "x": random([BATCH, length, FEATURES] if first else [length, BATCH, FEATURES]),
        "w": random([ways, width, FEATURES], seed=1) / 2,
        "r": random([ways, width, HIDDEN], seed=2) / 2,
        "b": None,
        "lengths": None,
        "h": random(initial, seed=4) if state else None,
        "c": random(initial, seed=5) if state and op == "LSTM" else None,
    }
    model, feeds = one_node(
        op,
        operands if op == "LSTM" else {name: value for name, value in operands.items() if name != "c"},
        opset=14,
        constants=["w", "r"],
        outputs=[FLOAT, FLOAT],
        hidden_size=HIDDEN,
        direction=direction,
        layout=1 if first else None,
        linear_before_reset=1 if op == "GRU" and resets_after else None,
    )
    model.graph.input[0].type.tensor_type.shape.dim[1 if first else 0].dim_param = "length"
    assert_remedied(model, prober, feeds)
