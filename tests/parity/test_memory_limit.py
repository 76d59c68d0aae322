"""The memory limit bounds runs at sizes that were chosen, and an allocation that fails is no refusal."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest
from onnx import parser

from mnncompat.mnn import Limits
from mnncompat.parity import compare_models, real_data
from mnncompat.parity.memory import bounded, is_out_of_memory, says_out_of_memory
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.results.failures import Failure, FailureKind

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
