"""The emulation of arm64. Set up where it is missing; MNNCOMPAT_NO_DEVICE=1 leaves all of this out, visibly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from mnncompat.cli import main
from mnncompat.devices.device import Precision, Where
from mnncompat.devices.names import device_named
from mnncompat.devices.self_test import self_test
from mnncompat.probe.measurement import Outcome
from mnncompat.probe.prober import Prober
from mnncompat.probe.selection import Selection

pytestmark = pytest.mark.usefixtures("emulation")
CASES = {
    "test_add": Outcome.OK,
    "test_softmax_example": Outcome.OK,
    "test_relu": Outcome.OK,
    "test_matmul_2d": Outcome.OK,
    "test_basic_conv_with_padding": Outcome.OK,
    "test_layer_normalization_2d_axis1": Outcome.OK,
    "test_reduce_sum_do_not_keepdims_example": Outcome.OK,
    "test_loop11": Outcome.WRONG,
    "test_logsoftmax_large_number_expanded": Outcome.WRONG,
    "test_softmax_large_number": Outcome.WRONG,
}
"""ONNX's node tests, and what float16 makes of them; in float32 all are right, as on x86-64."""
RMS = """<ir_version: 8, opset_import: ["" : 13]> g (float[1,8,16,16] x, float[8,8,3,3] w) => (float[1,8,16,16] y) {
  c = Conv<pads=[1,1,1,1]>(x, w) s = Mul(c, c) m = ReduceMean<axes=[2,3], keepdims=1>(s) r = Sqrt(m) y = Div(c, r) }"""
EPSILON = """<ir_version: 8, opset_import: ["" : 17]> g (float[4,32] x) => (float[4,32] y) <float eps = {1e-12}> {
  m = ReduceMean<axes=[-1], keepdims=1>(x) d = Sub(x, m) s = Mul(d, d) v = ReduceMean<axes=[-1], keepdims=1>(s)
  e = Add(v, eps) r = Sqrt(e) y = Div(d, r) }"""


@pytest.mark.parametrize(
    ("name", "half"), [("arm64:a53", ()), ("arm64", (Precision.LOW,)), ("arm64:max", (Precision.LOW,))]
)
def test_each_profile_computes_as_its_processor_does(name: str, half: tuple[Precision, ...]) -> None:
    found = self_test(device_named(name))
    assert not found.problem
    assert found.half == half
    assert found.environment.machine == "aarch64"


@pytest.fixture(scope="module", params=[Precision.HIGH, Precision.LOW])
def there(request: pytest.FixtureRequest) -> Iterator[tuple[Precision, Prober]]:
    with Prober(where=Where(device=device_named("arm64"), precision=request.param)) as prober:
        yield request.param, prober


def test_ten_cases(there: tuple[Precision, Prober]) -> None:
    precision, prober = there
    cases = {each.id.removeprefix("node:"): each for each in Selection(corpora=("node",)).cases()}
    found = {name: prober.measure(cases[name]).outcome for name in CASES}
    wanted = CASES if precision is Precision.LOW else dict.fromkeys(CASES, Outcome.OK)
    assert found == wanted


def test_a_case_is_shown_and_fixed_as_it_is_computed_there(capsys: pytest.CaptureFixture[str]) -> None:
    there = ["--device", "arm64", "--precision", "low"]
    assert main(["probe", "node:test_softmax_large_number", *there]) == 0
    shown = capsys.readouterr().out
    assert "MNN 3." in shown
    assert "on arm64:a76 low  Softmax  node:test_softmax_large_number  wrong:values" in shown
    assert "measurement 2" not in shown
    assert main(["probe", "--fix", "--code", "MNN774", *there]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["Log", "2", "1", "2"]  # cases, right before, right after


def written(text: str, path: Path) -> Path:
    """A model from its text; all inputs but the first become drawn weights."""
    model = parser.parse_model(text)
    for each in model.graph.input[1:]:
        shape = [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        weights = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weights, each.name))
    del model.graph.input[1:]
    onnx.save(model, path)
    return path


def converted(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object], dict[str, object]]:
    """Exit status, the conversion, and what it says about the device."""
    status = main(
        ["convert", *words, "--device", "arm64", "--precision", "low", "--no-power", "--output-format", "json"]
    )
    result = json.loads(capsys.readouterr().out)["results"][0]
    return status, result, result["parity"]["device"]


def test_a_norm_that_overflows_is_not_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = written(RMS, tmp_path / "rms.onnx")
    inputs = np.random.default_rng(1).normal(0, 60, (1, 8, 16, 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", inputs)
    data = ["--input", f"x={tmp_path / 'x.npy'}", "--data-only"]
    status, result, there = converted([str(model), *data, "--ignore", "MNN771,MNN781"], capsys)
    assert (status, result["verdict"]) == (1, "not-equal")
    assert not model.with_suffix(".mnn").exists()
    assert (there["device"], there["precision"], there["verdict"]) == ("arm64:a76", "low", "different")
    assert isinstance(there["snr_db"], float)
    assert there["snr_db"] < 10
    for words in (["--data-only", "--input", f"x={_ordinary(tmp_path)}"], data):  # with the rewrite any of them
        _assert_published(converted([str(model), *words], capsys), model)


def _assert_published(found: tuple[int, dict[str, object], dict[str, object]], model: Path) -> None:
    status, result, there = found
    assert (status, result["verdict"], there["verdict"]) == (0, "converted", "within")
    assert isinstance(there["snr_db"], float)
    assert 30 < there["snr_db"] < 80  # in float32 more than 100
    assert model.with_suffix(".mnn").exists()


def _ordinary(folder: Path) -> Path:
    np.save(folder / "one.npy", np.random.default_rng(1).standard_normal((1, 8, 16, 16)).astype(np.float32))
    return folder / "one.npy"


def test_a_tiny_epsilon_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(written(EPSILON, tmp_path / "eps.onnx"))
    status, result, there = converted([model, "--ignore", "MNN771"], capsys)
    assert (status, result["verdict"]) == (1, "not-equal")
    assert any("zeros: NaN" in str(problem) for problem in there["problems"])  # type: ignore[attr-defined]
    status, result, there = converted([model], capsys)
    assert (status, result["verdict"], there["verdict"]) == (0, "converted", "within")
    (tried,) = result["fix"]["tried"]  # type: ignore[index]
    assert (tried["rewrites"], tried["before"], tried["kept"]) == (["squares-scaled"], "-Infinity", True)


def test_high_is_equal_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = written(EPSILON, tmp_path / "eps.onnx")
    assert main(["convert", str(model), "--device", "arm64", "--precision", "high", "--no-power"]) == 0
    assert "equal on host; on arm64:a76 high equal, top-1 100%" in capsys.readouterr().out
    file = str(model.with_suffix(".mnn"))
    assert main(["verify", str(model), file, "--no-power", "--precision", "low"]) == 0
    assert "float16 was not run" in capsys.readouterr().out


def test_diagnose_names_the_node_there_beside_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, repro = str(written(EPSILON, tmp_path / "eps.onnx")), str(tmp_path / "repro")
    words = ["--device", "arm64", "--precision", "low", "--threads", "2", "--output-format", "json"]
    assert main(["diagnose", model, *words, "--repro", repro]) == 1
    result = json.loads(capsys.readouterr().out)["results"][0]
    first = result["culprits"][0]
    assert [each["outputs"] for each in first["nodes"]] == [["e"]]
    assert any("on this machine it is right by itself" in each for each in first["shown_by"])
    assert {each["what"]: each["helps"] for each in first["attempts"]}["precision high there"]
    assert (result["runner"], result["draw"]) == ("MNN on arm64:a76 low, 2 threads", "zeros")
    layer = next(each for each in result["layers"] if each["values"] == ["e"])
    assert (layer["own"]["is_wrong"], layer["host_own"]["is_wrong"]) == (True, False)
    assert layer["accumulated"]["snr_db"] < 1
    assert layer["host_accumulated"]["snr_db"] == "Infinity"
    assert main(["diagnose", "--replay", repro, *words[:4]]) == 1
    assert main(["diagnose", "--replay", repro]) == 0
    assert "it was seen on arm64:a76 low: --device arm64:a76 --precision low runs it there" in capsys.readouterr().out
