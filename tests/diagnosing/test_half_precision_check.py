"""`check --precision low` with inputs."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pytest
from jsonschema import Draft202012Validator
from onnx import parser

from mnncompat.checking.checker import check_model
from mnncompat.cli.prediction_options import PredictedOptions
from mnncompat.errors import UsageError
from mnncompat.graph.model_file import Model, from_proto
from mnncompat.report import OutputFormat, render
from mnncompat.results.diagnostics import Diagnostic

LOW: dict[str, str | None] = {"arch": None, "precision": "low"}
RMS = """g (float[1,8,4] x) => (float[1,8,4] y) {
    s = Mul(x, x)
    m = ReduceMean <axes = [2], keepdims = 1> (s)
    r = Sqrt(m)
    y = Div(x, r)
}"""
MASK = """g (float[2,8] x, bool[2,8] keep) => (float[2,8] y) <float low = {-3.4e38}> {
    w = Where(keep, x, low)
    y = Softmax <axis = 1> (w)
}"""
LOG_SUM_EXP = """g (float[3,8] x) => (float[3,1] y) {
    m = ReduceMax <axes = [1], keepdims = 1> (x)
    d = Sub(x, m)
    e = Exp(d)
    s = ReduceSum(e, axis)
    l = Log(s)
    y = Add(l, m)
}"""


def model(graph: str) -> Model:
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 13]> {graph}')
    if graph is LOG_SUM_EXP:
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "axis"))
    return from_proto(made)


def found(one: Model, folder: Path, *, draws: int = 0, arrays: dict[str, np.ndarray] | None = None) -> list[Diagnostic]:
    given = []
    for name, array in (arrays or {}).items():
        np.save(folder / f"{name}.npy", array)
        given.append(f"{name}={folder / name}.npy")
    (add,) = PredictedOptions(data=given, draws=draws).predictors(LOW, None)
    result = add(one, check_model(one, precision="low"))
    return [each for each in result.diagnostics if each.code in ("MNN007", "MNN008")]


@pytest.mark.parametrize(("scale", "alarms"), [(1.0, 0), (30.0, 0), (150.0, 1), (3000.0, 1)])
def test_a_square_that_overflows(tmp_path: Path, scale: float, alarms: int) -> None:
    x = np.linspace(-2, 2, 32, dtype=np.float32).reshape(1, 8, 4) * np.float32(scale)
    findings = found(model(RMS), tmp_path, arrays={"x": x})
    assert len(findings) == alarms
    assert all(each.location.node == "s" and "65,504" in each.message for each in findings)


@pytest.mark.parametrize("graph", [MASK, LOG_SUM_EXP], ids=["mask", "log-sum-exp"])
def test_what_half_precision_computes_right_is_no_alarm(tmp_path: Path, graph: str) -> None:
    x = np.random.default_rng(0).normal(0, 30, (2, 8) if graph is MASK else (3, 8)).astype(np.float32)
    keep = {"keep": np.arange(16).reshape(2, 8) % 3 > 0} if graph is MASK else {}
    assert not found(model(graph), tmp_path, arrays={"x": x, **keep})


def test_drawn_inputs_have_large_ones_among_them(tmp_path: Path) -> None:
    graph = "g (float[4,64] x) => (float[4,1] y) { y = ReduceLogSumExp <axes = [1]> (x) }"
    one = model(graph)
    assert not found(one, tmp_path, draws=1)
    (finding,) = found(one, tmp_path, draws=2)
    assert "draw large" in finding.message
    assert "Exp, then ReduceSum, then Log" in finding.message


def test_only_low_precision_is_predicted() -> None:
    def asked(where: dict[str, str | None], draws: int) -> object:
        return PredictedOptions(draws=draws).predictors(where, None)

    with pytest.raises(UsageError, match="half precision"):
        asked({"arch": None, "precision": "high"}, 1)
    with pytest.raises(UsageError, match="float32 on x86_64"):
        asked({"arch": "x86_64", "precision": "low"}, 1)
    assert asked(LOW, 0) == []


def test_a_warning_that_values_decide_is_none_where_they_are_harmless() -> None:
    squares = "g (float[1,64] x) => (float[1,1] y) { y = ReduceL2 <axes = [1], keepdims = 1> (x) }"
    one = model(squares)
    (add,) = PredictedOptions(draws=1).predictors(LOW, None)
    (finding,) = (each for each in add(one, check_model(one, precision="low")).diagnostics if each.code == "MNN771")
    assert finding.severity.value == "info"
    assert finding.message.startswith("not on these inputs, of which the worst output is predicted at ")
    (add,) = PredictedOptions(draws=2).predictors(LOW, None)
    (finding,) = (each for each in add(one, check_model(one, precision="low")).diagnostics if each.code == "MNN771")
    assert finding.severity.value == "warning"


def test_the_report_has_the_ranges_of_all_nodes(tmp_path: Path) -> None:
    one = model(RMS)
    np.save(tmp_path / "x.npy", np.full((1, 8, 4), 300, np.float32))
    (add,) = PredictedOptions(data=[f"x={tmp_path / 'x.npy'}"]).predictors(LOW, None)
    result = add(one, check_model(one, precision="low"))
    first, *others = result.ranges
    assert (first.location.node, first.largest, first.lost) == ("s", 90_000, True)
    assert first.reach == pytest.approx(90_000 / 65_504)
    assert all(each.reach <= first.reach for each in others)
    (row,) = (line for line in render([result], OutputFormat.TEXT).splitlines() if line.split()[:2] == ["s", "Mul"])
    assert row.split()[-3:] == ["90,000", "1.4x", "lost"]
    document = json.loads(render([result], OutputFormat.JSON))
    schema = json.loads((files("mnncompat.report") / "output.schema.json").read_text())
    Draft202012Validator(schema).validate(document)
    assert document["results"][0]["ranges"][0]["value"] == "s"


def test_an_input_of_winograds_transform_counts_as_what_comes_of_it(tmp_path: Path) -> None:
    graph = "g (float[1,16,40,40] x) => (float[1,16,40,40] y) { r = Relu(x) y = Conv <pads = [1, 1, 1, 1]> (r, w) }"
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 13]> {graph}')
    kernels = np.random.default_rng(0).normal(0, 0.02, (16, 16, 3, 3)).astype(np.float32)
    made.graph.initializer.append(onnx.numpy_helper.from_array(kernels, "w"))
    x = np.ones((1, 16, 40, 40), np.float32)
    x[0, :, 21:24, 19:23] = 2000 * np.sign(np.random.default_rng(1).normal(size=(16, 3, 4)))
    np.save(tmp_path / "x.npy", x)
    (add,) = PredictedOptions(data=[f"x={tmp_path / 'x.npy'}"]).predictors(LOW, None)
    one = from_proto(made)
    ranges = {each.value: each for each in add(one, check_model(one, precision="low")).ranges}
    assert ranges["r"].reach == pytest.approx(2000 / 65_504)
    assert ranges["y"].reach == pytest.approx(2000 * 100 / 65_504)
    assert ranges["y"].lost  # though the rows of the sample hold nothing that is large


def test_sizes_that_the_model_refuses_are_tried_without_the_simulation() -> None:
    graph = """g (float[N,M] x) => (float[1,16,3,4] y) <int64[4] s = {1, 4, 3, 4}> {
        r = Reshape(x, s)
        y = Conv <pads = [1, 1, 1, 1]> (r, w)
    }"""
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 13]> {graph}')
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((16, 4, 3, 3), np.float32), "w"))
    one = from_proto(made)
    (add,) = PredictedOptions(draws=2).predictors(LOW, None)
    result = add(one, check_model(one, precision="low"))
    assert {each.draw for each in result.ranges} <= {"normal", "large"}
    assert {each.value for each in result.ranges} == {"r", "y"}
