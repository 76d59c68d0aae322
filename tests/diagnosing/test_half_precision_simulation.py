"""What the simulation says of single operators, beside what an emulated Cortex-A76 gave (MNN 3.6.1, precision low)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from mnncompat.diagnosing.half_precision.culprits import culprits
from mnncompat.diagnosing.half_precision.prediction import Prediction, Predictor
from mnncompat.graph.model_file import from_proto


def predict(model: onnx.ModelProto, **feeds: np.ndarray) -> Prediction:
    found = Predictor(from_proto(model)).predict("given", feeds)
    assert isinstance(found, Prediction), found
    return found


def text(graph: str) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {graph}')


def normal(*shape: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def product(op: str, x: list[int], weight: np.ndarray, **attributes: Any) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("terms", "measured"), [(16, 64.0), (256, 52.5), (1024, 46.4), (4096, 46.7)])
def test_products_with_constant_weights(terms: int, measured: float) -> None:
    found = predict(product("MatMul", [32, terms], normal(terms, 32)), x=normal(32, terms, seed=1))
    assert found.worst_db == pytest.approx(measured, abs=1.5)


def test_products_of_two_computed_operands_are_added_up_in_one_go() -> None:
    model = text("g (float[32,4096] x, float[4096,32] w) => (float[32,32] y) { y = MatMul(x, w) }")
    found = predict(model, x=normal(32, 4096), w=normal(4096, 32, seed=1))
    assert found.worst_db == pytest.approx(40.8, abs=1.5)


@pytest.mark.parametrize(
    ("channels", "filters", "size", "kernel", "stride", "measured"),
    [
        (3, 16, 32, 3, 1, 44.5),
        (8, 8, 14, 3, 1, 59.1),
        (64, 64, 14, 3, 1, 38.0),
        (256, 64, 14, 3, 1, 32.4),
        (64, 64, 14, 5, 1, 36.0),
        (64, 32, 14, 3, 2, 49.6),
    ],
    ids=["blocks of 6", "blocks of 4", "many channels", "more channels", "5x5", "stride 2"],
)
def test_convolutions(channels: int, filters: int, size: int, kernel: int, stride: int, measured: float) -> None:
    weight = normal(filters, channels, kernel, kernel)
    model = product("Conv", [1, channels, size, size], weight, pads=[kernel // 2] * 4, strides=[stride] * 2)
    found = predict(model, x=normal(1, channels, size, size, seed=1))
    assert found.worst_db == pytest.approx(measured, abs=2.5)
    assert bool(found.blocks) == (stride == 1)


@pytest.mark.parametrize(("size", "measured"), [(7, 60.4), (28, 47.3), (80, 13.1)])
def test_averages_are_added_up_in_float16(size: int, measured: float) -> None:
    model = text(f"g (float[1,64,{size},{size}] x) => (float[1,64,1,1] y) {{ y = GlobalAveragePool(x) }}")
    assert predict(model, x=np.abs(normal(1, 64, size, size))).worst_db == pytest.approx(measured, abs=3)


def test_a_winograd_convolution_overflows_and_the_finding_says_where() -> None:
    model = product("Conv", [1, 16, 16, 16], normal(16, 16, 3, 3, scale=0.02), pads=[1] * 4)
    x = 1881 * np.sign(normal(1, 16, 16, 16))
    found = predict(model, x=x)
    assert found.worst_db == -math.inf
    (culprit,) = culprits(found.view, found)
    assert "input 1,881 into a Winograd 3x3 convolution: above about 655" in culprit.why


@pytest.mark.parametrize(
    ("graph", "scale", "low", "high"),
    [
        ("y = ReduceL2 <axes = [1]> (x)", 100, -1, 20),
        ("y = ReduceL2 <axes = [1]> (x)", 1, 60, 90),
        ("y = ReduceLogSumExp <axes = [1]> (x)", 30, -1, 10),
        ("y = ReduceLogSumExp <axes = [1]> (x)", 1, 60, 90),
        ("y = Softplus(x)", 30, 0, 30),
        ("y = Softmax(x)", 5, 55, 90),
        ("y = ReduceMean <axes = [1]> (x)", 1, 200, math.inf),
    ],
)
def test_composites(graph: str, scale: float, low: float, high: float) -> None:
    model = text(f"g (float[4,64] x) => (y) {{ {graph} }}")
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    assert low < predict(model, x=normal(4, 64, scale=scale)).worst_db <= high


def test_what_is_computed_from_sizes_is_not_rounded() -> None:
    model = text(
        """g (float[1,4096] x) => (float[1,4096] y) <int64 one = {1}, int64 zero = {0}, float f = {0.37}> {
            s = Shape(x)
            n = Gather(s, one)
            r = Range(zero, n, one)
            p = Cast <to = 1> (r)
            q = Mul(p, f)
            w = Sin(q)
            y = Add(x, w)
        }"""
    )
    assert predict(model, x=normal(1, 4096)).worst_db > 60


def test_bodies_read_what_half_precision_makes_of_captured_values() -> None:
    model = text(
        """g (float[4] x, bool c) => (float[4] y) {
            s = Mul(x, x)
            y = If(c) <then_branch = t () => (float[4] a) { a = Sqrt(s) },
                       else_branch = e () => (float[4] b) { b = Neg(s) }>
        }"""
    )
    x = np.array([1, 2, 300, 4], np.float32)
    assert predict(model, x=x, c=np.ones((), bool)).worst_db == -math.inf


def test_what_happens_in_a_branch_is_told_of_the_if() -> None:
    """The branch is looked at in the place of its If, with what it captures and one more If inside."""
    model = text(
        """g (float[1,64] x, bool c) => (float[1,64] y) <float k = {300}, float l = {1e-4}> {
            s = Mul(x, k)
            y = If(c) <then_branch = t () => (float[1,64] a) {
                           n = Not(c)
                           a = If(n) <then_branch = u () => (float[1,64] b) { b = Neg(s) },
                                      else_branch = v () => (float[1,64] d) { q = Mul(s, s) r = Sqrt(q) d = Mul(r, l) }>
                       },
                       else_branch = e () => (float[1,64] b) { b = Neg(s) }>
        }"""
    )
    found = predict(model, x=normal(1, 64), c=np.ones((), bool))
    assert found.worst_db == -math.inf
    (culprit,) = culprits(found.view, found)
    assert found.view.nodes[culprit.index].output == ["q"]
    assert found.inside[culprit.index]
    assert found.origins[culprit.index] == 1
    assert predict(model, x=normal(1, 64), c=np.zeros((), bool)).worst_db > 60


@pytest.mark.parametrize(("name", "dtype"), [("double", np.dtype(np.float64)), ("float16", np.dtype(np.float16))])
def test_other_widths_are_float32_before_they_are_rounded(name: str, dtype: np.dtype[Any]) -> None:
    graph = f"g ({name}[4,64] x) => ({name}[4,1] y) {{ y = ReduceLogSumExp <axes = [1]> (x) }}"
    assert predict(text(graph), x=normal(4, 64).astype(dtype)).worst_db > 60
    assert predict(text(graph), x=normal(4, 64, scale=30).astype(dtype)).worst_db < 10


@pytest.mark.parametrize(("op", "gates", "measured"), [("LSTM", 4, 55.6), ("GRU", 3, 55.2), ("RNN", 1, 62.3)])
def test_one_step_of_a_recurrent_layer(op: str, gates: int, measured: float) -> None:
    graph = f"g (float[1,1,64] x) => (float[1,1,1,64] y) {{ y = {op} <hidden_size = 64> (x, w, r) }}"
    model = text(graph)
    for name, seed in (("w", 1), ("r", 2)):
        weight = normal(1, gates * 64, 64, scale=0.3, seed=seed)
        model.graph.initializer.append(numpy_helper.from_array(weight, name))
    assert predict(model, x=normal(1, 1, 64, seed=3)).worst_db == pytest.approx(measured, abs=3)
