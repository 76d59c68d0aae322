"""`--unsafe-fixes`: dropped rounding is reported and measured, and never dropped without the option."""

from __future__ import annotations

import json
import re
from pathlib import Path

import onnx
import pytest
from onnx import parser

from mnncompat import convert
from mnncompat.cli import main
from mnncompat.parity import Tolerance

QUANTISED = """<ir_version: 8, opset_import: ["": 13]> g (float[4,50] x) => (float[4,50] y)
    <float s = {0.05}, uint8 z = {128}> {
    q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Tanh(d) }"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(parser.parse_model(QUANTISED), path)
    return path


def test_fix_drops_the_rounding_only_if_asked(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.onnx"
    assert main(["fix", str(model), "-o", str(out)]) == 0
    told = capsys.readouterr().out
    assert "drop-rounding" not in told
    assert "proven equal" in told
    assert main(["fix", str(model), "-o", str(out), "--unsafe-fixes"]) == 0
    told = capsys.readouterr().out
    assert "QuantizeLinear and DequantizeLinear: no longer rounded; its range stays (drop-rounding)" in told
    assert "near the original under ONNX Runtime" in told
    assert "SNR" in told
    assert "proven equal" not in told
    assert [node.op_type for node in onnx.load(out).graph.node] == ["Clip", "Tanh"]


def test_convert_says_what_its_file_computes(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["convert", str(model), "-o", str(tmp_path / "out.mnn"), "-q", "--unsafe-fixes"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "near the original" in told
    assert "computes what model.onnx computes without its rounding" in told.replace(f"{tmp_path}/", "")
    assert main([*command, "--output-format", "json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["fix"]["approximation"]["passed"] is True
    assert result["fix"]["proof"] is None
    assert result["parity"]["passed"] is True


ROUNDS_OTHERWISE = """<ir_version: 9, opset_import: ["": 20]> g (float[4,50] x) => (float[4,50] y)
    <float s = {0.02}, int8 z = {0}> {
    h = Gelu(x) q = QuantizeLinear(h, s, z) y = DequantizeLinear(q, s, z) }"""
"""MNN's GELU is off by 5e-4 at most, and then rounded to a neighbour that is 0.02 away."""


@pytest.mark.parametrize(
    ("tolerance", "found"),
    [
        (Tolerance(rtol=0.0, atol=1e-3), "with it the outputs agree"),
        (None, r"with it the outputs are nearer, 6\d\.\d dB instead of 3\d\.\d dB, and not equal"),
    ],
    ids=["agree", "nearer"],
)
def test_a_quantised_model_that_rounds_the_other_way_is_told_what_was_tried(
    tolerance: Tolerance | None, found: str
) -> None:
    result = convert(parser.parse_model(ROUNDS_OTHERWISE), None, tolerance=tolerance)
    assert result.verdict == "not-equal"
    assert result.hint.startswith("activations are rounded to few values")
    assert re.search(f"drops that rounding; tried in this run: {found}$", result.hint)


def test_no_advice_that_does_not_help(model: Path) -> None:
    """Tanh misses this tolerance, with rounding and without."""
    result = convert(model, None, tolerance=Tolerance(rtol=0, atol=0))
    assert result.verdict == "not-equal"
    assert not result.hint
