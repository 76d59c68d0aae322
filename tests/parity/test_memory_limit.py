"""The memory limit bounds runs at sizes that were chosen, and an allocation that fails is no refusal."""

from __future__ import annotations

import sys
from unittest.mock import patch

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from mnncompat.mnn import Limits
from mnncompat.parity import compare_models, real_data
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.memory import bounded, is_out_of_memory, says_out_of_memory
from mnncompat.parity.outliers import examine
from mnncompat.parity.rounding import Rounding, inconclusive
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.parity.signature import input_signature
from mnncompat.results.failures import Failure, FailureKind, Stage
from mnncompat.results.parity_report import Tolerance

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not bound a process")

EXPANDED = """g (float[n] x) => (float[n] y) {
    shape = Constant <value = int64[2] {200000, 2000}> ()
    zero = Constant <value = float[1] {0}> ()
    large = Expand (zero, shape)
    sum = ReduceSum <keepdims = 0> (large)
    y = Add (x, sum)
}"""
"""Takes 1.6 GB, whatever the size of its input."""


def model_of(text: str) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\n{text}')


def test_a_limit_that_no_size_fits_is_told() -> None:
    model = model_of("g (float[n,100] x) => (float[n,100] y) { y = Relu (x) }")
    report = compare_models(model, model, memory=100)
    assert not report.passed
    assert report.failures[0].failure.kind is FailureKind.MEMORY
    assert "--memory-limit" in report.problems[0]
    assert compare_models(model, model, memory=10_000_000).passed


@linux
def test_an_allocation_beyond_the_bound_fails_and_is_told_apart() -> None:
    runner = OnnxRuntimeRunner(model_of(EXPANDED))
    runner.load()
    with bounded(500_000_000):
        found = runner.run([{"x": np.ones(1, np.float32)}])
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.MEMORY
    assert is_out_of_memory(found)
    assert "ran out of memory" in found.message
    assert found.words


ATTENTION = """g (float[b,3,h,w] x) => (float[b,p,p] y)
<int64[3] flat = {0, 3, -1}> {
    rows = Reshape (x, flat)
    columns = Transpose <perm = [0, 2, 1]> (rows)
    scores = MatMul (columns, rows)
    y = Softmax <axis = -1> (scores)
}"""
"""Every pixel looks at every other: 302 MB at 64 x 96."""


def test_the_first_sizes_take_little_where_the_graph_allows_it() -> None:
    model = model_of(ATTENTION)
    planner = InputPlanner(model, input_signature(model), {}, {}, seed=0, memory=1_500_000_000)
    sizes = [plan.sizes for plan in planner.plans()]
    pixels = [each["h"] * each["w"] for each in sizes]
    assert pixels[0] <= 64 * 96 / 3
    assert {"b": 1, "h": 64, "w": 96} in sizes


def test_the_first_sizes_are_the_preferred_ones_where_all_take_much() -> None:
    model = model_of("g (float[n,8] x) => (float[n,8] y) { y = Relu (x) }")
    model.graph.node.add(op_type="MatMul", input=["weights", "weights"], output=["more"])
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((8000, 8000), np.float32), "weights"))
    planner = InputPlanner(model, input_signature(model), {}, {}, seed=0, memory=1_500_000_000)
    assert next(planner.plans()).sizes == {"n": 1}


def test_outputs_do_not_keep_the_memory_of_the_session() -> None:
    runner = OnnxRuntimeRunner(model_of("g (float[n] x) => (float[n] y) { y = Relu (x) }"))
    found = runner.run([{"x": np.ones(4, np.float32)}])
    assert not isinstance(found, Failure)
    assert all(each.flags.owndata for outputs in found for each in outputs.values())


def test_want_of_memory_for_the_noise_is_told() -> None:
    model = model_of("g (float[n] x) => (float[n] y) { y = Exp (x) }")
    rounding = Rounding(lambda: model)
    feed = NamedFeeds(name="normal", arrays={"x": np.ones(4, np.float32)})
    failure = Failure(kind=FailureKind.MEMORY, stage=Stage.RUN, message="no memory", words="")
    wanted, found = np.full(4, np.e, np.float32), np.full(4, 3.0, np.float32)
    tolerance = Tolerance(rtol=1e-3, atol=1e-6)
    (draw,) = examine([wanted], [found], ["normal"], tolerance)
    with patch.object(OnnxRuntimeRunner, "run", return_value=failure):
        (comparison,), notes = inconclusive(rounding, [feed], "y", [draw], tolerance)
    assert not comparison.passed
    assert len(notes) == 1
    assert "--memory-limit" in notes[0]


def test_data_of_the_user_are_run_whatever_the_limit() -> None:
    model = model_of("g (float[n,100] x) => (float[n,100] y) { y = Relu (x) }")
    data = real_data({"x": np.ones((2, 100), np.float32)}, only=True)
    assert compare_models(model, model, inputs=data, memory=100).passed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Failed to allocate memory for requested buffer of size 16", True),
        ("std::bad_alloc", True),
        ("bad allocation", True),
        ("MemoryError", True),
        ("Got invalid dimensions for input: x", False),
        ("", False),
    ],
)
def test_words_about_memory(words: str, expected: bool) -> None:  # noqa: FBT001 - a row of the table
    assert says_out_of_memory(words) is expected


def test_mnn_never_gets_less_than_by_default() -> None:
    default = Limits()
    assert default.with_memory(None) == default
    assert default.with_memory(1000) == default
    assert default.with_memory(1 << 40).memory_bytes == 1 << 40
