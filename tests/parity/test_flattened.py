"""Classes that a function flattens in every draw are judged before it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper, parser

from mnncompat import mnn
from mnncompat.graph.model_file import Model
from mnncompat.inference.model_view import view_model
from mnncompat.parity import FLOAT32, verify
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.power.faulty_model import FaultyModel
from mnncompat.parity.power.flattened import Flattened, differences, flattened
from mnncompat.parity.power.saturation import saturating
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.scores import ScoringRunner
from mnncompat.results.failures import Failure, FailureKind, Stage

WEIGHT = np.random.default_rng(3).standard_normal((4, 8, 1, 1)).astype(np.float32)
DEAD = 2
FUNCTIONS = {
    "Sigmoid": ("y = Sigmoid(v)", 60.0),
    "Tanh": ("y = Tanh(v)", -60.0),
    "HardSigmoid": ("y = HardSigmoid<alpha=0.2, beta=0.5>(v)", 60.0),
    "Softmax": ("y = Softmax<axis=1>(v)", -200.0),
}


def classifier(function: str, weight: np.ndarray = WEIGHT, shift: float = 0.0) -> ModelProto:
    """A classifier of which one class is saturated whatever it sees."""
    text, bias = FUNCTIONS[function]
    head = '<ir_version: 8, opset_import: ["": 17]> g (float[1,8,2,2] x) => (float[1,4,2,2] y)'
    proto = parser.parse_model(f"{head} {{ v = Conv(x, w, b) {text} }}")
    biases = np.zeros(4, np.float32)
    biases[DEAD] = bias + shift
    proto.graph.initializer.extend([numpy_helper.from_array(weight, "w"), numpy_helper.from_array(biases, "b")])
    return proto


def converted(proto: ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(proto, path)
    found = mnn.convert(path, folder / "model.mnn", options=mnn.ConvertOptions(), limits=mnn.Limits())
    assert not isinstance(found, Failure)
    return found.path


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_wrong_class_that_is_saturated_is_noticed(function: str, tmp_path: Path) -> None:
    original = classifier(function)
    assert verify(original, converted(original, tmp_path)).passed
    wrong = WEIGHT.copy()
    wrong[DEAD] *= 1.1
    file = converted(classifier(function, wrong), tmp_path)
    without_power = verify(original, file, power=False)
    report = verify(original, file)
    assert without_power.power is None
    assert without_power.problems == report.problems
    assert report.power is not None
    assert report.power.remembered
    (problem,) = report.problems
    assert "1 of 4 slices along axis 1, saturated in every draw, are wrong before" in problem
    assert f"{function} ('v'): number {DEAD} is off by" in problem


def test_a_wrong_bias_of_a_saturated_class_is_noticed(tmp_path: Path) -> None:
    file = converted(classifier("Sigmoid", shift=-1.0), tmp_path)
    assert not verify(classifier("Sigmoid"), file).passed


def test_only_classes_that_no_draw_brings_to_life_are_judged_before() -> None:
    alive, dead = (found(classifier("Sigmoid", shift=shift)) for shift in (-60.0, 0.0))
    assert alive == []
    (one,) = dead
    assert (one.output, one.function, one.value, one.slices) == ("y", "Sigmoid", "v", {1: [DEAD]})


def found(proto: ModelProto) -> list[Flattened]:
    feeds = [
        NamedFeeds(name=str(scale), arrays={"x": np.full((1, 8, 2, 2), scale, np.float32)}) for scale in (-1, 0.5, 2)
    ]
    outputs = OnnxRunner(proto).run([feed.arrays for feed in feeds])
    assert not isinstance(outputs, Failure)
    with closing(FaultyModel(proto)) as faulty:
        return list(flattened(faulty, feeds, outputs, {"y": FLOAT32}))


def flat(expected: np.ndarray, **slices: list[int]) -> Flattened:
    return Flattened("y", "Sigmoid", "v", expected, {int(axis[1:]): each for axis, each in slices.items()})


def test_what_counts_as_a_difference() -> None:
    expected = np.full((1, 3, 4), 40, np.float32)
    expected[0, 2] = [-np.inf, 50, 60, 70]
    case = flat(expected, a1=[0, 2])
    actual = expected.copy()
    actual[0, 1] = 7  # alive: judged by the output
    actual[0, 0] += 0.02
    actual[0, 2, 0] = -np.inf
    assert list(differences(case, actual)) == []
    actual[0, 0] += 0.1
    (told,) = differences(case, actual)
    assert told == (
        "1 of 3 slices along axis 1, saturated in every draw, are wrong before Sigmoid ('v'): number 0 is off by 0.12 "
        "where its RMS is 40"
    )
    for strange in (np.nan, np.inf, 3.0):
        actual = expected.copy()
        actual[0, 2, 0] = strange
        (told,) = differences(case, actual)
        assert "number 2 is off by inf" in told


@pytest.mark.parametrize(
    ("text", "opset", "expected"),
    [
        ("y = Softmax<axis=1>(v)", 17, 1),
        ("y = Softmax<axis=1>(v)", 11, 4),
        ("y = Softmax(v)", 17, 4),
        ("y = Sigmoid(v)", 17, 0),
        ("y = Relu(v)", 17, 0),
        ("y = Elu<alpha=1.5>(v)", 17, 0),
        ("y = HardSwish(v)", 17, 0),
        ("y = Softplus(v)", 17, 0),
        ("y = Softsign(v)", 17, 0),
        ("lo = Constant<value_float=-0.4>() y = Max(v, lo)", 17, 0),
        ("y = Clip<min=-0.5, max=0.5>(v)", 9, 0),
    ],
)
def test_results_and_slopes(text: str, opset: int, expected: int) -> None:
    """The sums of a Softmax are 1 along one axis, or along all from one on in old opsets: there are so many ones."""
    head = f'<ir_version: 8, opset_import: ["": {opset}]> g (float[4,1,2] x) => (float[4,1,2] y)'
    view = view_model(Model(proto=parser.parse_model(f"{head} {{ v = Neg(x) {text} }}"))).main
    goal = saturating(view, "y")
    assert goal is not None
    assert goal.slope is not None
    value = np.random.default_rng(0).standard_normal((4, 1, 2))
    result, slope = goal.slope(value)
    small = 1e-6
    for place in np.ndindex(value.shape):
        moved = value.copy()
        moved[place] += small
        assert (goal.slope(moved)[0][place] - result[place]) / small == pytest.approx(slope[place], abs=1e-5)
    if expected:
        assert result.sum() == pytest.approx({1: 8, 4: 4}[expected])


def test_a_failure_inside_takes_no_output_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = converted(classifier("Sigmoid"), tmp_path)
    subject = ScoringRunner(file, outputs=["y"], scores=(), limits=mnn.Limits())
    feed = {"x": np.ones((1, 8, 2, 2), np.float32)}
    subject.ask(["v", "not there"])
    found = subject.run([feed, feed])
    assert not isinstance(found, Failure)
    assert [sorted(each) for each in found] == [["v", "y"], ["y"]]
    np.testing.assert_allclose(1 / (1 + np.exp(-found[0]["v"])), found[0]["y"], atol=1e-6)
    real = mnn.run

    def failing(*arguments: object, **options: object) -> mnn.Ran | Failure:
        if options["inner"]:
            return Failure(kind=FailureKind.CRASH, stage=Stage.INNER, message="SIGSEGV")
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(mnn, "run", failing)
    again = subject.run([feed, feed])
    assert not isinstance(again, Failure)
    assert [sorted(each) for each in again] == [["y"], ["y"]]


def test_another_tensor_of_that_name_is_not_compared(tmp_path: Path) -> None:
    original = classifier("Sigmoid")
    other = classifier("Sigmoid")
    other.graph.node[0].output[0] = other.graph.node[1].input[0] = "u"
    other.graph.node.append(helper.make_node("ReduceMean", ["u"], ["v"], axes=[1]))
    other.graph.output.append(helper.make_tensor_value_info("v", onnx.TensorProto.FLOAT, None))
    assert verify(original, converted(other, tmp_path)).passed
