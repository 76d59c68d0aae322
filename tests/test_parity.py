"""Parity: outputs that agree pass, and no others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import numpy_helper, parser

from mnncompat import mnn
from mnncompat.errors import UsageError
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity import (
    DRAWS,
    FLOAT16,
    FLOAT32,
    FP16_WEIGHTS,
    REWRITE,
    Tolerance,
    compare,
    compare_models,
    quantized,
    verify,
)
from mnncompat.parity.given_inputs import checked
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.signature import InputSpec
from mnncompat.results.failures import FailureKind
from mnncompat.results.parity_report import Comparison

LIMITS = Limits(seconds=60, memory_bytes=2 << 30)
RANDOM = np.random.default_rng(7)
EXACT = Tolerance(rtol=0, atol=0)


def _logits() -> np.ndarray:
    return RANDOM.standard_normal((8, 64)).astype(np.float32)


def _spec(name: str, dtype: type, *shape: int | str | None) -> InputSpec:
    return InputSpec(name=name, dtype=np.dtype(dtype), shape=shape)


def _model(graph: str, **initializers: np.ndarray) -> onnx.ModelProto:
    model: onnx.ModelProto = parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\n{graph}')
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in initializers.items())
    return model


# ---------------------------------------------------------------------------------------------------------- compare


@pytest.mark.parametrize("tolerance", [FLOAT32, FLOAT16, REWRITE, EXACT, FP16_WEIGHTS, quantized(4)])
def test_what_is_equal_passes(tolerance: Tolerance) -> None:
    expected = _logits()
    found = compare(expected, expected.copy(), tolerance)
    assert found.passed
    assert (found.max_abs, found.max_rel, found.error_ratio, found.snr_db, found.top1) == (0, 0, 0, math.inf, 1)
    assert found.compared == expected.size
    assert found.discriminative


def _shifted(array: np.ndarray) -> np.ndarray:
    return np.roll(array, 1, axis=-1)


def _one_nan(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy[3, 5] = np.nan
    return copy


def _one_infinite(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy[3, 5] = np.inf
    return copy


WRONG: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "scaled": lambda array: array * np.float32(1.01),
    "offset": lambda array: array + np.float32(0.01),
    "negated": np.negative,
    "shifted": _shifted,
    "transposed": lambda array: array.T.reshape(array.shape),
    "permuted rows": lambda array: array[::-1].copy(),
    "constant": lambda array: np.full_like(array, array.mean()),
    "zero": np.zeros_like,
    "garbage": lambda array: np.random.default_rng(1).standard_normal(array.shape).astype(array.dtype),
    "one NaN": _one_nan,
    "one infinity": _one_infinite,
    "all NaN": lambda array: np.full_like(array, np.nan),
    "another shape": lambda array: array.reshape(-1),
    "a further axis": lambda array: array[..., None],
    "integers": lambda array: array.astype(np.int32),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("tolerance", [FLOAT32, REWRITE])
def test_what_is_wrong_fails(wrong: str, tolerance: Tolerance) -> None:
    found = compare(_logits(), WRONG[wrong](_logits()), tolerance)
    assert not found.passed
    assert found.error_ratio > 1


@pytest.mark.parametrize("wrong", sorted(set(WRONG) - {"scaled", "offset"}))
@pytest.mark.parametrize("tolerance", [FLOAT16, FP16_WEIGHTS, quantized(8), quantized(4)])
def test_the_looser_presets_still_catch_what_is_grossly_wrong(wrong: str, tolerance: Tolerance) -> None:
    expected = _logits()
    assert not compare(expected, WRONG[wrong](expected), tolerance).passed


def test_a_missing_output_fails() -> None:
    found = compare(_logits(), None, FLOAT32)
    assert found.problems == ("the output is missing",)
    assert found.actual_shape is None
    assert found.compared == 0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=9),
    seed=st.integers(0, 2**32 - 1),
    factor=st.sampled_from([0.99, 1.01, -1.0, 0.0]),
)
def test_a_wrong_factor_fails_and_rounding_passes_at_every_shape_and_scale(
    shape: tuple[int, ...], seed: int, factor: float, scale: float
) -> None:
    random = np.random.default_rng(seed)
    expected = (scale * (random.standard_normal(shape) + 3)).astype(np.float32)
    noise = 1 + np.finfo(np.float32).eps * random.choice([-4, -1, 1, 4], shape)
    for tolerance in (FLOAT32, REWRITE):
        assert compare(expected, (expected * noise).astype(np.float32), tolerance).passed
        assert not compare(expected, (expected * factor).astype(np.float32), tolerance).passed


@settings(max_examples=60, deadline=None)
@given(
    shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=9),
    seed=st.integers(0, 2**32 - 1),
    place=st.floats(0, 1, exclude_max=True),
)
def test_a_single_wrong_element_fails_wherever_it_is(shape: tuple[int, ...], seed: int, place: float) -> None:
    expected = np.random.default_rng(seed).uniform(1, 2, shape).astype(np.float32)
    actual = expected.copy()
    actual.reshape(-1)[int(place * actual.size)] *= 1.1
    found = compare(expected, actual, FLOAT32)
    assert not found.passed
    assert "1 of" in found.problems[0]


def test_scores_are_not_judged_by_the_scale_of_the_boxes_beside_them() -> None:
    boxes, scores = RANDOM.uniform(200, 640, (1, 4, 8400)), RANDOM.uniform(0, 1, (1, 80, 8400))
    expected = np.concatenate([boxes, scores], axis=1).astype(np.float32)
    actual = expected.copy()
    actual[:, 4:] += np.float32(0.01)
    assert not compare(expected, actual, FLOAT32).passed
    assert not compare(expected.transpose(0, 2, 1), actual.transpose(0, 2, 1), FLOAT32).passed
    with_rounding = expected * (1 + 2e-4 * RANDOM.standard_normal(expected.shape))
    assert compare(expected, with_rounding.astype(np.float32), FLOAT32).passed


def test_an_element_that_cancelled_carries_the_error_of_its_neighbours() -> None:
    expected = RANDOM.standard_normal((1, 1000)).astype(np.float32)
    expected[0, 17] = 1e-7
    actual = expected + np.float32(2e-4)
    assert compare(expected, actual, FLOAT32).passed


def test_a_dead_channel_does_not_demand_exactness() -> None:
    expected = RANDOM.standard_normal((1, 8, 32, 32)).astype(np.float32)
    expected[:, 3] = 1e-9
    actual = expected + np.float32(1.5e-6)
    assert compare(expected, actual, FLOAT32).passed


def test_equal_nan_and_infinities_pass_and_their_places_count() -> None:
    expected = _logits()
    expected[0, :3] = np.nan, np.inf, -np.inf
    found = compare(expected, expected.copy(), FLOAT32)
    assert found.passed
    assert found.compared == expected.size - 3
    other = expected.copy()
    other[0, 1], other[0, 2] = -np.inf, np.inf
    assert len(compare(expected, other, FLOAT32).problems) == 2
    other = expected.copy()
    other[0, 0] = 0
    assert "NaN in 0 elements instead of 1 at [0, 0]" in compare(expected, other, FLOAT32).problems[0]


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (1, 1, 1)])
def test_scalars_and_empty_arrays_are_compared(shape: tuple[int, ...]) -> None:
    expected = np.full(shape, 2.5, np.float32)
    found = compare(expected, expected.copy(), FLOAT32)
    assert found.passed
    assert found.compared == expected.size
    assert found.discriminative == (expected.size > 0)
    if expected.size:
        assert not compare(expected, expected * np.float32(1.01), FLOAT32).passed


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint8, np.bool_, np.uint32])
def test_integers_have_to_be_equal(dtype: type) -> None:
    expected: np.ndarray = RANDOM.integers(0, 2, (4, 50)).astype(dtype)
    assert compare(expected, expected.astype(np.int32), FLOAT32).passed
    wrong = expected.astype(np.int32)
    wrong[1, 7] ^= 1
    found = compare(expected, wrong, FLOAT32)
    assert found.problems[0].startswith("1 of 200 elements differ at [1, 7]")
    assert compare(expected, wrong, Tolerance(rtol=0, atol=0, unequal=0.01)).passed
    assert not compare(expected, expected.astype(np.float32), FLOAT32).passed


def test_a_reference_below_the_absolute_tolerance_tells_nothing() -> None:
    expected = np.full((2, 50), 1e-8, np.float32)
    found = compare(expected, expected * 3, FLOAT32)
    assert found.passed
    assert not found.discriminative


def test_metrics_mean_what_they_say() -> None:
    expected = np.array([[3.0, 4.0, 0.001], [0.0, 5.0, 1.0]], np.float32)
    actual = np.array([[3.3, 4.0, 0.002], [0.0, 0.5, 1.0]], np.float32)
    found = compare(expected, actual, FLOAT32)
    assert found.max_abs == pytest.approx(4.5)
    assert found.max_rel == pytest.approx(0.9)
    assert found.top1 == pytest.approx(0.5)
    assert found.snr_db == pytest.approx(10 * math.log10(51.000001 / (0.09 + 1e-6 + 20.25)), abs=1e-4)
    assert found.cosine == pytest.approx(29.4 / math.sqrt(51 * (10.89 + 16 + 0.25 + 1)), abs=1e-4)


def test_a_negative_tolerance_is_a_usage_error() -> None:
    for wrong in ({"rtol": -1e-3, "atol": 0}, {"rtol": 0, "atol": math.nan}, {"rtol": 0, "atol": 0, "unequal": 2}):
        with pytest.raises(UsageError):
            Tolerance(**wrong)


def test_fewer_bits_may_be_noisier() -> None:
    levels = [quantized(bits).snr_db or 0 for bits in range(2, 9)]
    assert levels == sorted(levels)
    assert levels[0] > 0
    assert levels[-1] == FP16_WEIGHTS.snr_db


# ------------------------------------------------------------------------------------------------------------ feeds


def _fed(
    *signature: InputSpec,
    given: Mapping[str, tuple[int, ...]] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
) -> InputPlanner:
    """The planner of a model that passes its inputs on."""
    types = [onnx.helper.np_dtype_to_tensor_dtype(spec.dtype or np.dtype(np.float32)) for spec in signature]
    inputs = [
        onnx.helper.make_tensor_value_info(spec.name, kind, spec.shape)
        for spec, kind in zip(signature, types, strict=True)
    ]
    nodes = [onnx.helper.make_node("Identity", [spec.name], [f"{spec.name}_out"]) for spec in signature]
    outputs = [
        onnx.helper.make_tensor_value_info(node.output[0], kind, None) for node, kind in zip(nodes, types, strict=True)
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", inputs, outputs))
    shapes = dict(given or {}) | {name: array.shape for name, array in (arrays or {}).items()}
    return InputPlanner(model, signature, shapes, arrays or {}, seed=seed, memory=1 << 30)


def _drawn(*signature: InputSpec, seed: int = 0) -> dict[str, NamedFeeds]:
    return {feed.name: feed for feed in next(_fed(*signature, seed=seed).plans()).feeds()}


def test_draws_are_what_their_names_say() -> None:
    drawn = {name: feed.arrays["x"] for name, feed in _drawn(_spec("x", np.float32, 1, 4, 32, 32)).items()}
    assert tuple(drawn) == DRAWS
    assert all(array.dtype == np.float32 for array in drawn.values())
    assert 0.9 < drawn["normal"].std() < 1.1
    assert drawn["uniform"].min() >= 0
    assert drawn["uniform"].max() < 1
    assert drawn["negative"].max() <= 0
    assert not drawn["zeros"].any()
    assert 14 < drawn["large"][np.abs(drawn["large"]) <= 80].std() < 18
    far = np.abs(drawn["large"]) > 80
    assert 0 < far.mean() < 1 / 32
    assert np.abs(drawn["large"]).max() > 200, "a bound that only pixels reach is met"


def test_the_same_seed_draws_the_same_and_inputs_do_not_depend_on_each_other() -> None:
    one, two = _spec("one", np.float32, 5), _spec("two", np.float32, 5)
    first, again, alone = _drawn(one, two), _drawn(one, two), _drawn(two)
    other = _drawn(one, two, seed=1)
    for name in DRAWS:
        np.testing.assert_array_equal(first[name].arrays["one"], again[name].arrays["one"])
        np.testing.assert_array_equal(first[name].arrays["two"], alone[name].arrays["two"])
    assert not np.array_equal(first["normal"].arrays["one"], first["normal"].arrays["two"])
    assert not np.array_equal(first["normal"].arrays["one"], other["normal"].arrays["one"])


def test_integers_are_small_and_rows_of_masks_have_both_kinds() -> None:
    signature = [_spec("ids", np.int64, 200), _spec("mask", np.bool_, 4, 50), _spec("pixels", np.uint8, 2000)]
    drawn = _drawn(*signature)
    assert set(np.unique(drawn["normal"].arrays["ids"])) == set(range(10))
    for name in ("normal", "uniform", "large"):
        mask = drawn[name].arrays["mask"]
        assert mask.any(axis=-1).all()
        assert not mask.all(axis=-1).any()
    assert drawn["zeros"].arrays["mask"].all()
    assert drawn["normal"].arrays["pixels"].max() > 200
    assert [drawn["normal"].arrays[spec.name].dtype for spec in signature] == [spec.dtype for spec in signature]


def test_types_that_cannot_be_drawn_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'x'"):
        next(_fed(InputSpec(name="x", dtype=None, shape=(1,))).plans()).feeds()


def test_given_arrays_are_the_same_in_every_draw_and_alone_a_single_one() -> None:
    signature = [_spec("x", np.float32, 3), _spec("rate", np.int64)]
    given_arrays = {"rate": np.array(16000)}
    feeds = next(_fed(*signature, arrays=given_arrays).plans()).feeds()
    assert [feed.name for feed in feeds] == list(DRAWS)
    assert {int(feed.arrays["rate"]) for feed in feeds} == {16000}
    both = given_arrays | {"x": np.zeros(3, np.float32)}
    assert [feed.name for feed in next(_fed(*signature, arrays=both).plans()).feeds()] == ["given"]
    assert [feed.name for feed in next(_fed().plans()).feeds()] == ["constant"]


# ----------------------------------------------------------------------------------------------------------- shapes


def _first(
    *signature: InputSpec, given: Mapping[str, tuple[int, ...]] | None = None
) -> list[dict[str, tuple[int, ...]]]:
    planner = _fed(*signature, given=given)
    plan = next(planner.plans())
    batches = planner.batch_sizes(1)[:2] if planner.batches and not given else []
    return [dict(each.shapes) for each in (plan, *(next(planner.at_batch(plan, size)) for size in batches))]


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((1, 3, 8, 8), [(1, 3, 8, 8)]),
        (("N", 3, 8, 8), [(1, 3, 8, 8), (2, 3, 8, 8), (3, 3, 8, 8)]),
        ((None, 3, None, None), [(1, 3, 64, 96), (2, 3, 64, 96), (3, 3, 64, 96)]),
        ((1, 3, "S", "S"), [(1, 3, 64, 64)]),
        ((1, None, None, 3), [(1, 64, 96, 3)]),
        (("N", "L"), [(1, 16), (2, 16), (3, 16)]),
        ((1, 80, "T"), [(1, 80, 16)]),
        ((), [()]),
    ],
)
def test_the_first_sizes(shape: tuple[int | str | None, ...], wanted: list[tuple[int, ...]]) -> None:
    assert [shapes["x"] for shapes in _first(_spec("x", np.float32, *shape))] == wanted


def test_the_same_parameter_gets_the_same_size_everywhere() -> None:
    signature = _spec("ids", np.int64, "B", "L"), _spec("mask", np.int64, "B", "L"), _spec("h", np.float32, 2, "B", 8)
    for batch, shapes in enumerate(_first(*signature), start=1):
        assert shapes == {"ids": (batch, 16), "mask": (batch, 16), "h": (2, batch, 8)}


def test_all_nameless_first_dimensions_are_the_same_batch() -> None:
    signature = _spec("one", np.float32, None, 4), _spec("two", np.float32, None, 5)
    assert _first(*signature, given={"one": (7, 4)}) == [{"one": (7, 4), "two": (7, 5)}]
    assert [shapes["one"][0] == shapes["two"][0] for shapes in _first(*signature)] == [True] * 3


def test_a_shape_that_was_given_binds_its_parameters() -> None:
    signature = _spec("ids", np.int64, "B", "L"), _spec("mask", np.int64, "B", "L")
    assert _first(*signature, given={"ids": (4, 7)}) == [{"ids": (4, 7), "mask": (4, 7)}]
    with pytest.raises(UsageError, match="'L' both 7 and 8"):
        _first(*signature, given={"ids": (4, 7), "mask": (4, 8)})


X = _spec("x", np.float32, "N", 3, None, None)


@pytest.mark.parametrize(
    ("shapes", "inputs", "message"),
    [
        ({"y": (1,)}, {}, "no input 'y'"),
        ({}, {"y": np.zeros(1)}, "no input 'y'"),
        ({"x": (1, 3, 8)}, {}, "another rank"),
        ({"x": (1, 4, 8, 8)}, {}, "has 4 on axis 1, the model has 3"),
        ({"x": (1, 3, 0, 8)}, {}, "below 1"),
        ({"x": (1, 3, -1, 8)}, {}, "below 1"),
        ({}, {"x": np.zeros((1, 3, 8))}, "another rank"),
        ({}, {"x": np.zeros((1, 4, 8, 8))}, "has 4 on axis 1"),
        ({}, {"x": np.zeros((1, 3, 8, 8), np.int64)}, "is int64, the model needs float32"),
        ({}, {"x": np.array(["text"])}, "cannot be fed"),
        ({"x": (1, 3, 8, 8)}, {"x": np.zeros((1, 3, 4, 4))}, "an array of"),
    ],
)
def test_what_does_not_fit_is_a_usage_error_with_a_hint(
    shapes: dict[str, tuple[int, ...]], inputs: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        checked([X], shapes, inputs)
    assert caught.value.hint


def test_arrays_are_cast_within_their_kind() -> None:
    shapes, arrays = checked([X], {}, {"x": np.ones((2, 3, 4, 4), np.float64)})
    assert shapes == {"x": (2, 3, 4, 4)}
    assert arrays["x"].dtype == np.float32
    with pytest.raises(UsageError, match="do not fit into int8"):
        checked([_spec("i", np.int8, 1)], {}, {"i": np.array([300])})


def test_an_unknown_rank_asks_for_a_shape() -> None:
    unknown = InputSpec(name="x", dtype=np.dtype(np.float32), shape=None)
    with pytest.raises(UsageError) as caught:
        checked([unknown], {}, {})
    assert "--shape x:" in caught.value.hint
    assert checked([unknown], {"x": (2, 3)}, {})[0] == {"x": (2, 3)}


# --------------------------------------------------------------------------------------------------- compare_models


FC = "agraph (float[N, 8, 4, 4] x) => (float[N, 50] y) { f = Flatten(x)\n y = Gemm <transB = 1> (f, w) }"
CONV = "agraph (float[N, 8, 4, 4] x) => (float[N, 50] y) { c = Conv(x, w)\n y = Flatten(c) }"
WEIGHT = (RANDOM.standard_normal((50, 128)) / 11).astype(np.float32)


def test_a_right_rewrite_passes_at_several_batch_sizes() -> None:
    report = compare_models(_model(FC, w=WEIGHT), _model(CONV, w=WEIGHT.reshape(50, 8, 4, 4)))
    assert report.passed
    assert report.draws == (*DRAWS, "normal, batch 2", "normal, batch 3")
    assert [shapes["x"][0] for shapes in report.shapes] == [1, 1, 1, 1, 1, 2, 3]
    assert report.outputs[0].worst is not None
    assert report.outputs[0].worst.error_ratio < 0.1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda weight: weight * np.float32(1.001),
        lambda weight: np.roll(weight, 1, axis=0),
        lambda weight: np.roll(weight, 1, axis=1),
        lambda weight: weight.reshape(50, 8, 4, 4).transpose(0, 1, 3, 2).reshape(50, 128),
        np.zeros_like,
    ],
)
def test_a_wrong_rewrite_fails(wrong: Callable[[np.ndarray], np.ndarray]) -> None:
    rewritten = _model(CONV, w=np.ascontiguousarray(wrong(WEIGHT)).reshape(50, 8, 4, 4))
    report = compare_models(_model(FC, w=WEIGHT), rewritten)
    assert not report.passed
    assert report.problems[0].startswith("output 'y', normal: ")


def test_a_rewrite_that_fixes_the_batch_is_fed_that_batch() -> None:
    fixed = _model(CONV.replace("[N,", "[4,"), w=WEIGHT.reshape(50, 8, 4, 4))
    report = compare_models(_model(FC, w=WEIGHT), fixed)
    assert report.passed
    assert {shapes["x"] for shapes in report.shapes} == {(4, 8, 4, 4)}


def test_an_output_that_got_lost_fails() -> None:
    report = compare_models(
        _model("agraph (float[2] x) => (float[2] y, float[2] z) { y = Neg(x)\n z = Abs(x) }"),
        _model("agraph (float[2] x) => (float[2] y) { y = Neg(x) }"),
    )
    assert [output.passed for output in report.outputs] == [True, False]
    assert not report.passed
    assert "'z', normal: the output is missing" in report.problems[0]


def test_a_reference_that_cannot_run_fails() -> None:
    broken = _model("agraph (float[2] x) => (float[3] y) { s = Constant <value_ints = [3]> ()\n y = Reshape(x, s) }")
    report = compare_models(broken, broken)
    assert not report.passed
    assert report.outputs == ()
    assert report.failures[0].runner.startswith("the original")


def test_a_reference_without_a_finite_number_proves_nothing() -> None:
    broken = _model(
        "agraph (float[2] x) => (float[2] y) { a = Abs(x)\n b = Sub(a, c)\n y = Sqrt(b) }", c=np.array(1e9, np.float32)
    )
    report = compare_models(broken, broken)
    assert not report.passed
    assert "nothing was compared" in report.problems[0]


def test_one_draw_without_a_finite_number_does_not_spoil_the_others() -> None:
    model = _model("agraph (float[2] x) => (float[2] y) { t = Tanh(x) y = Log(t) }")
    report = compare_models(model, model)
    assert report.passed
    assert "negative" not in report.draws
    assert any(note.startswith("negative: left out") for note in report.notes)


def test_a_reference_that_is_zero_everywhere_proves_nothing() -> None:
    graph = "agraph (float[2] x) => (float[2] y) { y = Mul(x, c) }"
    report = compare_models(_model(graph, c=np.array(0, np.float32)), _model(graph, c=np.array(1e-12, np.float32)))
    assert not report.passed
    assert "nothing was proven" in report.problems[0]


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-12, 1e-30])
def test_outputs_are_judged_at_their_own_size(size: float) -> None:
    graph = "agraph (float[1,300] x) => (float[1,300] y) { y = Mul(x, c) }"
    original = _model(graph, c=np.array(size, np.float32))
    assert compare_models(original, original).passed
    for factor in (1.01, 1.08, -1, 0):
        assert not compare_models(original, _model(graph, c=np.array(size * factor, np.float32))).passed
    wrong, absolute = _model(graph, c=np.array(size * 2, np.float32)), Tolerance(rtol=1e-3, atol=1e-6)
    assert not compare_models(original, wrong, tolerance=FLOAT32).passed
    given = compare_models(original, wrong, tolerance=absolute)
    assert given.outputs[0].tolerance == absolute, "what the user gives is not changed"


def test_a_model_without_inputs_is_compared() -> None:
    model = _model("agraph () => (float[2] y) { y = Constant <value_floats = [1., 2.]> () }")
    report = compare_models(model, model)
    assert report.passed
    assert report.draws == ("constant",)


def test_other_shapes_are_tried_until_one_fits() -> None:
    graph = """agraph (float[N, 3, H, W] x) => (float[N, P] y) {
        s = Constant <value_ints = [0, 3, 7, 32, 7, 32]> ()
        r = Reshape(x, s)
        y = Flatten(r)
    }"""
    model = _model(graph)
    report = compare_models(model, model)
    assert report.passed
    sizes = report.shapes[0]["x"]
    assert (sizes[0] * 3 * sizes[2] * sizes[3]) % (3 * 7 * 32 * 7 * 32) == 0


def test_a_size_that_the_graph_fixes_is_found() -> None:
    graph = """agraph (float[1, L] x) => (float[13, P] y) {
        s = Constant <value_ints = [13, 17]> ()
        y = Reshape(x, s)
    }"""
    model = _model(graph)
    report = compare_models(model, model)
    assert report.shapes[0]["x"] == (1, 221)
    assert report.passed
    assert compare_models(model, model, shapes={"x": (1, 221)}).passed


def test_a_batch_that_the_model_does_not_take_is_noted() -> None:
    graph = """agraph (float[N, 4] x) => (float[2, 2] y) {
        s = Constant <value_ints = [2, 2]> ()
        y = Reshape(x, s)
    }"""
    model = _model(graph)
    report = compare_models(model, model)
    assert report.passed
    assert report.draws == DRAWS
    assert len(report.notes) == 2


def test_overrides_hold_for_their_output_and_must_name_one() -> None:
    graph = "agraph (float[2] x) => (float[2] y, float[2] z) { y = Mul(x, c)\n z = Mul(x, c) }"
    models = _model(graph, c=np.array(1, np.float32)), _model(graph, c=np.array(1.01, np.float32))
    report = compare_models(*models, tolerances={"y": Tolerance(rtol=0.1, atol=0)})
    assert [output.passed for output in report.outputs] == [True, False]
    with pytest.raises(UsageError, match="'nope'") as caught:
        compare_models(*models, tolerances={"nope": FLOAT32})
    assert "'y', 'z'" in caught.value.hint


def test_float16_outputs_get_their_own_tolerance() -> None:
    model = _model("agraph (float16[2] x) => (float16[2] y) { y = Neg(x) }")
    report = compare_models(model, model)
    assert report.passed
    assert report.outputs[0].tolerance == FLOAT16


# ----------------------------------------------------------------------------------------------------------- verify


def _pair(folder: Path, model: onnx.ModelProto, converted: onnx.ModelProto | None = None) -> tuple[Path, Path]:
    onnx.save(model, folder / "model.onnx")
    onnx.save(converted or model, folder / "converted.onnx")
    done = mnn.convert(folder / "converted.onnx", folder / "model.mnn", options=ConvertOptions(), limits=LIMITS)
    assert isinstance(done, mnn.Converted), done
    return folder / "model.onnx", done.path


def test_a_conversion_agrees_with_its_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pair = _pair(tmp_path, _model(CONV, w=WEIGHT.reshape(50, 8, 4, 4)))
    report = verify(*pair, limits=LIMITS)
    assert report.passed, report.problems
    assert len(report.draws) == 7
    assert report.outputs[0].worst is not None
    assert report.outputs[0].worst.error_ratio < 0.5
    without = replace(report, power=None, speed=None)  # which tell the time that they took
    assert replace(verify(*pair, limits=LIMITS), power=None, speed=None) == without
    assert replace(verify(*pair, limits=LIMITS, seed=1, power=False), speed=None) != without
    assert capfd.readouterr() == ("", "")


def test_a_conversion_of_another_model_does_not(tmp_path: Path) -> None:
    pair = _pair(
        tmp_path,
        _model(CONV, w=WEIGHT.reshape(50, 8, 4, 4)),
        _model(CONV, w=1.01 * WEIGHT.reshape(50, 8, 4, 4)),
    )
    report = verify(*pair, limits=LIMITS)
    assert not report.passed
    assert not report.outputs[0].passed
    assert report.outputs[0].worst is not None
    assert report.outputs[0].worst.draw in report.draws


def test_a_missing_output_is_a_typed_failure(tmp_path: Path) -> None:
    pair = _pair(
        tmp_path,
        _model("agraph (float[2] x) => (float[2] y, float[2] z) { y = Neg(x)\n z = Abs(x) }"),
        _model("agraph (float[2] x) => (float[2] y) { y = Neg(x) }"),
    )
    report = verify(*pair, limits=LIMITS)
    assert not report.passed
    assert report.failures[0].runner == "MNN"
    assert report.failures[0].failure.kind is FailureKind.ERROR


def test_a_crash_is_a_typed_failure(tmp_path: Path) -> None:
    pair = _pair(
        tmp_path,
        _model("agraph (float[1, 3, 8, 8] x) => (float[1, 3, 7, 7] y) { y = MaxPool <kernel_shape = [2, 2]> (x) }"),
    )
    report = verify(*pair, limits=LIMITS)
    assert not report.passed
    assert report.failures[0].failure.kind is FailureKind.CRASH
    assert report.problems[0].startswith("MNN: SIG")


def test_integer_and_boolean_inputs_and_outputs(tmp_path: Path) -> None:
    graph = """agraph (int64[N, L] ids, bool[N, L] mask) => (int64[N, L] y, bool[N, L] z, int64[2] s) {
        y = Add(ids, ids)
        z = Not(mask)
        s = Shape(ids)
    }"""
    report = verify(*_pair(tmp_path, _model(graph)), limits=LIMITS)
    assert report.passed, report.problems
    assert [(each.comparisons[0].expected_dtype, each.comparisons[0].actual_dtype) for each in report.outputs] == [
        ("int64", "int32"),
        ("bool", "int32"),
        ("int64", "int32"),
    ]


def test_real_data_is_fed(tmp_path: Path) -> None:
    pair = _pair(tmp_path, _model(CONV, w=WEIGHT.reshape(50, 8, 4, 4)))
    image = RANDOM.standard_normal((5, 8, 4, 4))
    report = verify(*pair, inputs={"x": image}, limits=LIMITS)
    assert report.passed
    assert report.given == ("sample 1",)
    assert report.draws == ("sample 1", *DRAWS, "normal, batch 1", "normal, batch 2")
    assert report.sizes[0].sizes == (1, 2, 5)
    assert set(report.shapes[0].items()) == {("x", (5, 8, 4, 4))}
    with pytest.raises(UsageError, match="another rank"):
        verify(*pair, shapes={"x": (1,)}, limits=LIMITS)


def test_a_few_outliers_pass_and_many_or_large_ones_do_not() -> None:
    tolerance = Tolerance(rtol=1e-3, atol=0.0, outliers=0.005)
    expected = np.random.default_rng(0).standard_normal((10, 100)).astype(np.float32)
    allowed = 1e-3 * (np.abs(expected) + 1)

    def off_by(count: int, times: float) -> Comparison:
        actual = expected.copy()
        actual.flat[:count] += (times * allowed).flat[:count]
        return compare(expected, actual, tolerance)

    assert off_by(5, 10).passed
    assert not off_by(6, 10).passed
    assert not off_by(1, 40).passed
    assert not compare(expected, expected * np.float32(1.01), tolerance).passed
    assert not compare(expected, np.roll(expected, 1, axis=1), tolerance).passed


def test_small_outputs_have_no_outliers() -> None:
    expected = np.arange(1, 200, dtype=np.float32)
    actual = expected.copy()
    actual[0] += 1
    assert not compare(expected, actual, FLOAT32).passed


@pytest.mark.parametrize(
    ("old", "new"), [("excess", "error_ratio"), ("telling", "discriminative"), ("set_aside", "inconclusive")]
)
def test_former_names_of_a_comparison_give_a_notice(old: str, new: str) -> None:
    found = compare(np.ones(3, np.float32), np.full(3, 2, np.float32), FLOAT32)
    with pytest.warns(DeprecationWarning, match=new):
        assert getattr(found, old) == getattr(found, new)
