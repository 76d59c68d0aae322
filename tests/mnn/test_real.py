"""The real thing: MNN in its child process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import mnncompat
from mnncompat import mnn
from mnncompat.errors import OutputError, RunnerError, UsageError
from mnncompat.mnn import ConvertOptions, Limits, request
from mnncompat.mnn.process import working_directory
from mnncompat.results.failures import Failure, FailureKind, Stage
from mnncompat.support.releases import installed_version

ROOT = Path(mnncompat.__path__[0]).parent
PLAIN = ConvertOptions()
WRITE = Callable[..., Path]
CONV = """
agraph (float[N, 3, 16, 16] x) => (float[N, 8, 16, 16] z) {
    y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w)
    z = Relu(y)
}
"""


@pytest.fixture
def weight() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)


def _converted(model: Path, limits: Limits, options: ConvertOptions = PLAIN) -> Path:
    result = mnn.convert(model, model.with_suffix(".mnn"), options=options, limits=limits)
    assert isinstance(result, mnn.Converted), result
    assert result.path.stat().st_size > 0
    return result.path


def _ran(model: Path, limits: Limits, outputs: list[str], *feeds: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    result = mnn.run(model, feeds, output_names=outputs, limits=limits)
    assert isinstance(result, mnn.Ran), result
    return result.outputs


def _failed(model: Path, limits: Limits, outputs: list[str], *feeds: dict[str, np.ndarray]) -> Failure:
    result = mnn.run(model, feeds, output_names=outputs, limits=limits)
    assert isinstance(result, Failure)
    return result


def _convolved(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    padded = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    convolved: np.ndarray = np.einsum("nchwij,ocij->nohw", windows, weight)
    rectified: np.ndarray = np.maximum(convolved, 0)
    return rectified


def test_one_loaded_model_runs_several_batch_sizes(onnx_file: WRITE, weight: np.ndarray, limits: Limits) -> None:
    model = _converted(onnx_file(CONV, w=weight), limits)
    random = np.random.default_rng(1)
    images = [random.standard_normal((batch, 3, 16, 16)).astype(np.float32) for batch in (1, 3, 2)]
    for image, found in zip(images, _ran(model, limits, ["z"], *({"x": image} for image in images)), strict=True):
        np.testing.assert_allclose(found["z"], _convolved(image, weight), rtol=1e-4, atol=1e-4)


def test_tensors_inside_are_computed_of_the_first_feed(onnx_file: WRITE, weight: np.ndarray, limits: Limits) -> None:
    model = _converted(onnx_file(CONV, w=weight), limits)
    image = np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float32)
    ran = mnn.run(model, [{"x": image}, {"x": 2 * image}], output_names=["z"], inner=["x", "z"], limits=limits)
    assert isinstance(ran, mnn.Ran)
    assert sorted(ran.inner) == ["x", "z"]
    np.testing.assert_array_equal(ran.inner["z"], ran.outputs[0]["z"])
    np.testing.assert_array_equal(ran.inner["x"], image)
    failed = mnn.run(model, [{"x": image}], output_names=["z"], inner=["missing"], limits=limits)
    assert isinstance(failed, mnn.Failure)
    assert failed.stage is mnn.Stage.INNER


def test_inputs_in_blocks_of_four_channels_are_converted(onnx_file: WRITE, weight: np.ndarray, limits: Limits) -> None:
    path = onnx_file(CONV.replace("[N,", "[1,"), w=weight)
    model = _converted(path, limits, ConvertOptions(keep_input_format=False))
    interface = mnn.interface(model, limits=limits)
    assert isinstance(interface, mnn.MnnInterface)
    assert [(each.name, each.layout) for each in interface.inputs] == [("x", "NC4HW4")]
    image = np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float32)
    found = _ran(model, limits, ["z"], {"x": image})[0]["z"]
    np.testing.assert_allclose(found, _convolved(image, weight), rtol=1e-4, atol=1e-4)


def test_the_interface_names_shapes_types_and_layouts(onnx_file: WRITE, limits: Limits) -> None:
    graph = "agraph (float[N, L] x, int64[2] i) => (float[N, L] z, int64[2] j) { z = Neg(x)\n j = Neg(i) }"
    interface = mnn.interface(_converted(onnx_file(graph), limits), limits=limits)
    assert isinstance(interface, mnn.MnnInterface)
    assert [(each.name, each.shape, each.dtype, each.layout) for each in interface.inputs] == [
        ("x", (1, -1), "float32", "NCHW"),
        ("i", (2,), "int32", "NCHW"),
    ]
    assert interface.outputs == ("z", "j")
    assert interface.version == installed_version()


@pytest.mark.parametrize(
    ("declared", "dtype"),
    [
        ("int64", np.int64),
        ("int32", np.int32),
        ("int16", np.int16),
        ("uint16", np.uint16),
        ("bool", np.bool_),
        ("uint8", np.uint8),
        ("int8", np.int8),
        ("float16", np.float16),
        ("double", np.float64),
    ],
)
def test_every_dtype_that_has_a_tensor_is_fed(onnx_file: WRITE, limits: Limits, declared: str, dtype: type) -> None:
    graph = f"agraph ({declared}[2, 3] x) => (float[2, 3] z) {{ y = Cast <to = 1> (x)\n z = Neg(y) }}"
    values: np.ndarray = np.array([[0, 1, 0], [1, 1, 0]] if dtype is np.bool_ else [[1, 2, 3], [4, 5, 6]]).astype(dtype)
    found = _ran(_converted(onnx_file(graph), limits), limits, ["z"], {"x": values})[0]["z"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, -values.astype(np.float32))


def test_integers_that_do_not_fit_are_unrepresentable(onnx_file: WRITE, limits: Limits) -> None:
    graph = "agraph (int64[1] x) => (float[1] z) { z = Cast <to = 1> (x) }"
    failure = _failed(_converted(onnx_file(graph), limits), limits, ["z"], {"x": np.array([2**40])})
    assert (failure.kind, failure.stage) == (FailureKind.UNREPRESENTABLE, Stage.RUN)


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([1j]), np.array([None])])
def test_types_without_a_tensor_are_unrepresentable(tmp_path: Path, limits: Limits, array: np.ndarray) -> None:
    assert _failed(tmp_path / "any.mnn", limits, ["z"], {"x": array}).kind is FailureKind.UNREPRESENTABLE


def test_a_float_feed_for_an_integer_input_is_unrepresentable(onnx_file: WRITE, limits: Limits) -> None:
    graph = "agraph (int64[1] x) => (float[1] z) { z = Cast <to = 1> (x) }"
    model = _converted(onnx_file(graph), limits)
    assert _failed(model, limits, ["z"], {"x": np.array([1.5])}).kind is FailureKind.UNREPRESENTABLE


def test_a_scalar_stays_a_scalar(onnx_file: WRITE, limits: Limits) -> None:
    model = _converted(onnx_file("agraph (float x) => (float z) { z = Neg(x) }"), limits)
    found = _ran(model, limits, ["z"], {"x": np.array(3.5, np.float32)})[0]["z"]
    assert found.shape == ()
    assert found == np.float32(-3.5)


def test_strided_feeds_are_made_contiguous(onnx_file: WRITE, limits: Limits) -> None:
    model = _converted(onnx_file("agraph (float[3, 2] x) => (float[3, 2] z) { z = Neg(x) }"), limits)
    values = np.arange(6, dtype=np.float32).reshape(2, 3).T
    np.testing.assert_array_equal(_ran(model, limits, ["z"], {"x": values})[0]["z"], -values)


def test_outputs_may_be_inputs_or_asked_for_twice_or_constant(onnx_file: WRITE, limits: Limits) -> None:
    graph = (
        "agraph (float[2] x) => (float[2] z, float[2] c) { z = Relu(x)\n c = Constant <value_floats = [1., 2.]> () }"
    )
    values = np.array([-1, 1], np.float32)
    found = _ran(_converted(onnx_file(graph), limits), limits, ["z", "x", "z", "c"], {"x": values})[0]
    np.testing.assert_array_equal(found["x"], values)
    np.testing.assert_array_equal(found["z"], [0, 1])
    np.testing.assert_array_equal(found["c"], [1, 2])


def test_empty_outputs_have_their_shape(onnx_file: WRITE, limits: Limits) -> None:
    model = _converted(onnx_file("agraph (float[N, L] x) => (float[N, L] z) { z = Neg(x) }"), limits)
    assert _ran(model, limits, ["z"], {"x": np.zeros((1, 0), np.float32)})[0]["z"].shape == (1, 0)


def test_odd_names_survive(tmp_path: Path, limits: Limits) -> None:
    import onnx
    from onnx import TensorProto, helper

    first, last = "x:0/ü.1 a", 'z;,"q'
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Neg", [first], [last])],
        "g",
        [value(first, TensorProto.FLOAT, [2])],
        [value(last, TensorProto.FLOAT, [2])],
    )
    path = tmp_path / "ödd näme.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    found = _ran(_converted(path, limits), limits, [last], {first: np.array([1, 2], np.float32)})
    np.testing.assert_array_equal(found[0][last], [-1, -2])


def test_a_refusal_carries_the_converters_words(onnx_file: WRITE, limits: Limits) -> None:
    model = onnx_file("agraph (float[2, 3] x) => (float[2, 3] y) { y = Hardmax(x) }")
    out = model.with_suffix(".mnn")
    out.write_bytes(b"earlier")
    failure = mnn.convert(model, out, options=PLAIN, limits=limits)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.stage) == (FailureKind.REFUSED, Stage.CONVERT)
    assert failure.words == "These Op Not Support: ONNX::Hardmax"
    assert failure.words in failure.message
    assert out.read_bytes() == b"earlier"


def test_a_file_that_is_no_model_is_refused_or_crashes_but_never_converts(tmp_path: Path, limits: Limits) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("not a model", encoding="utf-8")
    assert isinstance(mnn.convert(path, tmp_path / "out.mnn", options=PLAIN, limits=limits), Failure)
    assert not (tmp_path / "out.mnn").exists()


def test_a_crash_in_the_converter_names_signal_stage_and_last_words(onnx_file: WRITE, limits: Limits) -> None:
    inputs = ", ".join(f"float[3] {name}" for name in "sbmv")
    graph = (
        f"agraph (float[1, 3, 8, 8] x, {inputs}) => (float[1, 3, 8, 8] y) {{ y = BatchNormalization(x, s, b, m, v) }}"
    )
    model = onnx_file(graph)
    failure = mnn.convert(model, model.with_suffix(".mnn"), options=PLAIN, limits=limits)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.stage) == (FailureKind.CRASH, Stage.CONVERT)
    assert failure.message == "SIGSEGV while converting"
    assert "BatchNorm's gamma not valid" in failure.words


def test_a_crash_at_run_names_its_stage(onnx_file: WRITE, limits: Limits) -> None:
    graph = "agraph (float[1, 3, 8, 8] x) => (float[1, 3, 7, 7] y) { y = MaxPool <kernel_shape = [2, 2]> (x) }"
    model = _converted(onnx_file(graph), limits)
    failure = _failed(model, limits, ["y"], {"x": np.ones((1, 3, 8, 8), np.float32)})
    assert (failure.kind, failure.stage) == (FailureKind.CRASH, Stage.RUN)
    assert failure.message.startswith("SIG")


def test_an_empty_list_of_outputs_is_an_error(onnx_file: WRITE, weight: np.ndarray, limits: Limits) -> None:
    model = _converted(onnx_file(CONV, w=weight), limits)
    failure = _failed(model, limits, ["z"], {"x": np.ones((16, 16), np.float32)})
    assert (failure.kind, failure.stage) == (FailureKind.ERROR, Stage.RUN)
    assert "empty list" in failure.message


@pytest.mark.parametrize(("feed", "output"), [("x", "nope"), ("nope", "z")])
def test_names_that_the_file_does_not_have_are_errors(
    onnx_file: WRITE, weight: np.ndarray, limits: Limits, feed: str, output: str
) -> None:
    model = _converted(onnx_file(CONV, w=weight), limits)
    failure = _failed(model, limits, [output], {feed: np.ones((1, 3, 16, 16), np.float32)})
    assert (failure.kind, failure.stage) == (FailureKind.ERROR, Stage.LOAD)


@pytest.mark.parametrize("content", [None, b"", b"not an mnn file at all" * 100])
def test_a_file_that_cannot_be_loaded_is_a_failure(tmp_path: Path, limits: Limits, content: bytes | None) -> None:
    path = tmp_path / "broken.mnn"
    if content is not None:
        path.write_bytes(content)
    assert _failed(path, limits, ["z"], {"x": np.ones(1, np.float32)}).stage is Stage.LOAD


def test_nothing_to_run_is_a_usage_error(tmp_path: Path, limits: Limits) -> None:
    for feeds, outputs in (([], ["z"]), ([{}], []), ([{"x": np.ones(1)}, {"y": np.ones(1)}], ["z"])):
        with pytest.raises(UsageError):
            mnn.run(tmp_path / "any.mnn", feeds, output_names=outputs, limits=limits)


def test_declared_ops_are_names_without_the_lines_around_them(limits: Limits) -> None:
    ops = mnn.declared_ops(limits=limits)
    assert isinstance(ops, tuple)
    assert {"Conv", "Gemm", "Relu"} <= set(ops)
    assert all(name.isidentifier() for name in ops)


def test_two_conversions_at_once_do_not_collide(onnx_file: WRITE, limits: Limits, tmp_path: Path) -> None:
    graph = "agraph (float[1, 600] x) => (float[1, 200] y) { y = MatMul(x, w) }"
    random = np.random.default_rng(3)
    weights = [random.standard_normal((600, 200)).astype(np.float32) for _ in range(4)]
    models = [onnx_file(graph, name=f"{index}.onnx", w=weight) for index, weight in enumerate(weights)]
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda model: _converted(model, limits), models))
    values = random.standard_normal((1, 600)).astype(np.float32)
    for file, weight in zip(files, weights, strict=True):
        found = _ran(file, limits, ["y"], {"x": values})[0]["y"]
        np.testing.assert_allclose(found, values @ weight, rtol=1e-3, atol=1e-3)
    assert {path.suffix for path in tmp_path.iterdir()} == {".onnx", ".mnn"}


def test_nothing_is_written_but_the_output_and_nothing_printed(
    onnx_file: WRITE,
    weight: np.ndarray,
    limits: Limits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    model, here = onnx_file(CONV, w=weight), tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (here / "MNN.py").write_text("raise SystemExit('the user`s folder was imported')", encoding="utf-8")
    monkeypatch.setattr("tempfile.tempdir", None)
    file = _converted(model, limits)
    _ran(file, limits, ["z"], {"x": np.zeros((1, 3, 16, 16), np.float32)})
    assert [path.name for path in here.iterdir()] == ["MNN.py"]
    assert list((tmp_path / "temporary").iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_an_output_that_cannot_be_written_is_an_output_error(onnx_file: WRITE, limits: Limits, tmp_path: Path) -> None:
    model = onnx_file("agraph (float[2] x) => (float[2] z) { z = Neg(x) }")
    with pytest.raises(OutputError):
        mnn.convert(model, tmp_path / "absent" / "out.mnn", options=PLAIN, limits=limits)
    (tmp_path / "folder.mnn").mkdir()
    with pytest.raises(OutputError):
        mnn.convert(model, tmp_path / "folder.mnn", options=PLAIN, limits=limits)
    assert not list(tmp_path.glob(".*.part"))


def test_external_data_is_found_beside_the_model(onnx_file: WRITE, limits: Limits, tmp_path: Path) -> None:
    import onnx

    weight = np.random.default_rng(5).standard_normal((600, 200)).astype(np.float32)
    path = onnx_file("agraph (float[1, 600] x) => (float[1, 200] y) { y = MatMul(x, w) }", w=weight)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").exists()
    values = np.ones((1, 600), np.float32)
    data = {"weights.bin": tmp_path / "weights.bin"}
    converted = mnn.convert(path, tmp_path / "out.mnn", options=PLAIN, limits=limits, data=data)
    assert isinstance(converted, mnn.Converted)
    found = _ran(converted.path, limits, ["y"], {"x": values})[0]["y"]
    np.testing.assert_allclose(found, values @ weight, rtol=1e-3, atol=1e-3)


def test_what_is_not_named_as_external_data_is_out_of_reach(onnx_file: WRITE, limits: Limits, tmp_path: Path) -> None:
    import onnx

    secret = tmp_path / "secret" / "key"
    secret.parent.mkdir()
    secret.write_bytes(mark := b"\x3f\x9d\xf3\xb6" * 64)
    for location in ("key", "secret/key", str(secret), "../secret/key"):
        path = onnx_file("agraph (float[64] x) => (float[64] y) { y = Add(x, w) }", w=np.zeros(64, np.float32))
        model = onnx.load(path)
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        path.write_bytes(model.SerializeToString())
        out = tmp_path / "out.mnn"
        mnn.convert(path, out, options=ConvertOptions(), limits=limits)
        assert not out.exists() or mark not in out.read_bytes()


def test_mnn_that_is_not_installed_is_a_runner_error(
    tmp_path: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "_places", lambda _: [])
    with pytest.raises(RunnerError, match="not installed") as caught:
        mnn.declared_ops(limits=limits)
    assert "pip install" in caught.value.hint
    assert not list(tmp_path.iterdir())


CHILD = """
import socket, sys
sys.path.insert(0, sys.argv[1])
from mnncompat.mnn import worker
from mnncompat.mnn.confinement import confine
confine({"seconds": 10, "memory_bytes": 1 << 31, "file_bytes": 1 << 30}, parent=__import__("os").getppid())
worker.enter(worker.Stage.START)
worker.perform("declare", {"framework": "ONNX"})
worker.perform("inspect", {"model": "absent.mnn"})
refused = []
for attempt in (
    lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
    lambda: socket.socket().connect(("127.0.0.1", 9)),
    lambda: socket.getaddrinfo("example.com", 443),
):
    try:
        attempt()
    except PermissionError:
        refused.append(True)
told = {"modules": sorted(sys.modules), "refused": refused}
worker.publish(told)
"""


def test_the_child_never_imports_mnns_tools_and_cannot_connect(limits: Limits) -> None:
    with working_directory() as directory:
        command = [sys.executable, "-I", "-B", "-c", CHILD, str(ROOT)]
        answer = request.perform("none", {}, directory=directory, limits=limits, command=command)
    assert isinstance(answer, request.Answer), answer
    modules = set(answer.values["modules"])
    assert {"MNN", "MNN.nn", "_tools"} <= modules
    assert not {name for name in modules if name.startswith("MNN.tools")}
    assert not {"aliyun", "requests", "urllib3", "pip"} & modules
    assert answer.values["refused"] == [True, True, True]


def test_importing_the_package_imports_nothing_heavy() -> None:
    source = f"""
import json, sys
sys.path.insert(0, {str(ROOT)!r})
import mnncompat.mnn
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True, text=True)
    modules = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not {"numpy", "onnx", "onnxruntime", "MNN", "_tools", "_mnncengine", "torch"} & modules


def test_the_child_runs_the_package_of_the_parent(limits: Limits) -> None:
    package, _program, _first, places = json.loads(request.python_command("worker")[-1])
    assert Path(package) == Path(mnncompat.__path__[0]).resolve()
    assert places
    with working_directory() as directory:
        source = request._BOOTSTRAP.replace("main()", "import mnncompat; print(mnncompat.__path__)")
        command = [*request.python_command("worker")[:-2], source, request.python_command("worker")[-1]]
        failure = request.perform("none", {}, directory=directory, limits=limits, command=command)
    assert isinstance(failure, Failure)
    assert failure.words == str([package])


def test_the_parent_never_imports_mnn(onnx_file: WRITE, limits: Limits) -> None:
    _converted(onnx_file("agraph (float[2] x) => (float[2] z) { z = Neg(x) }"), limits)
    assert not {"MNN", "_tools", "_mnncengine"} & set(sys.modules)
