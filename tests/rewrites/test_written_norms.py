"""Normalisations written out in arithmetic, with any constants behind them, are computed right after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from remedied import assert_remedied, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPE = [2, 3, 4, 3]
INVERSES = {
    "divided": ["n = Div(v, s)"],
    "times one over": ["r = Div(one, s)", "n = Mul(v, r)"],
    "times reciprocal": ["r = Reciprocal(s)", "n = Mul(v, r)"],
    "root first": ["r = Div(one, s)", "n = Mul(r, v)"],
}


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@st.composite
def written_norms(draw: st.DrawFn) -> ModelProto:
    """A norm over some axes, with or without the mean, and a constant behind it on either side."""
    axes = draw(st.sampled_from([[3], [-1], [1], [2, 3], [1, 2, 3], [0]]))
    lines = ["u = ReduceMean(x)", "v = Sub(x, u)"] if draw(st.booleans()) else ["v = Identity(x)"]
    lines += [draw(st.sampled_from(["p = Pow(v, two)", "p = Mul(v, v)"])), "m = ReduceMean(p)", "a = Add(m, e)"]
    lines += ["s = Sqrt(a)", *draw(st.sampled_from(list(INVERSES.values())))]
    lines.append(draw(st.sampled_from(["y = Mul(n, c)", "y = Mul(c, n)", "y = Div(n, c)"])))
    full = [dim if draw(st.booleans()) else 1 for dim in SHAPE]
    gain = np.abs(random(full[draw(st.integers(0, 4)) :], seed=1)) + np.float32(0.5)
    bias = random([dim if draw(st.booleans()) else 1 for dim in SHAPE][draw(st.integers(0, 4)) :], seed=2)
    behind = draw(st.sampled_from(["", "z = Add(y, b)", "z = Add(b, y)", "z = Sub(y, b)"]))
    lines += [behind] if behind else []
    nodes = []
    for line in lines:
        result, _, call = line.partition(" = ")
        op, _, operands = call.rstrip(")").partition("(")
        attributes: dict[str, Any] = {"axes": axes} if op == "ReduceMean" else {}
        nodes.append(helper.make_node(op, operands.split(", "), [result], **attributes))
    stored = {"two": np.float32(2), "one": np.float32(1), "e": np.float32(0.1), "c": gain, "b": bias}
    graph = helper.make_graph(
        nodes,
        "written_norm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("z" if behind else "y", TensorProto.FLOAT, SHAPE)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items() if behind or name != "b"],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written_norms())
def test_constant_behind_a_norm_is_right(prober: Prober, model: ModelProto) -> None:
    assert_remedied(model, prober)
