"""MNN's two APIs: what a Session gives is told beside the verdict of the Module API, and can be required."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from mnncompat import convert, verify
from mnncompat.cli import main
from mnncompat.converting.recurrent_forms import choose_forms
from mnncompat.graph.model_file import from_proto
from mnncompat.mnn import ConvertOptions
from mnncompat.report import OutputFormat, render
from mnncompat.results.session_parity import SessionParity

LSTM = "LSTM<hidden_size=2>(x, w, r)"
GRU = "GRU<hidden_size=2, linear_before_reset=1>(x, w, r)"
BOTH = 'GRU<hidden_size=2, linear_before_reset=1, direction="bidirectional">(x, w, r)'
BRANCHES = """<then_branch = a () => (float[N,3] p) { p = Relu(x) },
    else_branch = b () => (float[N,3] q) { q = Neg(x) }>"""
BODY = "<body = b (int64 i, bool c, float[2] s) => (bool d, float[2] e) { d = Identity(c) e = Add(s, s) }>"
CHOSEN = f"(float[N,3] x, bool c) => (float[N,3] y) {{ y = If{BRANCHES}(c) }}"
REPEATED = f"(float[2] x) => (float[2] y) <int64 m = {{3}}, bool t = {{1}}> {{ y = Loop{BODY}(m, t, x) }}"
UNREAD = "(float[1,4] x, float[1,2] u, int64[3] v) => (float[1,4] y) { y = Relu(x) }"


def model(text: str, **shapes: tuple[int, ...]) -> onnx.ModelProto:
    parsed = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g {text}')
    random = np.random.default_rng(3)
    for name, shape in shapes.items():
        values = random.standard_normal(shape).astype(np.float32)
        parsed.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return parsed


def recurrent(call: str, outputs: str, directions: int = 1) -> onnx.ModelProto:
    gates = 8 if "LSTM" in call else 6
    names = "y, h, c" if "LSTM" in call else "y, h"
    text = f"(float[5,2,3] x) => ({outputs}) {{ {names} = {call} }}"
    return model(text, w=(directions, gates, 3), r=(directions, gates, 2))


def session_of(proto: onnx.ModelProto, **options: object) -> SessionParity:
    result = convert(proto, None, power=False, **options)  # type: ignore[arg-type]
    assert result.verdict == "converted"
    assert result.parity is not None
    assert result.parity.session is not None
    return result.parity.session


@pytest.mark.parametrize(
    "proto",
    [
        model("(float[N,3,8,8] x) => (float[N,3,4,4] y) { y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }"),
        model("(int64[2,3] x, bool[2,3] b) => (int64[2,3] y, float[2,3] z) { y = Add(x, x) z = Cast<to=1>(b) }"),
        model("(float[1,4] x) => (float[1,4] y, float[1,4] x) { y = Relu(x) }"),
        model("(float[1,4] x) => (float[1,4] a, float[1,4] y) { a = Exp(x) b = Neg(a) y = Relu(b) }"),
        model(f"(float[N,3] x) => (float[N,3] y) <bool c = {{0}}> {{ y = If{BRANCHES}(c) }}"),
        recurrent(LSTM, "float[5,1,2,2] y, float[1,2,2] c"),
        recurrent(GRU, "float[1,2,2] h"),
        recurrent(BOTH, "float[5,2,2,2] y, float[2,2,2] h", 2),
    ],
    ids=[
        "open batch",
        "integers",
        "output is an input",
        "inner output",
        "settled if",
        "lstm",
        "gru",
        "both directions",
    ],
)
def test_both_apis_are_good(proto: onnx.ModelProto) -> None:
    found = session_of(proto)
    assert (found.passed, found.problems, found.untried) == (True, (), "")


def test_other_sizes_are_tried_as_well() -> None:
    first, other = session_of(model("(float[N,3] x) => (float[N,3] y) { y = Exp(x) }")).draws
    assert first == "normal"
    assert "batch" in other


@pytest.mark.parametrize("text", [CHOSEN, REPEATED])
def test_subgraphs_give_nothing_in_a_session(text: str) -> None:
    found = session_of(model(text))
    assert not found.agrees
    assert "Can't run session because not resized" in found.problems[0]


def test_inputs_that_nothing_reads_are_lost() -> None:
    found = session_of(model(UNREAD))
    assert (found.lost, found.agrees, found.passed) == (("u", "v"), True, False)


def test_loops_are_written_where_they_are_wanted_or_weights_are_rounded() -> None:
    proto = recurrent(LSTM, "float[5,1,2,2] y")
    assert convert(proto, None, power=False).recurrent == "ops"
    assert not session_of(proto, recurrent="loops").agrees
    eight = convert(proto, None, power=False, options=ConvertOptions(weight_bits=8))
    assert eight.recurrent == "loops"
    assert "While" in eight.ops


@pytest.mark.parametrize(
    ("sizes", "repeated", "for_session", "forms", "why"),
    [
        (("GRU", 32, 1), False, False, ["ops", "loops"], "a Session runs ops as well, and they take 0."),
        (("GRU", 512, 8), False, False, ["loops", "ops"], "measured: GRU of 512 units, batch 8, 16 steps"),
        (("GRU", 512, 8), False, True, ["ops", "loops"], "a Session runs ops as well"),
        (("LSTM", 512, 8), False, False, ["ops", "loops"], "measured: LSTM of 512 units, batch 8, 16 steps"),
        (("GRU", 32, 4), True, False, ["loops", "ops"], "other subgraphs keep a Session from running the file"),
        (("LSTM", 32, 8), True, False, ["ops", "loops"], "other subgraphs keep a Session from running the file"),
    ],
)
def test_the_form_rests_on_what_was_measured(
    *, sizes: tuple[str, int, int], repeated: bool, for_session: bool, forms: list[str], why: str
) -> None:
    op, units, batch = sizes
    gates, results, reset = (4, "h, c", "") if op == "LSTM" else (3, "h", ", linear_before_reset=1")
    loop = f" m = Constant<value=int64 {{2}}>() z = Loop{BODY}(m, t, v)" if repeated else ""
    shape = f"float[16,{batch},{units}]"
    text = f"""({shape} x, bool t, float[2] v) => (float[16,1,{batch},{units}] y{", float[2] z" if repeated else ""})
        {{ y, {results} = {op}<hidden_size={units}{reset}>(x, w, r){loop} }}"""
    proto = model(text, w=(1, gates * units, units), r=(1, gates * units, units))
    found = choose_forms(from_proto(proto), None, ConvertOptions(), for_session=for_session)
    assert list(found.forms) == forms
    assert why in found.reason(found.forms[0])
    assert found.reason(found.forms[1]) == "the outputs of the other form differ"


def test_the_report_says_why_a_form_was_chosen() -> None:
    chosen = convert(recurrent(GRU, "float[5,1,2,2] y"), None, power=False)
    told = " ".join(render([chosen], OutputFormat.TEXT).split())
    assert "not loops over a subgraph (a Session runs ops as well, and they take " in told
    wanted = convert(recurrent(GRU, "float[5,1,2,2] y"), None, power=False, recurrent="ops")
    assert (wanted.recurrent, wanted.recurrent_reason) == ("ops", "")


def test_a_layer_that_the_op_computes_wrongly_stays_a_loop() -> None:
    """MNN's own LSTM takes Tanh for every activation."""
    call = LSTM.replace("<", '<activations=["Sigmoid", "Tanh", "Relu"], ')
    result = convert(recurrent(call, "float[5,1,2,2] y"), None, power=False)
    assert (result.verdict, result.recurrent) == ("converted", "loops")
    assert result.recurrent_reason == "MNN's own op does not compute all that these layers ask for"


@pytest.mark.parametrize(
    ("text", "told"), [(CHOSEN, "MNN::Express::Module"), (UNREAD, "leave the inputs 'u', 'v' out")]
)
def test_a_session_that_is_required(text: str, told: str) -> None:
    result = convert(model(text), None, power=False, require_session=True)
    assert result.verdict == "no-session"
    assert told in render([result], OutputFormat.TEXT)


def test_what_is_required_of_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "model.onnx", tmp_path / "model.mnn"
    onnx.save(model(UNREAD), source)
    command = ["convert", str(source), "-o", str(out), "--no-power", "-q"]
    assert main([*command, "--require-session"]) == 1
    assert not out.exists()
    assert main(command) == 0
    capsys.readouterr()
    demanded = ["verify", str(source), str(out), "--no-power", "--require-session", "--output-format", "json"]
    assert main(demanded) == 1
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert (result["parity"]["verdict"], result["parity"]["session"]["passed"]) == ("equal", False)
    assert result["summary"]["error"] == 1


def test_the_configuration_requires_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text("[tool.mnncompat]\nrequire-session = true\n")
    onnx.save(model(UNREAD), "model.onnx")
    assert main(["convert", "model.onnx", "--dry-run", "--no-power", "-q"]) == 1
    capsys.readouterr()


def test_a_form_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(model(UNREAD), tmp_path / "model.onnx")
    assert main(["convert", str(tmp_path / "model.onnx"), "--dry-run", "--recurrent", "loop"]) == 2
    assert "auto, ops, loops" in capsys.readouterr().err


def test_verify_compares_the_session_with_the_original(tmp_path: Path) -> None:
    """A Session that computes what the file says, which is another model: both APIs are wrong."""
    out = tmp_path / "model.mnn"
    assert convert(model("(float[2,3] x) => (float[2,3] y) { y = Exp(x) }"), out, power=False).verdict == "converted"
    report = verify(model("(float[2,3] x) => (float[2,3] y) { y = Neg(x) }"), out, power=False)
    assert report.verdict == "different"
    assert report.session is not None
    assert report.session.problems[0].startswith("output 'y', normal: 6 of 6 elements too far off")
