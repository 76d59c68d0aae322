"""A sample is inconclusive where rounding alone explains the difference, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper, parser

from mnncompat import convert, mnn
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity import FLOAT32, Tolerance, verify
from mnncompat.parity.blurred_model import NOISE, blur
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.judge import Judge
from mnncompat.parity.outliers import examine
from mnncompat.parity.rounding import Rounding, inconclusive
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.results.parity_report import Comparison

LIMITS = Limits(seconds=60, memory_bytes=2 << 30)
KEYPOINTS = """g (float[N,3,24,24] x) => (int64[N,5] place) <int64[3] s = {0, 5, 576}> {
    a = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1) r = Relu(a)
    c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(r, w2, b2) f = Reshape(c, s)
    place = ArgMax<axis=2, keepdims=0>(f) }"""
NORMS = """g (float[1,3,20,20] x) => (float[1,8,14,14] y) {
    a = Conv<kernel_shape=[3,3]>(x, w1, b1) b = InstanceNormalization(a, one, nil)
    c = Conv<kernel_shape=[3,3]>(b, w2, b2) d = InstanceNormalization(c, one, nil)
    e = Conv<kernel_shape=[3,3]>(d, w2, b2) y = InstanceNormalization(e, one, nil) }"""
TIES = "g (float[4,32] x) => (int64[4,1] y) { y = ArgMax<axis=1, select_last_index=1>(x) }"


def model_of(text: str, **weights: np.ndarray) -> ModelProto:
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text}')
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(each, np.float32), name) for name, each in weights.items()
    )
    return model


def keypoints() -> ModelProto:
    draws = np.random.default_rng(3)
    weights = {"w1": (16, 3, 3, 3), "b1": (16,), "w2": (5, 16, 3, 3), "b2": (5,)}
    return model_of(KEYPOINTS, **{name: draws.standard_normal(shape) / 5 for name, shape in weights.items()})


def norms() -> ModelProto:
    draws = np.random.default_rng(4)
    weights = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 8, 3, 3), "b2": (8,)}
    drawn = {name: draws.standard_normal(shape) / 5 for name, shape in weights.items()}
    return model_of(NORMS, **drawn, one=np.ones(8), nil=np.zeros(8))


@pytest.mark.parametrize("build", [keypoints, norms])
def test_what_is_right_but_for_rounding_converts_and_says_so(build: object) -> None:
    result = convert(keypoints() if build is keypoints else norms(), None)
    assert result.verdict == "converted", result.parity
    assert result.parity is not None
    for output in result.parity.outputs:
        assert {each.draw for each in output.comparisons if each.inconclusive} <= {"zeros"}
    noted = [note for note in result.parity.notes if "inconclusive" in note]
    assert len(noted) == sum(each.inconclusive for output in result.parity.outputs for each in output.comparisons)


def test_another_model_is_not_excused_by_rounding(tmp_path: Path) -> None:
    """Its draws of constant images are inconclusive at most; the others are proof."""
    onnx.save(keypoints(), tmp_path / "model.onnx")
    wrong = keypoints()
    weight = next(each for each in wrong.graph.initializer if each.name == "w2")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[::-1].copy(), "w2"))
    onnx.save(wrong, tmp_path / "wrong.onnx")
    done = mnn.convert(tmp_path / "wrong.onnx", tmp_path / "wrong.mnn", options=ConvertOptions(), limits=LIMITS)
    assert isinstance(done, mnn.Converted)
    report = verify(tmp_path / "model.onnx", done.path, limits=LIMITS)
    assert not report.passed
    assert {each.split(":")[0] for each in report.outputs[0].problems} >= {"normal", "uniform", "negative"}


def test_ties_of_the_inputs_themselves_are_no_rounding() -> None:
    """MNN takes the first of equal elements, and the model wants the last: nothing was added up here."""
    result = convert(model_of(TIES), None, rewrite=False)
    assert result.verdict == "not-equal"
    assert blur(model_of(TIES), 0) is None


@pytest.mark.parametrize("op", ["Tan", "Elu", "Mish"])
def test_what_libraries_approximate_is_arithmetic(op: str) -> None:
    assert blur(model_of(f"g (float[4] x) => (float[4] y) {{ y = {op}(x) }}"), 0) is not None


def test_a_tolerance_that_the_user_gave_is_meant(tmp_path: Path) -> None:
    model = norms()
    onnx.save(model, tmp_path / "model.onnx")
    done = mnn.convert(tmp_path / "model.onnx", tmp_path / "model.mnn", options=ConvertOptions(), limits=LIMITS)
    assert isinstance(done, mnn.Converted)
    strict = verify(model, done.path, tolerance=Tolerance(rtol=0, atol=0), limits=LIMITS)
    assert not strict.passed
    assert not any(each.inconclusive for each in strict.outputs[0].comparisons)


def _judged(model: ModelProto, factors: dict[str, float]) -> tuple[int, int]:
    """The numbers of samples that fail and that are inconclusive, if each is off by a share of the noise's effect."""
    draws = np.random.default_rng(5)
    feeds = [NamedFeeds(name=name, arrays={"x": draws.standard_normal((4, 64)).astype(np.float32)}) for name in factors]
    expected = [OnnxRuntimeRunner(model).run([feed.arrays])[0]["y"] for feed in feeds]  # type: ignore[index]
    noise = np.sign(draws.standard_normal(expected[0].shape)).astype(np.float32)
    actual = [each + noise * factor for each, factor in zip(expected, factors.values(), strict=True)]
    found = examine(expected, actual, list(factors), FLOAT32)
    assert [each.comparison.passed for each in found] == [factor == 0 for factor in factors.values()]
    rounding = Rounding(lambda: model)
    judge = Judge({"y": FLOAT32}, lambda *given: inconclusive(rounding, *given))
    (output,) = judge.outputs(feeds, [{"y": each} for each in expected], [{"y": each} for each in actual])
    judged = output.comparisons
    assert output.shows_nothing == (2 * sum(each.inconclusive for each in judged) > len(judged))
    assert output.passed == (all(each.passed for each in judged) and not output.shows_nothing)
    return sum(not each.passed for each in judged), sum(each.inconclusive for each in judged)


def steep() -> ModelProto:
    """Rounding is multiplied by 10,000: some hundredths in the result."""
    text = "g (float[4,64] x) => (float[4,64] y) { m = MatMul(x, w) d = Sub(m, x) y = Mul(d, large) }"
    return model_of(text, w=np.eye(64) * 1.00001, large=np.asarray(1e4))


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ({"a": 0.0, "b": 0.0, "c": 0.02}, (0, 1)),
        ({"a": 0.0, "b": 0.0, "c": 5.0}, (1, 0)),
        ({"a": 0.0, "b": 0.02, "c": 0.02}, (0, 2)),
    ],
    ids=["of the size of rounding", "far above it", "too few draws are left to prove anything"],
)
def test_only_what_is_of_the_size_of_rounding_is_set_aside(
    factors: dict[str, float], expected: tuple[int, int]
) -> None:
    assert _judged(steep(), factors) == expected


def test_the_noise_is_where_the_arithmetic_is_and_as_large_as_it_says() -> None:
    model = model_of(
        "g (float[4,64] x) => (float[4,64] y, float[64,4] t) { y = MatMul(x, w) t = Transpose(x) }", w=np.eye(64)
    )
    feed = {"x": np.random.default_rng(6).standard_normal((4, 64)).astype(np.float32)}
    blurred = [blur(model, seed) for seed in (0, 0, 1)]
    ran = [OnnxRuntimeRunner(each).run([feed])[0] for each in blurred if each is not None]  # type: ignore[index]
    size = np.abs(feed["x"])
    for outputs in ran:
        off = np.abs(outputs["y"] - feed["x"])
        assert np.all(off <= 1.2 * NOISE * (size + size.mean()) + 2e-7)
        assert off.max() > NOISE * size.mean() / 2
        np.testing.assert_array_equal(outputs["t"], feed["x"].T)
    assert np.array_equal(ran[0]["y"], ran[1]["y"])
    assert not np.array_equal(ran[0]["y"], ran[2]["y"])


def test_what_is_not_finite_is_no_rounding() -> None:
    """Sqrt of a difference that cancels is NaN or not by chance, as it may be under MNN: the sample decides nothing."""
    model = model_of(
        "g (float[4,64] x) => (float[4,64] y) { m = MatMul(x, w) d = Sub(m, x) y = Sqrt(d) }", w=np.eye(64)
    )
    feed = NamedFeeds(name="a", arrays={"x": np.random.default_rng(5).standard_normal((4, 64)).astype(np.float32)})
    expected = OnnxRuntimeRunner(model).run([feed.arrays])[0]["y"]  # type: ignore[index]
    actual = np.where(np.arange(64) == 3, np.float32(1), expected)
    found = examine([expected], [actual], ["a"], FLOAT32)
    (judged,), notes = inconclusive(Rounding(lambda: model), [feed], "y", found, FLOAT32)
    assert not judged.passed
    assert not notes


def cancelling() -> ModelProto:
    """Two sums that are nearly the same: what is left of them is a hundred times the rounding in two draws."""
    text = "g (float[8,64] x) => (float[8,64] y) { a = MatMul(x, w) y = Sub(a, x) }"
    weights = np.eye(64) + 1e-5 * np.random.default_rng(8).standard_normal((64, 64))
    return model_of(text, w=weights)


@pytest.mark.parametrize("factor", [1.08, 0.9, -1.0, 0.0])
def test_a_gain_is_no_rounding(factor: float) -> None:
    """As large as the noise allows, but a multiple of the output in the whole draw."""
    feeds = [
        NamedFeeds(
            name=str(seed), arrays={"x": np.random.default_rng(seed).standard_normal((8, 64)).astype(np.float32)}
        )
        for seed in range(5)
    ]
    runner = OnnxRuntimeRunner(cancelling())
    expected = [runner.run([feed.arrays])[0] for feed in feeds]  # type: ignore[index]
    actual = [*expected[:4], {"y": expected[4]["y"] * np.float32(factor)}]
    rounding = Rounding(cancelling)
    (output,) = Judge({"y": FLOAT32}, lambda *given: inconclusive(rounding, *given)).outputs(feeds, expected, actual)
    assert not output.passed
    assert not output.comparisons[4].inconclusive


def test_inconclusive_draws_are_no_proof() -> None:
    assert not any(each.discriminative for each in _inconclusive_of(steep()))


def _inconclusive_of(model: ModelProto) -> list[Comparison]:
    draws = np.random.default_rng(5)
    feeds = [NamedFeeds(name=name, arrays={"x": draws.standard_normal((4, 64)).astype(np.float32)}) for name in "abc"]
    runner = OnnxRuntimeRunner(model)
    expected = [runner.run([feed.arrays])[0] for feed in feeds]  # type: ignore[index]
    noise = np.sign(draws.standard_normal((4, 64))).astype(np.float32) * np.float32(0.02)
    actual = [*expected[:2], {"y": expected[2]["y"] + noise}]
    rounding = Rounding(lambda: model)
    (output,) = Judge({"y": FLOAT32}, lambda *given: inconclusive(rounding, *given)).outputs(feeds, expected, actual)
    found = [each for each in output.comparisons if each.inconclusive]
    assert found
    return found


def amplified() -> ModelProto:
    """Rounding is amplified in the first quarter of the columns alone."""
    text = "g (float[8,64] x) => (float[8,64] y) { m = MatMul(x, w) d = Sub(m, x) s = Mul(d, large) y = Add(s, x) }"
    return model_of(text, w=np.eye(64), large=np.where(np.arange(64) < 16, 3e3, 0.0))


@pytest.mark.parametrize(("column", "outliers"), [(3, 1), (40, 0)])
def test_an_outlier_lies_where_rounding_is_amplified(column: int, outliers: int) -> None:
    names = ["normal", "uniform", "large"]
    feeds = [
        NamedFeeds(name=name, arrays={"x": np.random.default_rng(n).standard_normal((8, 64)).astype(np.float32)})
        for n, name in enumerate(names)
    ]
    runner = OnnxRuntimeRunner(amplified())
    expected = [runner.run([feed.arrays])[0] for feed in feeds]  # type: ignore[index]
    wrong = expected[2]["y"].copy()
    wrong[5, column] += np.float32(0.05)
    rounding = Rounding(amplified)
    judge = Judge({"y": FLOAT32}, lambda *given: inconclusive(rounding, *given))
    (output,) = judge.outputs(feeds, expected, [*expected[:2], {"y": wrong}])
    assert output.passed == bool(outliers)
    assert output.comparisons[2].outliers == outliers
    assert any("1 of 512 elements are off by up to" in each for each in judge.notes) == bool(outliers)


LOGARITHMS = {
    "rest of a sigmoid": "q = Sigmoid(x) r = Sub(one, q) s = Add(r, e) y = Log(s)",
    "power": "d = Mul(x, small) p = Pow(d, two) s = Add(p, tiny) y = Log(s)",
    "rest of a square": "q = Tanh(x) p = Mul(q, q) r = Sub(one, p) s = Add(r, e) y = Log(s)",
}


@pytest.mark.parametrize("opset", [9, 17])
@pytest.mark.parametrize("body", LOGARITHMS.values(), ids=LOGARITHMS)
def test_noise_takes_no_function_out_of_its_range(body: str, opset: int) -> None:
    constants = {"one": np.ones(()), "two": np.full((), 2), "e": np.full((), 1e-7), "small": np.full((), 1e-3)}
    constants["tiny"] = np.full((), 1e-12)
    model = model_of(f"g (float[1,8] x) => (float[1,8] y) {{ {body} }}", **constants)
    model.opset_import[0].version = opset
    feed = NamedFeeds(name="far", arrays={"x": np.array([[20, 17, 16, 15, 1e-4, 3, 12, 18]], np.float32)})
    expected = OnnxRuntimeRunner(model).run([feed.arrays])[0]["y"]  # type: ignore[index]
    assert np.isfinite(expected).all()
    blurred = blur(model, 0)
    assert blurred is not None
    runs = OnnxRuntimeRunner(blurred).run([feed.arrays] * 20)
    assert all(np.isfinite(each["y"]).all() for each in runs)  # type: ignore[union-attr]
    assert len({each["y"].tobytes() for each in runs}) == 20  # type: ignore[union-attr]


def test_runs_that_are_not_finite_are_left_out() -> None:
    """The noise of a difference is of both signs, and half of its logarithms are no numbers."""
    body = "a = MatMul(x, w) s = Sub(a, x) z = Sub(s, low) y = Log(z)"
    weights = {"w": np.eye(4), "low": np.full((1, 4), -1e-6)}
    model = model_of(f"g (float[1,4] x) => (float[1,4] y) {{ {body} }}", **weights)
    feed = NamedFeeds(name="one", arrays={"x": np.ones((1, 4), np.float32)})
    expected = OnnxRuntimeRunner(model).run([feed.arrays])[0]["y"]  # type: ignore[index]
    runs = OnnxRuntimeRunner(blur(model, 0)).run([feed.arrays] * 8)  # type: ignore[arg-type]
    finite = [bool(np.isfinite(each["y"]).all()) for each in runs]  # type: ignore[union-attr]
    assert 0 < sum(finite) < len(finite)
    moved = Rounding(lambda: model).movement(feed, "y", expected)
    assert moved is not None
    assert np.isfinite(moved.largest)
    assert moved.largest > 0
