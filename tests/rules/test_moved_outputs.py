"""Outputs that MNN moves an operator over: found exactly where MNN loses them, and right after `fix`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnncompat import check, convert, fix
from mnncompat.probe.measurement import Aspect, Outcome
from mnncompat.probe.prober import Prober
from mnncompat.probe.row_cases import RowCase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[2,12] x) => (float[2,3,4] r, float[N,M,K] y) <int64[3] n = {2,3,4}, float zero = {0.0}, float one = {1.0},
float two = {2.0}, float three = {3.0}, float six = {6.0}, float half = {0.5}, float rsqrt2 = {0.70710678},
float[1] ones = {1.0}>"""
BEFORE = ("r = Reshape(x, n)", "p = Exp(x) r = Reshape(p, n)")
BETWEEN = ("v = Identity(r)", "v = Mul(r, one)", "v = Add(r, zero)", "v = Mul(r, ones)", "v = Flatten(r)", "v = Abs(r)")
READER = (
    "y = Mul(v, v)",
    "y = Pow(v, two)",
    "y = Pow(v, three)",
    "s = Sigmoid(v) y = Mul(s, v)",
    "s = Sigmoid(v) t = Mul(s, v) y = Add(t, s)",
    "s = Sigmoid(r) y = Mul(s, v)",
    "a = Add(v, three) c = Clip(a, zero, six) m = Mul(v, c) y = Div(m, six)",
    "a = Add(v, three) c = Clip(a, zero, six) m = Mul(c, v) y = Div(m, six)",
    "d = Mul(v, rsqrt2) e = Erf(d) a = Add(e, one) m = Mul(v, a) y = Mul(m, half)",
    "d = Mul(v, rsqrt2) e = Erf(d) a = Add(one, e) m = Mul(v, a) y = Mul(m, half)",
    "y = Neg(v)",
    "y = Add(v, v)",
    "a = Tanh(v) b = Tanh(v) y = Sub(a, b)",
    "a = Tanh(v) b = Sin(v) y = Sub(a, b)",
    "y = ReduceL2<axes=[1], keepdims=1>(v)",
    "y = Elu(v)",
)


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(BEFORE), st.sampled_from(BETWEEN), st.sampled_from(READER))
def test_output_is_lost_exactly_where_it_is_found(prober: Prober, before: str, between: str, reader: str) -> None:
    text = f"{HEAD} {{ {before} {between} {reader} }}"
    case = RowCase(op="", code="", is_alike=False, name="drawn", text=text).case()
    model = onnx.load_model_from_string(case.model)
    found = [each for each in check(model).diagnostics if each.code == "MNN035"]
    measured = prober.measure(case)
    lost = (measured.outcome, measured.aspect) == (Outcome.WRONG, Aspect.SHAPE)
    assert bool(found) == lost, (text, measured)
    if found:
        assert found[0].remedy == "copy-output-before-activation"
        fixed = replace(case, model=fix(model).model.proto.SerializeToString())
        assert prober.measure(fixed).outcome is Outcome.OK, text


@pytest.mark.parametrize("ignored", [(), ("MNN801",)])
def test_spectrum_and_its_power(ignored: tuple[str, ...], tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    agraph (float[1,16] x) => (float[1,4,8] spectrum, float[1,4,8] power) <int64[3] n = {1, 4, 8}>
    { m = MatMul(x, w) spectrum = Reshape(m, n) power = Mul(spectrum, spectrum) }"""
    model = onnx.parser.parse_model(text)
    weights = [0.1 * (index % 7 - 3) for index in range(16 * 32)]
    model.graph.initializer.append(onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [16, 32], weights))
    done = convert(model, tmp_path / "model.mnn", ignore=ignored)
    assert done.out is not None
    assert done.parity is not None
    assert done.parity.passed


def test_an_output_is_named_once_and_no_value_before_it() -> None:
    text = f"{HEAD} {{ p = Flatten(x) r = Reshape(p, n) y = Mul(r, r) }}"
    found = [each for each in check(onnx.parser.parse_model(text)).diagnostics if each.code == "MNN035"]
    assert [each.message.split(": ")[1].split(" has")[0] for each in found] == ["the output 'r'"]
