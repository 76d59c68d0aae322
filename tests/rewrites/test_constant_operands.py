"""Constants after a layer are computed at their position after `fix`, even if MNN would treat them as a bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from remedied import assert_remedied, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNELS = 3
PICTURE = [1, CHANNELS, 4, CHANNELS]
"""As wide as there are channels: a constant of so many elements may lie along either axis."""


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@st.composite
def constants_behind_layers(draw: st.DrawFn) -> ModelProto:
    """A layer, perhaps an activation, and an operator with a constant on either side."""
    layer = draw(st.sampled_from(["Conv", "MatMul", "Gemm"]))
    shape, result = ([*PICTURE[:1], 2, *PICTURE[2:]], PICTURE) if layer == "Conv" else ([3, 4], [3, 3])
    weight = random([CHANNELS, 2, 1, 1] if layer == "Conv" else [4, 3], seed=1)
    nodes = [helper.make_node(layer, ["x", "w"], ["a"])]
    if draw(st.booleans()):
        nodes.append(helper.make_node(draw(st.sampled_from(["Relu", "Sigmoid", "Tanh"])), ["a"], ["b"]))
    value = nodes[-1].output[0]
    op = draw(st.sampled_from(["Add", "Add", "Sum", "Sub", "Mul", "Div", "Max", "Min"]))
    full = [dim if draw(st.booleans()) else 1 for dim in result]
    constant = np.abs(random(full[draw(st.integers(0, len(full))) :], seed=2)) + np.float32(0.25)
    operands = [value, "c"] if op == "Div" or draw(st.booleans()) else ["c", value]
    nodes.append(helper.make_node(op, operands, ["y"]))
    graph = helper.make_graph(
        nodes,
        "constant_behind_layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.asarray(constant), "c")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(constants_behind_layers())
def test_constant_behind_a_layer_is_right(prober: Prober, model: ModelProto) -> None:
    assert_remedied(model, prober)
