"""`convert --exact-gelu`: with Erf, not with MNN's approximation."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from mnncompat.cli import main

OPERATOR = '<ir_version: 8, opset_import: ["": 20]> g (float[4,50] x) => (float[4,50] y) { y = Gelu(x) }'
ARITHMETIC = """<ir_version: 8, opset_import: ["": 17]> g (float[4,50] x) => (float[4,50] y)
    <float half = {0.5}, float one = {1.0}, float root = {1.4142135}> {
    d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, half) }"""


@pytest.mark.parametrize("text", [OPERATOR, ARITHMETIC], ids=["operator", "arithmetic"])
def test_exact_gelu_holds_a_tolerance_that_the_approximation_does_not(text: str, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    onnx.save(parser.parse_model(text), model)
    command = ["convert", str(model), "-o", str(tmp_path / "model.mnn"), "--tolerance", "1e-5"]
    assert main(command) == 1
    assert main([*command, "--exact-gelu"]) == 0
