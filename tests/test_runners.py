"""ONNX Runtime and MNN behind one protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, parser

import mnncompat
from mnncompat import mnn
from mnncompat.errors import RunnerError
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity.mnn_runner import MnnRunner
from mnncompat.parity.runners import OnnxRunner, OnnxRuntimeRunner
from mnncompat.parity.signature import InputSpec, input_signature, output_names
from mnncompat.results.failures import Failure, FailureKind, Stage

ROOT = Path(mnncompat.__path__[0]).parent
LIMITS = Limits(seconds=60, memory_bytes=2 << 30)


def _model(graph: str) -> onnx.ModelProto:
    model: onnx.ModelProto = parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17, "odd.domain" : 1]>\n{graph}')
    return model


NEG = "agraph (float[N, 2] x) => (float[N, 2] z, int64[2] s) { z = Neg(x)\n s = Shape(x) }"


@pytest.mark.parametrize("form", ["path", "text", "bytes", "model"])
def test_onnx_runtime_takes_a_model_in_every_form(tmp_path: Path, form: str) -> None:
    model, path = _model(NEG), tmp_path / "model.onnx"
    onnx.save(model, path)
    forms: dict[str, Path | str | bytes | onnx.ModelProto] = {
        "path": path,
        "text": str(path),
        "bytes": model.SerializeToString(),
        "model": model,
    }
    feeds = [{"x": np.full((batch, 2), batch, np.float32)} for batch in (1, 3)]
    found = OnnxRuntimeRunner(forms[form]).run(feeds)
    assert not isinstance(found, Failure)
    for feed, outputs in zip(feeds, found, strict=True):
        assert list(outputs) == ["z", "s"]
        np.testing.assert_array_equal(outputs["z"], -feed["x"])


@pytest.mark.parametrize("in_memory", [False, True])
def test_external_data_is_found(tmp_path: Path, *, in_memory: bool) -> None:
    weight = np.arange(4, dtype=np.float32)
    model = _model("agraph (float[4] x) => (float[4] z) { z = Add(x, w) }")
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    given = onnx.load(path, load_external_data=False) if in_memory else path
    found = OnnxRuntimeRunner(given, folder=tmp_path if in_memory else None).run([{"x": weight}])
    assert not isinstance(found, Failure)
    np.testing.assert_array_equal(found[0]["z"], 2 * weight)


@pytest.mark.parametrize(
    ("graph", "feed", "stage"),
    [
        (
            "agraph (float[2] x) => (float[2] z) { z = odd.domain.Strange(x) }",
            {"x": np.zeros(2, np.float32)},
            Stage.LOAD,
        ),
        (NEG, {"x": np.zeros((1, 3), np.float32)}, Stage.RUN),
        (NEG, {"x": np.zeros((1, 2), np.float64)}, Stage.RUN),
        (NEG, {}, Stage.RUN),
        (
            "agraph (float[N] x) => (float[M] z) { s = Constant <value_ints = [5]> ()\n z = Reshape(x, s) }",
            {"x": np.zeros(4, np.float32)},
            Stage.RUN,
        ),
    ],
)
def test_what_onnx_runtime_refuses_is_a_failure_in_its_words(
    graph: str, feed: dict[str, np.ndarray], stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    failure = OnnxRuntimeRunner(_model(graph)).run([feed])
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.stage) == (FailureKind.ERROR, stage)
    assert failure.message.startswith("ONNX Runtime: ")
    assert "\n" not in failure.message
    assert failure.words
    assert capfd.readouterr() == ("", "")


def test_an_output_that_is_no_tensor_is_a_failure() -> None:
    model = _model("agraph (float[2] x) => (seq(float[2]) z) { z = SequenceConstruct(x) }")
    failure = OnnxRuntimeRunner(model).run([{"x": np.zeros(2, np.float32)}])
    assert isinstance(failure, Failure)
    assert "output 'z' holds strings, or is no tensor" in failure.message


def test_a_model_that_is_too_large_for_memory_is_a_runner_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: onnx.ModelProto) -> bytes:
        raise ValueError("exceeds maximum protobuf size of 2GB")

    model = _model(NEG)
    monkeypatch.setattr(onnx.ModelProto, "SerializeToString", refuse)
    with pytest.raises(RunnerError, match="2 GB"):
        OnnxRuntimeRunner(model).run([{"x": np.zeros((1, 2), np.float32)}])


TELEMETRY = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy, onnx
from onnx import parser
from mnncompat.parity.runners import OnnxRuntimeRunner
graph = "agraph (float[2] x) => (float[2] z) { z = Neg(x) }"
model = parser.parse_model('<ir_version: 9, opset_import: ["" : 17]> ' + graph)
assert OnnxRuntimeRunner(model).run([{"x": numpy.zeros(2, numpy.float32)}])[0]["z"].shape == (2,)
"""


def test_onnx_runtime_leaves_no_telemetry_in_the_home_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    subprocess.run(
        [sys.executable, "-c", TELEMETRY, str(ROOT)],
        check=True,
        env=environment | {"HOME": str(tmp_path)},
        cwd=tmp_path,
    )
    assert not list(tmp_path.iterdir())


def test_mnn_runs_behind_the_same_protocol(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(_model(NEG), path)
    converted = mnn.convert(path, tmp_path / "model.mnn", options=ConvertOptions(), limits=LIMITS)
    assert isinstance(converted, mnn.Converted)
    found = MnnRunner(converted.path, outputs=("z", "s"), limits=LIMITS).run([{"x": np.ones((3, 2), np.float32)}])
    assert not isinstance(found, Failure)
    np.testing.assert_array_equal(found[0]["z"], -np.ones((3, 2)))
    np.testing.assert_array_equal(found[0]["s"], [3, 2])
    failure = MnnRunner(tmp_path / "absent.mnn", outputs=("z",), limits=LIMITS).run(
        [{"x": np.ones((3, 2), np.float32)}]
    )
    assert isinstance(failure, Failure)


def test_the_signature_leaves_out_inputs_with_a_default() -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Sum", ["a", "b", "c", "w"], ["z"])],
        "g",
        [
            value("a", TensorProto.FLOAT, ["N", 3, None, -1]),
            value("b", TensorProto.BOOL, []),
            value("c", TensorProto.BFLOAT16, None),
            value("w", TensorProto.FLOAT, [1]),
            helper.make_tensor_sequence_value_info("q", TensorProto.FLOAT, None),
        ],
        [value("z", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.zeros(1, np.float32), "w")],
    )
    model = helper.make_model(graph)
    assert input_signature(model) == (
        InputSpec(name="a", dtype=np.dtype(np.float32), shape=("N", 3, None, None)),
        InputSpec(name="b", dtype=np.dtype(np.bool_), shape=()),
        InputSpec(name="c", dtype=np.dtype(np.float32), shape=None, is_bfloat16=True),
        InputSpec(name="q", dtype=None, shape=None),
    )
    assert output_names(model) == ("z",)


def test_what_onnx_runtime_does_not_load_is_evaluated_by_onnx_itself() -> None:
    model = _model("agraph (double[3] x) => (double[3] y) { y = Acosh(x) }")
    feeds = [{"x": np.array([1.0, 2.0, 5.5])}]
    fast = OnnxRuntimeRunner(model).run(feeds)
    assert isinstance(fast, Failure)
    assert fast.stage is Stage.LOAD
    (found,) = _outputs(OnnxRunner(model).run(feeds))
    np.testing.assert_allclose(found["y"], np.arccosh(feeds[0]["x"]))


def test_what_nobody_computes_fails_in_the_words_of_onnx_runtime() -> None:
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["": 17, "nobody": 1]> g (float[2] x) => (float[2] y) { y = nobody.Op(x) }'
    )
    feeds = [{"x": np.zeros(2, np.float32)}]
    assert OnnxRunner(model).run(feeds) == OnnxRuntimeRunner(model).run(feeds)


def _outputs(found: list[dict[str, np.ndarray]] | Failure) -> list[dict[str, np.ndarray]]:
    assert isinstance(found, list), found
    return found
