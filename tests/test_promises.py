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
