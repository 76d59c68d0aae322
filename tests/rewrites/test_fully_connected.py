"""The fully connected rewrite on random heads, on what exporters write, and at its edges."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from evaluation import allowance, assert_agrees, assert_equal, evaluated, feeds_of, measured, reference
from graph_builder import STORAGES, GraphBuilder
from heads import heads, parsed
from hypothesis import given, settings
from onnx import ModelProto, TensorProto
from rewriting import findings, operators, rewritten

from mnncompat.rewrites.fully_connected.fully_connected_to_convolution import FullyConnectedToConvolution
from mnncompat.support.head_form import HeadForm
from mnncompat.support.target import Target

REWRITE = FullyConnectedToConvolution()
SPATIAL = Target("3.6.1", head=HeadForm.SPATIAL)
FLAT = Target("3.6.1", head=HeadForm.FLAT)
FORMS = pytest.mark.parametrize("target", [SPATIAL, FLAT], ids=["spatial", "flat"])
LAYERS = {"Gemm", "MatMul"}
MNN_RELATIVE = 1e-4


def rewritten_head(model: ModelProto, target: Target = SPATIAL) -> ModelProto:
    """The rewritten model, of which no layer is left."""
    _, refusals = findings(REWRITE, model, target)
    assert not refusals, refusals[0].reason
    result = rewritten(REWRITE, model, target)
    assert not LAYERS & set(operators(result))
    return result


# ---- random heads --------------------------------------------------------------------------------------------------


@FORMS
@settings(max_examples=120)
@given(heads())
def test_random_head_is_rewritten_and_equal_within_rounding(target: Target, model: ModelProto) -> None:
    assert_agrees(model, rewritten_head(model, target))


@FORMS
@settings(max_examples=30)
@given(heads(mnn=True))
def test_random_head_is_right_under_mnn(target: Target, model: ModelProto) -> None:
    result = rewritten_head(model, target)
    feeds = feeds_of(model)
    with TemporaryDirectory() as folder:
        outputs = measured(result, feeds, Path(folder))
    for expected, actual in zip(reference(model, feeds), outputs, strict=True):
        assert_equal(model, expected, actual, relative=MNN_RELATIVE)


@settings(max_examples=50)
@given(heads())
def test_comparison_notices_a_result_that_is_one_percent_off(model: ModelProto) -> None:
    feeds = feeds_of(model)[:1]
    (expected,), (outputs,) = reference(model, feeds), evaluated(model, feeds)
    allowed = allowance(model, expected)
    for name, value in outputs.items():
        largest = float(np.abs(value).max())
        if value.dtype.kind != "f" or largest * 0.005 <= allowed[name]:  # ill-conditioned: it proves less
            continue
        for wrong in (value * value.dtype.type(1.01), value + value.dtype.type(largest * 0.01)):
            with pytest.raises(AssertionError, match="apart"):
                assert_equal(model, expected, outputs | {name: wrong})


def test_comparison_of_the_tutorials_head_allows_a_thousandth() -> None:
    model = torchscript(13, "initializer", dynamic=True)
    for expected in reference(model, feeds_of(model)):
        largest = float(np.abs(expected[model.graph.output[0].name]).max())
        assert allowance(model, expected)[model.graph.output[0].name] < 1e-3 * largest


# ---- what exporters write ------------------------------------------------------------------------------------------


def torchscript(opset: int, storage: str, *, dynamic: bool) -> ModelProto:
    """The tutorial's head as the TorchScript exporter writes it."""
    b = GraphBuilder(opset)
    x = b.input(["n" if dynamic else 1, 5, 4, 4])
    if dynamic:
        zero = b.constant(np.array(0, dtype=np.int64), "constant")
        batch = b.over_axes("Unsqueeze", b.node("Gather", b.node("Shape", x), zero, axis=0), [0])
        target = b.node("Concat", batch, b.ints([-1], "constant"), axis=0)
    else:
        target = b.ints([1, -1], "constant")
    flat = b.node("Reshape", x, target, **({"allowzero": 0} if opset >= 14 else {}))
    product = b.node("MatMul", flat, b.constant(b.random(80, 12), storage))
    statistics = [b.constant(values) for values in (*(b.random(12) for _ in range(3)), b.random(12, low=0.5, high=2.0))]
    relu = b.node("Relu", b.node("BatchNormalization", product, *statistics))
    y = b.node("Gemm", relu, b.constant(b.random(10, 12)), b.constant(b.random(10)), alpha=1.0, beta=1.0, transB=1)
    b.output(y, ["n" if dynamic else 1, 10])
    return b.build()


def dynamo(opset: int, *, dynamic: bool) -> ModelProto:
    """The tutorial's head as the torch.export-based exporter writes it."""
    b = GraphBuilder(opset)
    x = b.input(["n" if dynamic else 1, 5, 4, 4])
    flat = b.node("Reshape", x, b.ints([-1, 80] if dynamic else [1, -1]), allowzero=1)
    hidden = b.node("Gemm", flat, b.constant(b.random(12, 80)), b.constant(b.random(12)), transB=1)
    y = b.node("Gemm", b.node("Relu", hidden), b.constant(b.random(10, 12)), b.constant(b.random(10)), transB=1)
    b.output(y, ["n" if dynamic else 1, 10])
    return b.build()


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("opset", range(9, 21))
def test_torchscript_export(opset: int, storage: str, *, dynamic: bool) -> None:
    model = torchscript(opset, storage, dynamic=dynamic)
    result = rewritten_head(model)
    assert operators(result) == ["Conv", "BatchNormalization", "Relu", "Conv", "Flatten"]
    assert_agrees(model, result)


@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("opset", range(16, 23))
def test_dynamo_export(opset: int, *, dynamic: bool) -> None:
    model = dynamo(opset, dynamic=dynamic)
    result = rewritten_head(model)
    assert operators(result) == ["Conv", "Relu", "Conv", "Flatten"]
    assert_agrees(model, result)


# ---- edges ---------------------------------------------------------------------------------------------------------


def test_shared_weight_is_stored_once() -> None:
    model = parsed(
        """(float[N,8] x) => (float[N,8] y, float[N,8] z) {
        a = MatMul(x, w) r = Relu(a) y = MatMul(r, w) n = Neg(x) m = ReduceMax<axes=[1]>(n) d = Sub(n, m)
        z = Gemm(d, w) }""",
        w=(8, 8),
    )
    result = rewritten_head(model)
    assert [list(tensor.dims) for tensor in result.graph.initializer if len(tensor.dims) == 4] == [[8, 8, 1, 1]]
    assert_agrees(model, result)


def test_captured_weight_does_not_stay_behind_in_the_outer_graph() -> None:
    model = parsed(
        """(float[N,8] x, bool flag) => (float[N,4] y) {
        t = Transpose(w)
        y = If(flag) <
            then_branch = then_graph () => (float[N,4] p) { p = MatMul(x, t) },
            else_branch = else_graph () => (float[N,4] q) { e = Gemm(x, t) q = Relu(e) }> }""",
        w=(4, 8),
    )
    result = rewritten_head(model)
    assert [node.op_type for node in result.graph.node] == ["If"]
    assert not result.graph.initializer


@pytest.mark.parametrize("ir_version", [3, 8])
def test_initializers_that_are_inputs_as_well(ir_version: int) -> None:
    b = GraphBuilder(9, ir_version=ir_version)
    y = b.node("Gemm", b.input(["n", 6]), b.constant(b.random(6, 4), "overridable"), b.constant(b.random(4)))
    b.output(y, ["n", 4])
    model = b.build()
    result = rewritten_head(model)
    stored = {tensor.name for tensor in result.graph.initializer}
    assert ir_version > 3 or stored <= {value.name for value in result.graph.input}
    assert_agrees(model, result)


def test_average_and_maximum_of_one_value_are_not_confused() -> None:
    model = parsed(
        """(float[N,3,4,4] x) => (float[N,2] y, float[N,2] z) {
        a = ReduceMean<axes=[2,3], keepdims=0>(x) m = ReduceMax<axes=[2,3], keepdims=0>(x)
        y = Gemm(a, w) z = Gemm(m, w) }""",
        w=(3, 2),
    )
    result = rewritten_head(model)
    assert sorted(operators(result)) == ["Conv", "Conv", "Flatten", "Flatten", "GlobalAveragePool", "GlobalMaxPool"]
    assert_agrees(model, result)


def test_branch_of_one_row_is_broadcast_over_the_batch() -> None:
    model = parsed(
        """(float[1,6] c, float[N,6] x) => (float[N,4] y) {
        a = Gemm(c, w) b = Gemm(x, w) s = Add(a, b) y = Gemm(s, v) }""",
        w=(6, 4),
        v=(4, 4),
    )
    assert_agrees(model, rewritten_head(model))


def test_operator_domain_written_out() -> None:
    model = parsed("(float[N,2,3] x) => (float[N,4] y) { f = Flatten(x) i = Identity(f) y = MatMul(i, w) }", w=(6, 4))
    for node in model.graph.node:
        node.domain = "ai.onnx"
    assert not LAYERS & set(operators(rewritten(REWRITE, model, SPATIAL)))


def test_features_that_only_the_weight_tells() -> None:
    model = parsed(
        """(float[N,8] x) => (float[N,3] y)
        <int64 axis = {1}, int64 two = {2}, int64[1] zero = {0}, int64[1] one = {1}> {
        a = Gemm(x, w1) shape = Shape(a) width = Gather<axis=0>(shape, axis) half = Div(width, two)
        end = Reshape(half, one) s = Slice(a, zero, end, one) y = MatMul(s, w2) }""",
        11,
        w1=(8, 6),
        w2=(3, 3),
    )
    assert_agrees(model, rewritten_head(model))


def test_a_rare_function_of_one_number_may_stand_between_layers() -> None:
    model = parsed(
        "(float[N,2,3,4] x) => (float[N,3] y) { f = Flatten(x) h = MatMul(f, w1) r = Atan(h) y = Gemm(r, w2) }",
        w1=(24, 5),
        w2=(5, 3),
    )
    result = rewritten_head(model)
    assert operators(result) == ["Conv", "Atan", "Conv", "Flatten"]
    assert_agrees(model, result)


def test_other_domain_is_left_alone() -> None:
    model = parsed("(float[N,6] x) => (float[N,4] y) { y = MatMul(x, w) }", w=(6, 4))
    model.graph.node[0].domain = "com.example"
    model.opset_import.add(domain="com.example", version=1)
    assert findings(REWRITE, model, SPATIAL) == ([], [])


def test_note_names_layer_and_kernel() -> None:
    model = parsed(
        """(float[N,2,3,4] x) => (float[N,3] y) { f = Flatten(x) h = MatMul(f, w1) r = Relu(h) y = Gemm(r, w2) }""",
        w1=(24, 5),
        w2=(5, 3),
    )
    (match,), _ = findings(REWRITE, model, SPATIAL)
    assert [message for _, message in match.notes] == [
        "MatMul 24 -> 5 over 2x3x4 can be a 3x4 convolution",
        "Gemm 5 -> 3 can be a 1x1 convolution",
    ]


def test_float16_weights_stay_float16() -> None:
    b = GraphBuilder(13, TensorProto.FLOAT16)
    b.output(b.node("Gemm", b.input(["n", 6]), b.constant(b.random(6, 4)), b.scalar(1.0), alpha=0.5), ["n", 4])
    model = b.build()
    result = rewritten_head(model)
    floating = {tensor.data_type for tensor in result.graph.initializer} - {TensorProto.INT64}
    assert floating == {TensorProto.FLOAT16}
    assert_agrees(model, result)
