"""How often a prediction comes true: what is counted, and what is left out."""

from __future__ import annotations

import numpy as np
from onnx import parser

from mnncompat.diagnosing.half_precision.hit_rate import hit_rate
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Measurement, Outcome


def case(name: str, size: float) -> Case:
    text = '<ir_version: 8, opset_import: ["" : 13]> g (float[4,16] x) => (float[4,16] y) { y = Mul(x, x) }'
    x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(4, 16) * np.float32(size)
    model = parser.parse_model(text)
    return Case(id=name, op="Mul", model=model.SerializeToString(), feeds={"x": x}, expected={"y": x * x})


def measured(**outcomes: Outcome) -> dict[str, Measurement]:
    return {name: Measurement(id=name, op="Mul", outcome=each) for name, each in outcomes.items()}


def test_what_is_counted() -> None:
    cases = [case("hit", 1000), case("missed", 1), case("right", 1), case("false", 1000), case("other", 1000)]
    low = measured(hit=Outcome.WRONG, missed=Outcome.WRONG, right=Outcome.OK, false=Outcome.OK, other=Outcome.WRONG)
    high = measured(**dict.fromkeys(("hit", "missed", "right", "false"), Outcome.OK), other=Outcome.WRONG)
    found = hit_rate(cases, high, low)
    assert (found.wrong, found.missed) == (("hit", "missed"), ("missed",))
    assert (found.right, found.false) == (("right", "false"), ("false",))
    assert not found.unknown
