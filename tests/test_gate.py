"""The conversion pipeline: it publishes proven files, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import head, model_of
from onnx import ModelProto, TensorProto, helper

from mnncompat import convert, verify
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity import Tolerance
from mnncompat.results.failures import FailureKind


def softmax_of_old() -> ModelProto:
    """Softmax without an axis below opset 13: MNN normalises another axis."""
    return model_of([helper.make_node("Softmax", ["x"], ["y"])], {"x": [2, 3, 4]}, {"y": [2, 3, 4]}, {}, opset=11)


def hardmax() -> ModelProto:
    return model_of([helper.make_node("Hardmax", ["x"], ["y"])], {"x": [2, 8]}, {"y": [2, 8]}, {})


def pool_without_strides() -> ModelProto:
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])
    return model_of([node], {"x": [1, 3, 8, 8]}, {"y": [1, 3, 7, 7]}, {})


@pytest.mark.parametrize("out", ["model.mnn", None])
def test_a_model_that_is_right(out: str | None, tmp_path: Path) -> None:
    result = convert(head(), None if out is None else tmp_path / out)
    assert result.verdict == "converted"
    assert result.parity is not None
    assert result.parity.passed
    assert result.fix is not None
    assert result.fix.changed
    assert result.ops["Convolution"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ([out] if out else [])
    if out:
        assert result.bytes == (tmp_path / out).stat().st_size
        assert not verify(head(), tmp_path / out).passed  # the same architecture with other weights


@pytest.mark.parametrize(
    ("build", "verdict", "kind"),
    [
        (softmax_of_old, "not-equal", None),
        (hardmax, "not-converted", FailureKind.REFUSED),
        (pool_without_strides, "not-equal", FailureKind.CRASH),
    ],
)
def test_a_model_that_is_wrong(build: Any, verdict: str, kind: FailureKind | None, tmp_path: Path) -> None:
    out = tmp_path / "model.mnn"
    out.write_bytes(b"an earlier file")
    result = convert(build(), out, rewrite=False)
    assert result.verdict == verdict
    assert result.out is None
    failures = (
        [result.failure] if result.failure else [f.failure for f in (result.parity.failures if result.parity else ())]
    )
    assert [each.kind for each in failures] == ([kind] if kind else [])
    assert out.read_bytes() == b"an earlier file"
    assert [path.name for path in tmp_path.iterdir()] == ["model.mnn"]


def test_without_its_rounding_a_quantised_model_is_proven_against_what_is_left(tmp_path: Path) -> None:
    pair = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Tanh", ["d"], ["y"]),
    ]
    weights: dict[str, np.ndarray] = {"s": np.asarray(0.1, np.float32), "z": np.asarray(3, np.int8)}
    model = model_of(pair, {"x": [4, 60]}, {"y": [4, 60]}, weights)
    as_defined, without = convert(model, None), convert(model, tmp_path / "out.mnn", unsafe=True)
    assert (as_defined.verdict, without.verdict) == ("converted", "converted")
    assert as_defined.ops.keys() >= {"BinaryOp"}
    assert "BinaryOp" not in without.ops
    assert verify(model, tmp_path / "out.mnn").passed is False  # it is another model, and told to be
    assert without.fix is not None
    assert without.fix.approximated is not None
    assert verify(without.fix.approximated.proto, tmp_path / "out.mnn").passed


@pytest.mark.parametrize("build", [softmax_of_old, hardmax, pool_without_strides])
def test_the_same_model_fixed_is_right(build: Any, tmp_path: Path) -> None:
    result = convert(build(), tmp_path / "model.mnn")
    assert result.verdict == "converted"
    assert result.fix is not None
    assert result.fix.proven


def test_without_rewrites(tmp_path: Path) -> None:
    result = convert(head(), tmp_path / "model.mnn", rewrite=False)
    assert result.verdict == "converted"
    assert result.fix is None


@pytest.mark.parametrize("options", [ConvertOptions(fp16=True), ConvertOptions(weight_bits=8)])
def test_rounded_weights(options: ConvertOptions, tutorial: Path, tmp_path: Path) -> None:
    assert convert(tutorial, tmp_path / "model.mnn", options=options).verdict == "converted"


@pytest.mark.parametrize("options", [ConvertOptions(fp16=True), ConvertOptions(weight_bits=8)])
def test_rounded_weights_do_not_excuse_a_wrong_operator(options: ConvertOptions, tmp_path: Path) -> None:
    """Whatever the tolerance for rounded weights: with full weights the file must be right."""
    anything = Tolerance(rtol=1e9, atol=1e9)
    result = convert(softmax_of_old(), tmp_path / "model.mnn", options=options, tolerance=anything, rewrite=False)
    assert result.verdict == "not-equal"
    assert list(tmp_path.iterdir()) == []


def test_a_time_limit(tmp_path: Path) -> None:
    result = convert(head(), tmp_path / "model.mnn", limits=Limits(seconds=0.01))
    assert result.verdict == "not-converted"
    assert result.failure is not None
    assert result.failure.kind is FailureKind.HANG


def test_a_model_that_onnx_runtime_cannot_run_is_not_published(tmp_path: Path) -> None:
    model = model_of([helper.make_node("Thing", ["x"], ["y"], domain="my")], {"x": [2]}, {"y": [2]}, {})
    model.opset_import.append(helper.make_opsetid("my", 1))
    result = convert(model, tmp_path / "model.mnn")
    assert result.verdict in ("not-converted", "not-equal")
    assert list(tmp_path.iterdir()) == []


def test_a_scalar_and_integers(tmp_path: Path) -> None:
    nodes = [helper.make_node("Cast", ["n"], ["f"], to=TensorProto.FLOAT), helper.make_node("Mul", ["x", "f"], ["y"])]
    model = model_of(nodes, {"x": [2, 3]}, {"y": [2, 3]}, {})
    model.graph.input.append(helper.make_tensor_value_info("n", TensorProto.INT64, []))
    result = convert(model, tmp_path / "model.mnn", inputs={"n": np.array(3, dtype=np.int64)})
    assert result.verdict == "converted", result.parity


def largest(op: str, outputs: list[str]) -> ModelProto:
    nodes = [helper.make_node(op, ["x"], ["h"]), helper.make_node("TopK", ["h", "k"], ["v", "i"])]
    given = {name: {"v": TensorProto.FLOAT, "i": TensorProto.INT64}[name] for name in outputs}
    graph = helper.make_graph(
        nodes,
        "largest",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 100])],
        [helper.make_tensor_value_info(name, kind, [2, 5]) for name, kind in given.items()],
        [helper.make_tensor("k", TensorProto.INT64, [1], [5])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_equal_numbers_in_another_order_are_told_apart_from_what_is_wrong() -> None:
    model = largest("Neg", ["v", "i"])
    tied = convert(model, None)
    assert tied.verdict == "not-equal"
    assert "--data-only" in tied.hint
    real = np.random.default_rng(0).standard_normal((2, 100)).astype(np.float32)
    assert convert(model, None, inputs={"x": real}).verdict == "not-equal"  # zeros are drawn beside the data
    assert convert(model, None, inputs={"x": real}, data_only=True).verdict == "converted"
    assert convert(largest("Neg", ["v"]), None).verdict == "converted"
    other = convert(largest("Relu", ["v", "i"]), None)  # equal numbers in another draw too
    assert other.verdict == "not-equal"
    assert not other.hint
