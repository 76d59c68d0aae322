"""The proof of a fix of a large model runs what both models have in common but once, and judges as if it ran both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, parser

from mnncompat.graph import model_file, wire_format
from mnncompat.graph.model_file import Model, load
from mnncompat.parity import compare_models, shared_nodes
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.shared_nodes import sharing, split

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
ORIGINAL = """agraph (float[2,32] x, bool[1] flag) => (float[2,32] middle, float[2,32] y)
<float[32,32] w = {0.5}, float[32] b = {1.0}>
{
    product = MatMul(x, w)
    middle = Relu(product)
    y = Elu(middle)
}"""
REWRITTEN = {
    "the last node": ORIGINAL.replace("y = Elu(middle)", "more = Elu(middle)\n y = Identity(more)"),
    "the middle": ORIGINAL.replace(
        "middle = Relu(product)", "zero = Sub(product, product) middle = Max(product, zero)"
    ),
    "a branch that captures": ORIGINAL.replace(
        "y = Elu(middle)",
        """y = If(flag) <then_branch = a () => (float[2,32] one) { one = Elu(middle) },
        else_branch = b () => (float[2,32] two) { two = Elu(middle) }>""",
    ),
    "one that is wrong": ORIGINAL.replace("y = Elu(middle)", "more = Elu(middle) y = Add(more, b)"),
}
FEEDS = [
    {"x": np.random.default_rng(seed).standard_normal((2, 32)).astype(np.float32), "flag": np.array([bool(seed)])}
    for seed in range(2)
]


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "LEAST_LAZY_BYTES", 1)
    monkeypatch.setattr(wire_format, "LEAST_HELD_BYTES", 512)


def model(text: str) -> ModelProto:
    found = parser.parse_model(HEAD + text)
    weights = np.random.default_rng(5).standard_normal((32, 32)).astype(np.float32)
    found.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
    found.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.ones(32, np.float32), "b"))
    return found


@pytest.fixture
def original(tmp_path: Path) -> Model:
    onnx.save(model(ORIGINAL), tmp_path / "model.onnx")
    return load(tmp_path / "model.onnx")


def changed(original: Model, text: str) -> ModelProto:
    """A rewritten model that refers to the weights in the original's file."""
    found = model(text)
    del found.graph.initializer[:]
    found.graph.initializer.extend(original.skeleton.graph.initializer)
    return found


@pytest.mark.parametrize("case", REWRITTEN)
def test_both_sides_give_what_they_give_alone(case: str, original: Model) -> None:
    rewritten = changed(original, REWRITTEN[case])
    alone = [OnnxRunner(each) for each in (original.skeleton, rewritten)]
    together = sharing(original.skeleton, rewritten, *alone)
    assert together.reference is not alone[0]
    for one, other in zip(together, alone, strict=True):
        found, wanted = one.run(FEEDS), other.run(FEEDS)
        assert isinstance(found, list)
        assert isinstance(wanted, list)
        for values, expected in zip(found, wanted, strict=True):
            assert values.keys() == expected.keys()
            assert all(np.array_equal(values[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("case", "taps", "ops"),
    [
        ("the last node", ("middle",), ["Elu", "Identity"]),
        ("the middle", ("product",), ["Sub", "Max", "Elu"]),
        ("a branch that captures", ("middle",), ["If"]),
        ("one that is wrong", ("middle",), ["Elu", "Add"]),
    ],
)
def test_the_changed_part_is_all_that_is_run(case: str, taps: tuple[str, ...], ops: list[str], original: Model) -> None:
    found = split(original.skeleton, changed(original, REWRITTEN[case]))
    assert found is not None
    assert found.taps == taps
    assert [node.op_type for node in found.rest.graph.node] == ops


def test_a_wrong_rewrite_is_found(original: Model) -> None:
    right = compare_models(original.skeleton, changed(original, REWRITTEN["the middle"]))
    wrong = compare_models(original.skeleton, changed(original, REWRITTEN["one that is wrong"]))
    assert right.passed
    assert wrong.differs
    assert [each.name for each in wrong.outputs if not each.passed] == ["y"]


def test_nothing_is_shared_where_other_weights_or_operators_are_meant(original: Model) -> None:
    other = changed(original, ORIGINAL)
    other.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.zeros((32, 32), np.float32), "w"))
    assert split(original.skeleton, other) is None
    newer = changed(original, REWRITTEN["the last node"])
    newer.opset_import[0].version = 18
    assert split(original.skeleton, newer) is None


@pytest.mark.parametrize("broken", ["rest", "memory"])
def test_the_whole_model_is_run_where_its_part_cannot_be(
    broken: str, original: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten = changed(original, REWRITTEN["the last node"])
    if broken == "memory":
        monkeypatch.setattr(shared_nodes, "_MOST_BYTES", 1)
    else:
        monkeypatch.setattr(shared_nodes, "_declared", lambda found, _values: found.rest)
    together = sharing(original.skeleton, rewritten, *(OnnxRunner(each) for each in (original.skeleton, rewritten)))
    first, second = (each.run(FEEDS) for each in together)
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert np.array_equal(first[1]["y"], second[1]["y"])


def test_a_rewritten_model_that_does_not_load_is_a_failure(original: Model) -> None:
    rewritten = changed(original, REWRITTEN["the last node"])
    node = rewritten.graph.node.add(op_type="Nonesuch", input=["x"], output=["unread"], domain="no.such.domain")
    rewritten.opset_import.add(domain="no.such.domain", version=1)
    other = Model(original.skeleton)
    other.skeleton.opset_import.add(domain="no.such.domain", version=1)
    report = compare_models(other.skeleton, rewritten)
    assert not report.passed
    assert node.op_type in report.problems[0]
