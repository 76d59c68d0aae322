"""Outcomes of hand-made micro-models on the real MNN, one of each kind, and what the second measurement adds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from mnncompat.errors import RunnerError
from mnncompat.mnn import Limits
from mnncompat.probe.case import Case, is_representable
from mnncompat.probe.measurement import Aspect, Measurement, Outcome
from mnncompat.probe.pool import Pool
from mnncompat.probe.prober import Prober, combined

ROW = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 7
IMAGE = np.arange(48, dtype=np.float32).reshape(1, 3, 4, 4)
NONE = np.zeros(0, np.int64)


def case(
    graph: str,
    feeds: dict[str, np.ndarray],
    expected: dict[str, np.ndarray] | None,
    *,
    opset: int = 18,
    constants: dict[str, np.ndarray] | None = None,
    op: str = "Any",
) -> Case:
    model = parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]>\n{graph}')
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in (constants or {}).items())
    onnx.checker.check_model(model)
    return Case(id=f"here:{op}", op=op, model=model.SerializeToString(), feeds=feeds, expected=expected)


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


def measured(prober: Prober, *arguments: object, **options: object) -> Measurement:
    return prober.measure(case(*arguments, **options))  # type: ignore[arg-type]


NEG = "g (float[2, 3, 4] x) => (float[2, 3, 4] y) { y = Neg(x) }"


def test_right(prober: Prober) -> None:
    assert measured(prober, NEG, {"x": ROW}, {"y": -ROW}).code == "ok"


def test_refused_with_the_converters_words(prober: Prober) -> None:
    graph = "g (float[2, 3, 4] x) => (float[2, 3, 4] y) { y = Hardmax(x) }"
    found = measured(prober, graph, {"x": ROW}, {"y": ROW})
    assert (found.code, found.detail) == ("refused@convert", "These Op Not Support: ONNX::Hardmax")


def test_a_crash_names_stage_and_signal(prober: Prober) -> None:
    graph = "g (float[1, 3, 4, 4] x) => (float[1, 3, 3, 3] y) { y = MaxPool <kernel_shape = [2, 2]> (x) }"
    assert measured(prober, graph, {"x": IMAGE}, {"y": IMAGE[:, :, 1:, 1:]}).code == "crash@run:SIGFPE"


def test_an_empty_list_of_outputs_is_an_error(prober: Prober) -> None:
    graph = "g (float[2, 3, 4] x) => (float[2, 3, 4] y) { y = Dropout(x) }"
    found = measured(prober, graph, {"x": ROW}, {"y": ROW})
    assert (found.outcome, found.stage) == (Outcome.ERROR, "run")
    assert "Don't support type [Dropout]" in found.detail


def test_a_wrong_shape(prober: Prober) -> None:
    graph = "g (float[2, 3, 4] x) => (float[2, 3, 1] y) { y = ReduceL1 <keepdims = 1> (x, axes) }"
    expected = np.abs(ROW).sum(axis=2, keepdims=True)
    found = measured(prober, graph, {"x": ROW}, {"y": expected}, constants={"axes": np.array([2])})
    assert (found.code, found.detail) == ("wrong:shape", "y: shape [1, 1, 1] instead of [2, 3, 1]")


def test_wrong_values(prober: Prober) -> None:
    graph = "g (float[4] x) => (float[4] y) { y = Round(x) }"
    values = np.array([0.5, 1.5, 2.5, -2.5], np.float32)
    found = measured(prober, graph, {"x": values}, {"y": np.round(values)})
    assert found.code == "wrong:values"
    assert "instead of" in found.detail


def test_a_wrong_kind_of_dtype(prober: Prober) -> None:
    graph = "g (int32[2, 2] x) => (float[2, 2] y) { y = EyeLike <dtype = 1> (x) }"
    found = measured(prober, graph, {"x": np.zeros((2, 2), np.int32)}, {"y": np.eye(2, dtype=np.float32)})
    assert found.code == "wrong:dtype"


def test_memory_that_was_never_written_is_unstable(prober: Prober) -> None:
    """ConstantOfShape without a value: `mnn-facts` 23."""
    graph = """
g (float[2, 3] x, int64[2] shape) => (float[2, 3] y) {
    filled = ConstantOfShape(shape)
    y = Add(x, filled)
}"""
    feeds = {"x": np.ones((2, 3), np.float32), "shape": np.array([2, 3])}
    found = measured(prober, graph, feeds, {"y": np.ones((2, 3), np.float32)})
    assert found.code == "wrong:values!"
    assert found.detail == "depends on memory that was never written"


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ("int64", np.array([2**40, 1])),
        ("uint32", np.array([2**31, 1], np.uint32)),
        ("double", np.array([1e300, 1.0])),
        ("complex64", np.array([1j, 1], np.complex64)),
    ],
)
def test_values_that_mnn_has_no_tensor_for(prober: Prober, declared: str, values: np.ndarray) -> None:
    graph = f"g ({declared}[2] x) => ({declared}[2] y) {{ y = Reshape(x, shape) }}"
    found = measured(prober, graph, {"x": values}, {"y": values}, constants={"shape": np.array([2])})
    assert found.outcome is Outcome.UNREPRESENTABLE


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "uint16", "uint32", "int8", "uint8", "float16", "double"])
def test_dtypes_that_another_tensor_of_mnn_stands_in_for(prober: Prober, dtype: str) -> None:
    graph = f"g ({dtype}[3] x) => ({dtype}[3] y) {{ y = Identity(x) }}"
    values = np.array([1, 2, 3], "float64" if dtype == "double" else dtype)
    assert measured(prober, graph, {"x": values}, {"y": values}).outcome is Outcome.OK


def test_what_is_no_tensor_is_named_and_not_run(prober: Prober) -> None:
    graph = "g (seq(float[2]) x, int64 i) => (float[2] y) { y = SequenceAt(x, i) }"
    found = measured(prober, graph, {}, None)
    assert (found.code, found.detail) == ("unrepresentable", "input 'x' is sequence_type")


def test_a_hang_is_measured_once(fake_python: Path) -> None:
    hanging = Case(id="here:hang", op="Any", model=b"while True: pass", feeds={"x": ROW}, expected={"y": ROW})
    limits = Limits(seconds=0.5, memory_bytes=1 << 29)
    with Prober(python=fake_python, limits=limits) as prober:
        assert len(prober.attempts(hanging)) == 1
        assert prober.measure(hanging).code == "hang@convert"


def test_measuring_again_gives_the_same(prober: Prober) -> None:
    again = [measured(prober, NEG, {"x": ROW}, {"y": ROW}) for _ in range(2)]
    assert again[0] == again[1]
    assert again[0].code == "wrong:values"


def _of(outcome: Outcome, **more: object) -> Measurement:
    return Measurement(id="here:x", op="X", outcome=outcome, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "two", "same", "code"),
    [
        (_of(Outcome.OK), _of(Outcome.OK), True, "ok"),
        (_of(Outcome.OK), _of(Outcome.OK), False, "wrong:values!"),
        (_of(Outcome.OK), _of(Outcome.WRONG, aspect=Aspect.SHAPE), False, "wrong:shape!"),
        (_of(Outcome.OK), _of(Outcome.CRASH, stage="run", cause="SIGSEGV"), False, "crash@run:SIGSEGV!"),
        (_of(Outcome.WRONG, aspect=Aspect.VALUES), _of(Outcome.OK), False, "wrong:values!"),
        (_of(Outcome.ERROR, stage="run"), _of(Outcome.OK), False, "error@run!"),
        (_of(Outcome.CRASH, stage="run", cause="SIGSEGV"), _of(Outcome.CRASH, stage="run", cause="memory"), True, None),
        (_of(Outcome.REFUSED, stage="convert"), _of(Outcome.REFUSED, stage="convert"), True, "refused@convert"),
    ],
)
def test_two_measurements_make_one(one: Measurement, two: Measurement, same: bool, code: str | None) -> None:  # noqa: FBT001
    assert combined(one, two, same=same).code == (code or one.code)


def test_a_pool_measures_everything_on_all_probers() -> None:
    right, wrong = case(NEG, {"x": ROW}, {"y": -ROW}, op="A"), case(NEG, {"x": ROW}, {"y": ROW}, op="B")
    with Pool(jobs=2) as pool:
        assert pool.environment.machine
        found = list(pool.measure(iter([right, wrong] * 4)))
    assert sorted(each.code for each in found) == ["ok"] * 4 + ["wrong:values"] * 4


def test_leaving_a_pool_early_ends_it(fake_python: Path) -> None:
    def cases() -> Iterator[Case]:
        yield Case(id="here:quick", op="Any", model=b"pass", feeds={"x": ROW}, expected={"y": ROW})
        while True:
            yield Case(id="here:slow", op="Any", model=b"import time; time.sleep(60)", feeds={}, expected={"y": ROW})

    with Pool(jobs=2, python=fake_python) as pool:
        measuring = pool.measure(cases())
        assert next(measuring).code == "refused@convert"
        measuring.close()  # type: ignore[attr-defined]


def test_leaving_a_pool_does_not_wait_for_a_case_that_is_being_made(fake_python: Path) -> None:
    """Ctrl-C has three seconds until what was measured has to be written."""
    left = threading.Event()

    def cases() -> Iterator[Case]:
        yield Case(id="here:quick", op="Any", model=b"pass", feeds={"x": ROW}, expected={"y": ROW})
        left.wait(60)

    with Pool(jobs=2, python=fake_python) as pool:
        measuring = pool.measure(cases())
        assert next(measuring).code == "refused@convert"
        begun = time.monotonic()
        measuring.close()  # type: ignore[attr-defined]
        took = time.monotonic() - begun
        left.set()
    assert took < 30, took


def test_an_error_of_a_prober_reaches_the_reader(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    with Pool(jobs=2, python=tmp_path / "python") as pool, pytest.raises(RunnerError, match="does not start"):
        list(pool.measure([case(NEG, {"x": ROW}, {"y": ROW})]))


def test_which_arrays_mnn_has_a_tensor_for() -> None:
    import ml_dtypes

    assert is_representable(np.zeros(2, ml_dtypes.bfloat16))
    assert is_representable(np.bool_(1))
    for dtype in (ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, np.complex64, "U3", object):
        assert not is_representable(np.zeros(2, dtype)), dtype
    assert not is_representable([NONE])
    assert is_representable(np.array([np.inf, 1.0]))
