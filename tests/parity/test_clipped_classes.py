"""Classes that are clipped in every draw: searched for, compared before the function, or named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper, parser

from mnncompat import mnn
from mnncompat.parity import FLOAT32, verify
from mnncompat.parity.power.clipped_classes import FlatClasses, clipped_outputs, flat_classes, unproven
from mnncompat.parity.power.flattened import Flattened
from mnncompat.results.failures import Failure
from mnncompat.results.proof_strength import ProofVerdict

WEIGHT = np.random.default_rng(3).standard_normal((4, 8, 1, 1)).astype(np.float32)
DEAD = 2
SHAPE = "float[1,4,2,2] y"


def classifier(functions: str, bias: float, weight: np.ndarray = WEIGHT, result: str = SHAPE) -> ModelProto:
    """A classifier of which one class is clipped on ordinary inputs."""
    head = f'<ir_version: 8, opset_import: ["": 17]> g (float[1,8,2,2] x) => ({result})'
    proto = parser.parse_model(f"{head} {{ v = Conv(x, w, b) {functions} }}")
    biases = np.zeros(4, np.float32)
    biases[DEAD] = bias
    limits = {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
    for name, array in {"w": weight, "b": biases, **limits}.items():
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return proto


def converted(proto: ModelProto, folder: Path) -> Path:
    onnx.save(proto, folder / "model.onnx")
    found = mnn.convert(folder / "model.onnx", folder / "model.mnn", options=mnn.ConvertOptions(), limits=mnn.Limits())
    assert not isinstance(found, Failure)
    return found.path


def wrong_weight() -> np.ndarray:
    wrong = WEIGHT.copy()
    wrong[DEAD] *= 1.1
    return wrong


@pytest.mark.parametrize(
    ("functions", "bias"),
    [("y = Relu(v)", -6000.0), ("y = Clip(v, low, high)", 60.0)],
    ids=["Relu", "Clip"],
)
def test_inputs_on_which_a_clipped_class_moves_are_found(functions: str, bias: float, tmp_path: Path) -> None:
    """MNN's converter merges a rectifier into the convolution, so that what comes before cannot be compared."""
    original = classifier(functions, bias)
    right = verify(original, converted(original, tmp_path))
    assert right.verdict is ProofVerdict.EQUAL
    assert right.draws[-1] == "searched"
    report = verify(original, converted(classifier(functions, bias, wrong_weight()), tmp_path))
    assert report.verdict is ProofVerdict.DIFFERENT
    assert any("searched" in each for each in report.problems)


def test_a_clipped_class_that_nothing_shows_is_named_and_counts(tmp_path: Path) -> None:
    functions = "u = Relu(v) y = GlobalAveragePool(u)"
    original = classifier(functions, -1e9, result="float[1,4,1,1] y")
    wrong = classifier(functions, -1e9, wrong_weight(), "float[1,4,1,1] y")
    report = verify(original, converted(wrong, tmp_path))
    assert report.passed
    assert report.verdict is ProofVerdict.NOT_PROVEN
    assert report.power is not None
    assert report.power.silent == ("class 2 of output 'y' (clipped in every draw)",)
    again = verify(original, converted(wrong, tmp_path))
    assert again.power is not None
    assert (again.power.remembered, again.power.silent) == (True, report.power.silent)


def perceptron(weights: np.ndarray, bias: float, function: str) -> ModelProto:
    head = '<ir_version: 8, opset_import: ["": 17]> g (float[1,8] x) => (float[1,4] y)'
    proto = parser.parse_model(f"{head} {{ v = Gemm<transB=1>(x, w, b) {function} }}")
    arrays = {"w": weights[:, :, 0, 0], "b": np.array([0, 0, bias, 0], np.float32)}
    for name, array in {**arrays, "low": np.array(0, np.float32), "high": np.array(6, np.float32)}.items():
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return proto


@pytest.mark.parametrize("function", ["y = Clip(v, low, high)", "y = Sigmoid(v)"])
def test_a_tensor_of_that_name_from_behind_the_function_is_not_compared(function: str, tmp_path: Path) -> None:
    """MNN writes Gemm as a convolution of images, into which it merges the Clip, and reshapes behind the Sigmoid."""
    original = perceptron(WEIGHT, 60.0, function)
    right = verify(original, converted(original, tmp_path))
    assert right.verdict is ProofVerdict.EQUAL
    assert right.draws[-1].startswith("searched")
    report = verify(original, converted(perceptron(wrong_weight(), 60.0, function), tmp_path))
    assert report.verdict is ProofVerdict.DIFFERENT


def test_what_is_wrong_before_a_function_is_different_not_merely_unproven(tmp_path: Path) -> None:
    original = classifier("y = Sigmoid(v)", 60.0)
    report = verify(original, converted(classifier("y = Sigmoid(v)", 60.0, wrong_weight()), tmp_path))
    assert report.verdict is ProofVerdict.DIFFERENT
    assert not report.is_accepted(["not-proven"])


def test_without_planted_faults_saturated_classes_are_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    original = classifier("y = Sigmoid(v)", 60.0)
    file = converted(classifier("y = Sigmoid(v)", 60.0, wrong_weight()), tmp_path)
    first = verify(original, file, power=False)
    monkeypatch.setattr("mnncompat.parity.power.analysis.FaultyModel", None)  # it would be called
    assert verify(original, file, power=False).problems == first.problems != ()
    plain = classifier("y = Neg(v)", 0.0)
    assert verify(plain, converted(plain, tmp_path), power=False).passed


def outputs(*values: Sequence[Sequence[float]]) -> tuple[list[dict[str, np.ndarray]], list[str]]:
    return [{"y": np.array(each, np.float32)} for each in values], [str(place) for place in range(len(values))]


def test_which_classes_are_flat() -> None:
    first = [[0, 0.5, 6, 0, 2], [0.0, 0, 0, 0, 2]]
    second = [[0, 0.7, 6, 1e-12, 2], [0.0, 3, 6, 0, 1]]
    (found,) = flat_classes(*outputs(first, second), {"y": FLOAT32}, set())
    assert found == FlatClasses("y", 1, (0, 2, 3), 5)
    assert found.label == "classes 0, 2, 3 of output 'y' (clipped in every draw)"
    assert flat_classes(*outputs(first, second), {"y": FLOAT32}, {("0", "y"), ("1", "y")}) == []
    (found,) = flat_classes(*outputs(first, second, [[0, 0, 3, 0, 0], [1, 0, 0, 0, 0]]), {"y": FLOAT32}, set())
    assert found.indices == (3,)


def test_an_output_that_is_dead_as_a_whole_or_has_too_few_numbers_has_no_flat_classes() -> None:
    assert flat_classes(*outputs([[0, 0], [0, 0]], [[0, 0], [0, 0]]), {"y": FLOAT32}, set()) == []
    assert flat_classes(*outputs([[0, 1]], [[0, 2]]), {"y": FLOAT32}, set()) == []
    strange = flat_classes(*outputs([[np.nan, 1], [np.nan, 2]], [[np.nan, 3], [0, 4]]), {"y": FLOAT32}, set())
    assert strange == []


def test_only_what_is_not_compared_before_the_function_is_left() -> None:
    classes = [FlatClasses("y", 1, (0, 2), 3), FlatClasses("y", 2, (1,), 4), FlatClasses("z", 1, (1,), 3)]
    compared = Flattened("y", "Sigmoid", "v", np.zeros((1, 3, 4), np.float32), {1: [2]})
    assert unproven(classes, [compared]) == [classes[0]._replace(indices=(0,)), classes[2]]


CLIPPED = (
    "y = Relu(x)",
    "u = Min(x, c) v = MaxPool<kernel_shape=[1,1]>(u) y = Add(v, c)",
    "u = Sigmoid(x) y = Concat<axis=1>(u, c)",
)
NOT_CLIPPED = ("u = Relu(x) v = Neg(x) y = Mul(u, v)", "u = Relu(x) y = Conv(u, c)", "y = Softmax(x)")


@pytest.mark.parametrize("text", CLIPPED + NOT_CLIPPED)
def test_which_outputs_are_clipped(text: str) -> None:
    head = '<ir_version: 8, opset_import: ["": 17]> g (float[1,1,2,2] x) => (float[1,1,2,2] y) <float[1,1,1,1] c = {1}>'
    proto = parser.parse_model(f"{head} {{ {text} }}")
    assert clipped_outputs(proto, ["y"]) == (frozenset("y") if text in CLIPPED else frozenset())
