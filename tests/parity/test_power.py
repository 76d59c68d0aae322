"""What a proof would have caught: faults in operators with weights, inputs that show them, and what is remembered."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from mnncompat import mnn
from mnncompat.parity import FLOAT16, FLOAT32, FP16_WEIGHTS, compare, real_data, verify
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.metrics import agrees
from mnncompat.parity.power import analysis as power_analysis
from mnncompat.parity.power.analysis import PowerAnalysis
from mnncompat.parity.power.faulty_model import FaultyModel
from mnncompat.parity.power.findings import KeptFindings
from mnncompat.parity.power.trials import Trials
from mnncompat.parity.real_draws import Feeder, run_reference_on
from mnncompat.parity.recorded_noise import NoiseRecorder
from mnncompat.parity.runners import OnnxRunner, OnnxRuntimeRunner
from mnncompat.parity.signature import input_signature
from mnncompat.results.failures import Failure
from mnncompat.results.parity_report import OutputParity
from mnncompat.results.proof_strength import Power

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

    from mnncompat.parity import Given, Tolerance
    from mnncompat.parity.reference import Reference

RANDOM = np.random.default_rng(10)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def model(text: str, functions: str = "", opset: int = 17, **weights: Any) -> ModelProto:
    """A model of ONNX text, and arrays by name."""
    imports = f'"": {opset}, "my": 1' if functions else f'"": {opset}'
    found = parser.parse_model(f"<ir_version: 8, opset_import: [{imports}]>\ng {text}\n{functions}")
    found.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return found


def concluded(analysis: PowerAnalysis, *outputs: OutputParity) -> Power:
    power = analysis.conclude(outputs)
    assert power is not None
    return power


def measured(
    proto: ModelProto,
    *,
    inputs: Given | None = None,
    tolerance: Tolerance = FLOAT32,
    analysis: PowerAnalysis | None = None,
) -> tuple[Power, Reference]:
    """The power of a proof in which everything agrees."""
    analysis = analysis or PowerAnalysis(proto)
    ran = run_reference_on(Feeder(proto, input_signature(proto), {}, real_data(inputs)), reference := OnnxRunner(proto))
    assert not isinstance(ran.outputs, Failure)
    tolerances = {each.name: tolerance for each in proto.graph.output}
    ran, expected = analysis.measure(reference, ran, ran.outputs, tolerances, took=0)
    for feed, outputs in zip(ran.feeds, expected, strict=True):
        again = OnnxRunner(proto).run([feed.arrays])
        assert not isinstance(again, Failure)
        assert all(np.array_equal(again[0][name], outputs[name], equal_nan=True) for name in tolerances)
    return concluded(analysis), ran


DEAD = """(float[1,8] x) => (float[1,4] y) {
    [left] a = MatMul(x, w) [relu] b = Relu(a)
    [right] c = MatMul(x, v) [far] d = Add(c, far) [dead] e = Relu(d) y = Add(b, e) }"""


def test_an_operator_that_no_input_reaches_is_named() -> None:
    far = np.full(4, -1e6, np.float32)
    power, _ = measured(model(DEAD, w=numbers(8, 4), v=numbers(8, 4), far=far))

    assert power.exercised == ("MatMul 'left'",)
    assert power.silent == ("MatMul 'right'", "Add 'far'")
    assert not power.untried
    assert not power.is_enough


def test_a_layer_that_wakes_up_with_larger_inputs_gets_them() -> None:
    far = np.full(4, -2000, np.float32)
    power, ran = measured(model(DEAD, w=numbers(8, 4), v=numbers(8, 4), far=far))

    assert not power.silent
    assert [feed.name for feed in ran.feeds][5:] == ["searched"]


SATURATED = """(float[1,4,16] x) => (float[1,1] y) {
    f = Flatten(x) [first] a = MatMul(f, w) [bias] b = Add(a, c) r = Relu(b) [last] d = MatMul(r, v) [top] e = Add(d, t)
    y = Sigmoid(e) }"""


def saturated(*, shuffled: bool = False) -> ModelProto:
    """A wake-word classifier: certain of every ordinary input."""
    w = np.linspace(-0.5, 0.5, 64 * 8).astype(np.float32)
    w = np.random.default_rng(int(shuffled)).permutation(w).reshape(64, 8)
    bias = np.full(8, -40, np.float32)
    return model(SATURATED, w=w, c=bias, v=np.full((8, 1), -1, np.float32), t=np.full((1, 1), 30, np.float32))


def test_a_saturated_classifier_is_brought_to_life(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.mnn", tmp_path / "wrong.mnn"
    for proto, path in ((saturated(), right), (saturated(shuffled=True), wrong)):
        onnx.save(proto, path.with_suffix(".onnx"))
        converted = mnn.convert(path.with_suffix(".onnx"), path, options=mnn.ConvertOptions(), limits=mnn.Limits())
        assert not isinstance(converted, Failure)

    proven = verify(right.with_suffix(".onnx"), right)
    assert proven.passed
    assert proven.draws[-1] == "searched"
    assert proven.power is not None
    assert len(proven.power.exercised) == 3
    assert not verify(right.with_suffix(".onnx"), wrong).passed
    assert verify(right.with_suffix(".onnx"), right, power=False).power is None


def test_a_classifier_that_is_certain_of_one_class_is_brought_to_life() -> None:
    text = (
        "(float[1,8] x) => (float[1,4] y) { p = Abs(x) [first] a = MatMul(p, w) [last] b = Mul(a, k) y = Softmax(b) }"
    )
    w = np.abs(numbers(8, 4)) * np.array([1, 9, 1, 1], np.float32)
    power, ran = measured(model(text, w=w, k=np.array([1e5, 1e5, 1e5, 1e5], np.float32)))

    assert power.exercised == ("MatMul 'first'", "Mul 'last'")
    assert ran.feeds[-1].name == "searched"
    assert np.any(ran.feeds[-1].arrays["x"])


def test_data_alone_stay_alone() -> None:
    data = real_data({"x": numbers(1, 4, 16)})
    power, ran = measured(saturated(), inputs=replace(data, only=True))

    assert len(ran.feeds) == 1
    assert power.silent == ("MatMul 'first'", "Add 'bias'", "MatMul 'last'")


TABLE = "(int64[1,6] ids) => (float[1,6,4] y) { [embedding] e = Gather(table, ids) y = Tanh(e) }"


def test_what_counts_and_what_does_not() -> None:
    assert measured(model(TABLE, table=numbers(20, 4)))[0].exercised == ("Gather 'embedding'",)
    assert not measured(model("(float[2,3] x) => (float[2,3] y) <float h = {0.5}> { y = Mul(x, h) }"))[0].tried
    folded = """(float[2,8] x) => (float[2,4] y) {
        t = Transpose(w) [product] a = MatMul(x, t) [of_data] b = MatMul(a, s) [scale] y = Mul(b, c) }"""
    power, _ = measured(model(folded, w=numbers(4, 8), s=np.eye(4, dtype=np.float32), c=numbers(4)))
    assert power.exercised == ("MatMul 'product'", "MatMul 'of_data'", "Mul 'scale'")
    of_data = "(float[2,8] x, float[8,4] w) => (float[2,4] y) { y = MatMul(x, w) }"
    assert measured(model(of_data))[0].is_enough


BRANCH = """(float[2,8] x, bool go) => (float[2,4] y) {
    y = If(go) <then_branch = one () => (float[2,4] a) { [inner] a = MatMul(x, w) },
                else_branch = two () => (float[2,4] b) { [other] b = MatMul(x, v) }> }"""


def test_branches_are_tried_and_named() -> None:
    power, _ = measured(model(BRANCH, w=numbers(8, 4), v=numbers(8, 4)))

    assert len(power.exercised) == 2
    assert power.exercised[0].startswith("MatMul 'inner' in ")
    assert power.exercised[0].endswith("then_branch")


def test_a_branch_that_the_sizes_rule_out_does_not_count() -> None:
    text = BRANCH.replace(", bool go", "").replace(
        "{\n    y", "{ s = Shape(x) g = Gather(s, zero) go = Equal(g, two) y", 1
    )
    sizes: dict[str, Any] = {"zero": np.array(0), "two": np.array(2)}
    power, _ = measured(model(text, w=numbers(8, 4), v=numbers(8, 4), **sizes))

    assert len(power.exercised) == 1
    assert not power.silent


MODES = """(float[1,8] x, int64 rate) => (float[1,4] y) <int64 high = {16000}> { go = Equal(rate, high)
    y = If(go) <then_branch = one () => (float[1,4] a) { [high_rate] a = MatMul(x, w) },
                else_branch = two () => (float[1,4] b) { [low_rate] b = MatMul(x, v) }> }"""


def test_the_other_mode_of_a_model_is_tried() -> None:
    power, ran = measured(model(MODES, w=numbers(8, 4), v=numbers(8, 4)))
    assert len(power.exercised) == 2
    assert ran.feeds[-1].arrays["rate"] != 16000
    assert not ran.notes


@pytest.mark.parametrize("inputs", [None, {"rate": np.array(16000)}])
def test_a_mode_that_the_model_refuses_at_these_sizes_is_told(inputs: Given | None) -> None:
    text = MODES.replace("b = MatMul(x, v)", "ninth = Gather <axis = 1> (x, eight) b = MatMul(ninth, v)")
    text = text.replace("high = {16000}", "high = {16000}, int64[1] eight = {8}")
    for remembered in (False, True):
        power, ran = measured(model(text, w=np.ones((8, 4), np.float32), v=np.ones((1, 4), np.float32)), inputs=inputs)
        assert power.remembered is remembered
        assert len(power.exercised) == 1
        assert not power.silent
        told = "input 'rate' was 16000 in every draw: at these sizes the model refuses the other values that were tried"
        assert ran.notes == (told,)


def test_loops_functions_and_all_results_of_a_recurrent_layer() -> None:
    loop = """(float[2,4] x) => (float[2,4] y) <int64 trips = {3}, bool go = {1}> {
        y = Loop(trips, go, x) <body = b (int64 i, bool c, float[2,4] v) => (bool d, float[2,4] r) {
            d = Identity(c) [step] m = MatMul(v, w) r = Tanh(m) }> }"""
    assert len(measured(model(loop, w=numbers(4, 4)))[0].exercised) == 1
    called = model(
        "(float[2,4] x) => (float[2,4] y) { y = my.layer(x, w) }",
        """<opset_import: ["": 17], domain: "my"> layer(v, w) => (r) { m = MatMul(v, w) r = Tanh(m) }""",
        w=numbers(4, 4),
    )
    assert len(measured(called)[0].exercised) == 1
    last = "(float[5,1,3] x) => (float[1,1,4] y) { a, h, y = LSTM <hidden_size = 4> (x, w, r) }"
    power, _ = measured(model(last, w=numbers(1, 16, 3), r=numbers(1, 16, 4)))
    assert len(power.exercised) == 1


@pytest.mark.parametrize("opset", [7, 9, 13, 21])
def test_old_and_new_opsets(opset: int) -> None:
    proto = model("(float[2,8] x) => (float[2,4] y) { y = MatMul(x, w) }", opset=opset, w=numbers(8, 4))
    assert len(measured(proto)[0].exercised) == 1


def test_half_floats_and_integers() -> None:
    half = model("(float16[2,8] x) => (float16[2,4] y) { y = MatMul(x, w) }", w=numbers(8, 4).astype(np.float16))
    assert len(measured(half, tolerance=FLOAT16)[0].exercised) == 1
    quantised = """(float[2,8] x) => (float[2,4] y) {
        a, s, z = DynamicQuantizeLinear(x) b = MatMulInteger(a, w, z) c = Cast <to = 1> (b) y = Mul(c, s) }"""
    weights = RANDOM.integers(-90, 90, (8, 4)).astype(np.int8)
    assert len(measured(model(quantised, w=weights))[0].exercised) == 1
    linear = """(float[2,8] x) => (float[2,4] y) <float s = {0.05}, uint8 z = {128}> { a = QuantizeLinear(x, s, z)
        b = QLinearMatMul(a, s, z, w, s, z, t, z) y = DequantizeLinear(b, t, z) }"""
    tables: dict[str, Any] = {"w": RANDOM.integers(0, 255, (8, 4)).astype(np.uint8), "t": np.array(0.2, np.float32)}
    assert len(measured(model(linear, **tables))[0].exercised) == 1


def test_a_fault_is_in_a_half_of_the_elements_and_never_in_none() -> None:
    proto = model("(float[1,512] x) => (float[1,512] y) { y = Mul(x, w) }", w=np.ones(512, np.float32))
    arrays = {"x": np.ones((1, 512), np.float32)}
    faulty = FaultyModel(proto)
    try:
        right, wrong = faulty.run(arrays, {}), faulty.run(arrays, {}, 0)
    finally:
        faulty.close()
    assert not isinstance(right, Failure)
    assert not isinstance(wrong, Failure)
    assert (right["y"] == 1).all()
    assert sorted(np.unique(wrong["y"])) == [1, np.float32(1.08)]
    assert 200 < (wrong["y"] != 1).sum() < 312
    single = model("(float[1,8] x) => (float[1,1] y) { y = MatMul(x, w) }", w=numbers(8, 1))
    assert len(measured(single)[0].exercised) == 1


def test_a_norm_does_not_undo_the_fault() -> None:
    text = """(float[2,8] x) => (float[2,16] y) <float e = {1e-6}> { [product] a = MatMul(x, w)
        m = ReduceMean <axes = [-1]> (a) c = Sub(a, m) q = Mul(c, c) v = ReduceMean <axes = [-1]> (q) u = Add(v, e)
        s = Sqrt(u) y = Div(c, s) }"""
    assert measured(model(text, w=numbers(8, 16)))[0].exercised == ("MatMul 'product'",)


def test_external_weights_stay_where_they_are(tmp_path: Path) -> None:
    proto = model("(float[2,64] x) => (float[2,64] y) { y = MatMul(x, w) }", w=numbers(64, 64))
    path = tmp_path / "external.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="external.bin", size_threshold=0)
    kept = onnx.load(path, load_external_data=False)
    analysis = PowerAnalysis(kept, folder=tmp_path)
    ran = run_reference_on(Feeder(kept, input_signature(kept), {}, real_data(None)), reference := OnnxRunner(path))
    assert not isinstance(ran.outputs, Failure)
    analysis.measure(reference, ran, ran.outputs, {"y": FLOAT32}, took=0)
    assert len(concluded(analysis).exercised) == 1


@pytest.mark.parametrize("name", ["model.onnx", "other.onnx"])
def test_external_weights_behind_links_are_found(tmp_path: Path, name: str) -> None:
    snapshot, blobs = tmp_path / "snapshots" / "1", tmp_path / "blobs"
    for folder in (snapshot, blobs, tmp_path / "plain"):
        folder.mkdir(parents=True)
    proto = model(
        "(float[1,8,4,4] x) => (int64[1,1,4,4] y) { s = Conv(x, w) y = ArgMax<axis=1>(s) }",
        w=numbers(16, 8, 1, 1),
    )
    plain = tmp_path / "plain" / name
    onnx.save(proto, tmp_path / "model.onnx")
    onnx.save(proto, plain, save_as_external_data=True, location="weights", size_threshold=0)
    converted = mnn.convert(
        tmp_path / "model.onnx", tmp_path / "model.mnn", options=mnn.ConvertOptions(), limits=mnn.Limits()
    )
    assert not isinstance(converted, Failure)
    for number, file in enumerate((name, "weights")):
        (plain.parent / file).replace(blobs / str(number))
        (snapshot / file).symlink_to(f"../../blobs/{number}")
    for again in (False, True):
        report = verify(snapshot / name, converted.path)
        assert report.passed, report.problems
        assert {each.name for each in report.outputs} == {"y", "scores of y"}
        assert report.power is not None
        assert report.power.exercised == ("Conv 's'",)
        assert report.power.remembered is again


def test_fed_noise_does_not_hide_a_fault() -> None:
    text = "(float[1,8] x) => (float[1,4] y) { n = RandomNormalLike(x) a = Add(x, n) [product] y = MatMul(a, w) }"
    recorder = NoiseRecorder(model(text, w=numbers(8, 4)))
    proto = recorder.model
    ran = run_reference_on(Feeder(proto, input_signature(proto), {}, real_data(None)), reference := OnnxRunner(proto))
    assert not isinstance(ran.outputs, Failure)
    analysis = PowerAnalysis(proto, noise=recorder.recorded)
    analysis.measure(reference, ran, ran.outputs, {"y": FLOAT32}, took=0)
    assert concluded(analysis).exercised == ("MatMul 'product'",)


def test_a_signal_to_noise_ratio_is_replaced_by_what_the_draws_can_show() -> None:
    proto = model("(float[2,8] x) => (float[2,64] y) { y = MatMul(x, w) }", w=numbers(8, 64))
    assert len(measured(proto, tolerance=FP16_WEIGHTS)[0].exercised) == 1


def set_aside(ran: Reference, expected: np.ndarray, *draws: str) -> OutputParity:
    """Everything agrees, and some draws are set aside."""
    found = [compare(expected, expected, FLOAT32, draw=feed.name) for feed in ran.feeds]
    marked = tuple(replace(each, inconclusive=each.draw in draws) for each in found)
    return OutputParity(name="y", tolerance=FLOAT32, comparisons=marked, problems=())


def test_what_was_set_aside_shows_nothing() -> None:
    proto = model("(float[2,8] x) => (float[2,4] y) { [product] y = MatMul(x, w) }", w=numbers(8, 4))
    analysis = PowerAnalysis(proto)
    _, ran = measured(proto, analysis=analysis)
    names = [feed.name for feed in ran.feeds]
    ones = np.ones((2, 4), np.float32)

    assert concluded(analysis, set_aside(ran, ones, "normal")).exercised == ("MatMul 'product'",)
    assert concluded(analysis, set_aside(ran, ones, *(set(names) - {"zeros"}))).silent == ("MatMul 'product'",)
    assert concluded(analysis, set_aside(ran, ones, *names)).untried == ("MatMul 'product'",)


def test_a_second_run_remembers(empty_cache: Path) -> None:
    first, ran = measured(saturated())
    second, again = measured(saturated())

    assert (first.remembered, second.remembered) == (False, True)
    assert (second.exercised, second.silent, second.untried) == (first.exercised, first.silent, first.untried)
    assert [feed.name for feed in again.feeds] == [feed.name for feed in ran.feeds]
    assert np.array_equal(again.feeds[-1].arrays["x"], ran.feeds[-1].arrays["x"])
    assert len(list((empty_cache / "mnncompat" / "power").iterdir())) == 1


def test_another_model_and_another_tolerance_are_not_remembered() -> None:
    measured(saturated())
    assert not measured(saturated(shuffled=True))[0].remembered
    assert not measured(saturated(), tolerance=replace(FLOAT32, rtol=1e-2))[0].remembered


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_a_damaged_cache_is_as_good_as_none(empty_cache: Path, damage: bytes) -> None:
    measured(saturated())
    (file,) = (empty_cache / "mnncompat" / "power").iterdir()
    file.write_bytes(damage)
    assert not measured(saturated())[0].remembered
    assert measured(saturated())[0].remembered


def test_a_cache_of_another_form_is_as_good_as_none(empty_cache: Path) -> None:
    measured(saturated())
    (file,) = (empty_cache / "mnncompat" / "power").iterdir()
    np.savez(file, findings=np.frombuffer(b'{"labels": [], "records": []}', np.uint8))
    assert not measured(saturated())[0].remembered


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [measured(saturated())[0].remembered for _ in range(2)] == [False, False]


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert KeptFindings(saturated(), None, [], {}).load() is None
    assert len(measured(saturated())[0].exercised) == 3


def test_the_number_of_files_is_bounded(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnncompat.parity.power.findings._MOST_FILES", 2)
    for size in (3, 4, 5):
        measured(model("(float[2,8] x) => (float[2,N] y) { y = MatMul(x, w) }", w=numbers(8, size)))
    assert len(list((empty_cache / "mnncompat" / "power").iterdir())) == 2


def test_what_there_is_no_time_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = " ".join(f"a{number + 1} = MatMul(a{number}, w)" for number in range(200))
    proto = model(
        f"(float[1,8] x) => (float[1,8] y) {{ a0 = Identity(x) {chain} y = Identity(a200) }}",
        w=np.eye(8, dtype=np.float32),
    )
    monkeypatch.setattr(power_analysis, "LEAST_SECONDS", 0.1)
    start = time.monotonic()
    power, _ = measured(proto)
    assert time.monotonic() - start < 5
    assert power.untried
    assert len(power.exercised) + len(power.silent) + len(power.untried) == 200


def test_a_model_that_onnxruntime_refuses_is_untried() -> None:
    unknown = model("(float[2,8] x) => (float[2,4] y) { a = MatMul(x, w) y = my.unheard(a) }", w=numbers(8, 4))
    unknown.opset_import.append(helper.make_opsetid("my", 1))
    unknown.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, [2, 4]))
    faulty = FaultyModel(unknown)
    try:
        assert isinstance(faulty.run({"x": numbers(2, 8)}, {}), Failure)
    finally:
        faulty.close()


def test_the_quick_comparison_agrees_with_the_full_one() -> None:
    for seed in range(200):
        random = np.random.default_rng(seed)
        expected = random.standard_normal((2, 3, 40)).astype(np.float32) * 10.0 ** random.integers(-8, 8)
        error = (
            expected
            * random.choice([1e-5, 9e-4, 2e-3, 1e-2])
            * (random.random(expected.shape) < random.choice([0.004, 0.02, 1]))
        )
        actual = (expected + error).astype(np.float32)
        if seed % 7 == 0:
            expected.flat[3], actual.flat[3] = np.nan, random.choice([np.nan, np.inf])
        for tolerance in (FLOAT32, FP16_WEIGHTS):
            assert agrees(expected, actual, tolerance) == compare(expected, actual, tolerance).passed


def test_a_model_without_room_for_its_weights_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("mnncompat.parity.power.faulty_model.shell_of", full)
    proto, analysis = saturated(), PowerAnalysis(saturated())
    ran = run_reference_on(Feeder(proto, input_signature(proto), {}, real_data(None)), reference := OnnxRunner(proto))
    assert not isinstance(ran.outputs, Failure)
    told, _ = analysis.measure(reference, ran, ran.outputs, {"y": FLOAT32}, took=0)
    assert told.notes[-1] == "not measured what the draws would show: no space left on device"
    power = concluded(analysis)
    assert power.untried == ("MatMul 'first'", "Add 'bias'", "MatMul 'last'")
    assert not power.is_enough


def test_what_onnx_runtime_does_not_load_is_measured_by_the_evaluator() -> None:
    text = """(float[2,40] x) => (float[2,8] y) {
        [first] a = MatMul(x, w) b = Relu(a) [last] c = MatMul(b, v)
        d = Cast<to=11>(c) e = Sinh(d) y = Cast<to=1>(e) }"""
    proto = model(text, w=0.05 * numbers(40, 32), v=0.1 * numbers(32, 8))  # 5 kB, which go to a file of their own
    assert isinstance(OnnxRuntimeRunner(proto).run([{"x": numbers(2, 40)}]), Failure)
    power, _ = measured(proto)
    assert power.exercised == ("MatMul 'first'", "MatMul 'last'")


@pytest.mark.parametrize(
    ("exercised", "untried", "is_enough"),
    [(0, 0, True), (0, 1, False), (1, 1, True), (1, 2, False), (9, 11, False), (10, 400, True)],
)
def test_a_sample_is_half_of_the_operators_or_ten(exercised: int, untried: int, is_enough: bool) -> None:  # noqa: FBT001
    power = Power(exercised=tuple("e" * exercised), untried=tuple("u" * untried))
    assert power.is_enough is is_enough


def test_a_number_repeated_is_no_weight() -> None:
    text = """(float[2,8] x) => (float[2,4] y) {
        a = MatMul(x, v) s = Constant<value = int64[2] {8, 4}>() f = ConstantOfShape<value = float[1] {0.5}>(s)
        b = MatMul(a, f) y = Add(b, w) }"""
    power, ran = measured(model(text, v=numbers(8, 8), w=numbers(4)))
    assert power.exercised == ("Add 'y'",)
    assert not power.silent
    assert any(note.startswith("2 operators with weights do not count") for note in ran.notes)


def test_a_mask_of_one_number_hides_nothing() -> None:
    text = """(float[2,8] x) => (float[2,4] y) {
        a = MatMul(x, v) s = Constant<value = int64[1] {4}>() f = ConstantOfShape<value = float[1] {0.5}>(s)
        b = Mul(a, f) y = Add(b, w) }"""
    power, ran = measured(model(text, v=numbers(8, 4), w=numbers(4)))
    assert power.exercised == ("MatMul 'a'", "Add 'y'")
    assert not any("do not count" in note for note in ran.notes)


def test_faults_are_planted_on_the_smallest_draw_first() -> None:
    proto = model("(float[n,8] x) => (float[n,4] y) { y = MatMul(x, w) }", w=numbers(8, 4))
    feeds = [NamedFeeds(name=str(size), arrays={"x": numbers(size, 8)}) for size in (3, 1, 2)]
    expected = OnnxRunner(proto).run([feed.arrays for feed in feeds])
    assert not isinstance(expected, Failure)
    with closing(FaultyModel(proto)) as faulty:
        trials = Trials(faulty, feeds, expected, {"y": FLOAT32})
        trials.run(time.process_time() + 60)
    assert trials.records == {0: {"1": ("y",)}}


def test_a_switch_that_asks_for_other_sizes_gets_them() -> None:
    text = """(float[N,T] x, int64 rate) => (float[N,4] y) <int64 high = {16000}> {
        c = Equal(rate, high)
        y = If (c) <
            then_branch = a () => (float[N,4] p) { [fast] p = MatMul(x, w) },
            else_branch = b () => (float[N,4] q) { [slow] q = MatMul(x, v) }> }"""
    proto = model(text, w=numbers(16, 4), v=numbers(8, 4))
    power, ran = measured(proto)
    assert {name.partition(" in ")[0] for name in power.exercised} == {"MatMul 'fast'", "MatMul 'slow'"}
    assert {(feed.shapes["x"][1], feed.arrays["rate"].item() == 16000) for feed in ran.feeds} == {
        (16, True),
        (8, False),
    }
    assert not any("refuses the other values" in note for note in ran.notes)
