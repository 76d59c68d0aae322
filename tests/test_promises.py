"""What `check` says that `fix` does comes true: a promise is sure only where the row's own remedy matches the node."""

from __future__ import annotations

import pytest
from onnx import parser

import mnncompat
from mnncompat.report import OutputFormat, render
from mnncompat.results.diagnostics import CheckResult, Diagnostic

MNN = "3.6.1"
SCATTER = """<ir_version: 8, opset_import: ["": 18]> g (float[2,4] d, int64[{n},4] i, float[{n},4] u)
    => (float[2,4] y) {{
    sc = ScatterElements<axis = 0, reduction = "max">(d, i, u) y = Relu(sc) }}"""
IN_FUNCTION = """<ir_version: 8, opset_import: ["": 17, "my": 1]> g (float[2,3] x) => (float[2,3] y) { y = my.F(x) }
    <domain: "my", opset_import: ["": 17]> F (x) => (y) { n = IsNaN(x) z = Sub(x, x) y = Where(n, z, x) }"""


def found(model: str) -> CheckResult:
    return mnncompat.check(parser.parse_model(model), mnn=MNN)


def by_code(result: CheckResult) -> dict[str, Diagnostic]:
    return {each.code: each for each in result.diagnostics}


def promises(result: CheckResult) -> dict[str, tuple[bool, bool]]:
    return {each.code: (each.fixable, each.may_fix) for each in result.diagnostics}


def test_the_remedy_of_another_row_is_no_promise() -> None:
    model = SCATTER.format(n="n")
    before = found(model)
    assert promises(before) == {"MNN321": (False, False), "MNN324": (True, False)}
    assert by_code(before)["MNN321"].remedy == "scatter-reduction"
    assert "scatter-reduction: dimension 0 of 'i' is dynamic" in by_code(before)["MNN321"].hint
    fixed = mnncompat.fix(parser.parse_model(model), mnn=MNN)
    assert [each.code for each in mnncompat.check(fixed.model.proto, mnn=MNN).diagnostics] == ["MNN321"]


def test_several_remedies_of_one_node_may_come_true() -> None:
    result = found(SCATTER.format(n="3"))
    assert promises(result) == {"MNN321": (False, True), "MNN324": (False, True)}
    told = render([result], OutputFormat.TEXT)
    assert "fix: `mnncompat fix` may rewrite this (scatter-reduction)" in told
    assert told.endswith("`mnncompat fix` may rewrite all of them\n")


def test_a_node_of_a_function_is_not_tried() -> None:
    result = found(IN_FUNCTION)
    (inner,) = [each for each in result.diagnostics if each.location.op_type == "IsNaN"]
    assert (inner.remedy, inner.fixable, inner.may_fix) == ("isnan-isinf", False, True)


@pytest.mark.parametrize("output_format", [OutputFormat.GITHUB, OutputFormat.TEXT])
def test_every_format_says_how_sure_it_is(output_format: OutputFormat) -> None:
    told = render([found(SCATTER.format(n="n"))], output_format)
    assert "`mnncompat fix` rewrites this (indices-from-start)" in told
    assert "rewrites this (scatter-reduction)" not in told


REPEATED = """<ir_version: 8, opset_import: ["": 17]> g (float[2] x, bool c) => (float[2] y) {{
    n = Constant<value=int64 {{2}}>()
    {} = Loop<body = b (int64 i, bool g, float[2] s) => (bool d, float[2] e) {{
        d = Identity(g) e = Add(s, s) }}>(n, c, x) {} }}"""
CHOSEN = """y = If(c)<then_branch = a () => (float[2] p) { p = Relu(z) },
    else_branch = b () => (float[2] q) { q = Neg(z) }>"""


@pytest.mark.parametrize(("outputs", "more", "settles"), [("y", "", False), ("z", CHOSEN, True)])
def test_what_is_advised_concerns_what_the_model_has(outputs: str, more: str, *, settles: bool) -> None:
    hint = by_code(found(REPEATED.format(outputs, more)))["MNN050"].hint
    assert hint.startswith("load the file as a Module")
    assert ("settles an If" in hint) is settles


def test_no_shape_is_asked_for_where_the_model_is_not_loaded() -> None:
    """Opset 11 knows no axis of DequantizeLinear: ONNX Runtime refuses the model, whatever it is fed with."""
    text = """<ir_version: 8, opset_import: ["": 11]> g (float[N,2] x) => (float[N,2] y)
        <int8[2,2] w = {1, 2, 3, 4}, float[2] s = {0.5, 0.25}, int8[2] z = {0, 0}>
        { d = DequantizeLinear<axis = 0>(w, s, z) y = MatMul(x, d) }"""
    with pytest.raises(mnncompat.RunnerError) as caught:
        mnncompat.fix(parser.parse_model(text), mnn=MNN)
    assert "accepts none of the inputs" not in caught.value.message
    assert caught.value.hint.startswith("no input helps, since the model is not even loaded")
