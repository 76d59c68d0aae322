"""`convert --exact-gelu`: with Erf, not with MNN's approximation."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from mnncompat import convert
from mnncompat.cli import main
from mnncompat.converting import pipeline
from mnncompat.converting.near_misses import is_near
from mnncompat.parity import Tolerance

OPERATOR = '<ir_version: 8, opset_import: ["": 20]> g (float[4,50] x) => (float[4,50] y) { y = Gelu(x) }'
ARITHMETIC = """<ir_version: 8, opset_import: ["": 17]> g (float[4,50] x) => (float[4,50] y)
    <float half = {0.5}, float one = {1.0}, float root = {1.4142135}> {
    d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, half) }"""


@pytest.mark.parametrize("text", [OPERATOR, ARITHMETIC], ids=["operator", "arithmetic"])
def test_exact_gelu_holds_a_tolerance_that_the_approximation_does_not(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.onnx"
    onnx.save(parser.parse_model(text), model)
    out = tmp_path / "model.mnn"
    command = ["convert", str(model), "-o", str(out), "--tolerance", "1e-5"]
    assert main([*command, "--no-exact-gelu"]) == 1
    told = capsys.readouterr().out
    assert "hint: MNN approximates GELU" in told
    assert "tried in this run: with it the outputs agree" in told
    assert not out.exists()
    assert main([*command, "--exact-gelu"]) == 0
    asked = out.stat().st_size
    assert "only so do" not in capsys.readouterr().out
    out.unlink()
    assert main(command) == 0
    assert "GELU is computed with Erf: only so do the outputs agree (tried in this run)" in capsys.readouterr().out
    assert out.stat().st_size == asked


def test_in_python() -> None:
    model, tolerance = parser.parse_model(OPERATOR), Tolerance(rtol=1e-5, atol=1e-5)
    declined = convert(model, None, tolerance=tolerance, exact_gelu=False)
    assert declined.verdict == "not-equal"
    assert declined.hint
    for given, added in ((True, ""), (None, "exact-gelu")):
        found = convert(model, None, tolerance=tolerance, exact_gelu=given)
        assert found.verdict == "converted"
        assert found.added_rewrite == added
    rough = Tolerance(rtol=1e-2, atol=1e-3)
    assert not convert(model, None, tolerance=rough).added_rewrite, "the approximation is good enough"


def test_no_hint_where_something_else_is_wrong() -> None:
    text = (
        ARITHMETIC.replace("4,50", "2,3,4")
        .replace("17", "11")
        .replace("y = Mul(m, half)", "g = Mul(m, half) y = Softmax(g)")
    )
    result = convert(parser.parse_model(text), None, rewrite=False)
    assert result.verdict == "not-equal"
    assert not result.hint


def test_no_hint_where_gelu_is_not_the_cause() -> None:
    """The model has Erf and is near, but differs as much with `--exact-gelu`."""
    near = """<ir_version: 8, opset_import: ["": 17]> g (float[4,50] x) => (float[4,50] y, float[4,50] z) {
        y = Tanh(x) z = Erf(x) }"""
    result = convert(parser.parse_model(near), None, tolerance=Tolerance(rtol=0.0, atol=1e-12))
    assert result.verdict == "not-equal"
    assert result.parity is not None
    assert is_near(result.parity)
    assert not result.hint


def test_no_attempt_without_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "seconds_left", lambda: 0.0)
    assert not convert(parser.parse_model(OPERATOR), None, tolerance=Tolerance(rtol=1e-5, atol=1e-5)).hint
