"""What `check` says that `fix` does comes true: a promise is sure only where the row's own remedy matches the node."""

from __future__ import annotations

from itertools import islice

import onnx
import pytest
from onnx import parser

import mnncompat
from mnncompat.cli import main
from mnncompat.probe.row_cases import row_cases
from mnncompat.report import OutputFormat, render
from mnncompat.report.evidence import command
from mnncompat.results.diagnostics import Applicability, CheckResult, Diagnostic
from mnncompat.rewrites.index import rewrite_named

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
BY_SIZE = """<ir_version: 8, opset_import: ["": 17]> g (float[N,2] x, bool c) => (float[N,2] y) {
    s = Shape<start = 0, end = 1>(x) l = Constant<value = int64[1] {4}>() m = Less(s, l)
    k = Squeeze(m)
    y = If(k)<then_branch = a () => (float[N,2] p) { p = Relu(x) }, else_branch = b () => (float[N,2] q) { q = Neg(x) }>
    }"""
_SETTLES = "`mnncompat fix --shape` settles an If that asks for a size"


@pytest.mark.parametrize(("outputs", "more"), [("y", ""), ("z", CHOSEN)])
def test_what_is_advised_concerns_what_the_model_has(outputs: str, more: str) -> None:
    hint = by_code(found(REPEATED.format(outputs, more)))["MNN050"].hint
    assert hint.startswith("load the file as a Module")
    assert _SETTLES not in hint


@pytest.mark.parametrize("inner", [False, True])
def test_a_shape_settles_what_is_said_to_be_settled_by_it(*, inner: bool) -> None:
    model = BY_SIZE
    if inner:
        model = BY_SIZE.replace(
            "y = If(k)",
            "n = Neg(x) y = If(c)<else_branch = o () => (float[N,2] r) { r = Abs(x) },"
            " then_branch = i () => (float[N,2] w) { w = If(k)",
        ).replace("q = Neg(x) }>", "q = Neg(x) }> }>")
    assert _SETTLES in by_code(found(model))["MNN050"].hint
    fixed = mnncompat.fix(parser.parse_model(model), mnn=MNN, freeze={"x": (3, 2)}, prove=False)
    told = by_code(mnncompat.check(fixed.model.proto, mnn=MNN))
    assert ("MNN050" in told) is inner
    assert not inner or _SETTLES not in told["MNN050"].hint


def test_no_shape_is_asked_for_where_the_model_is_not_loaded() -> None:
    """Opset 11 knows no axis of DequantizeLinear: ONNX Runtime refuses the model, whatever it is fed with."""
    text = """<ir_version: 8, opset_import: ["": 11]> g (float[N,2] x) => (float[N,2] y)
        <int8[2,2] w = {1, 2, 3, 4}, float[2] s = {0.5, 0.25}, int8[2] z = {0, 0}>
        { d = DequantizeLinear<axis = 0>(w, s, z) y = MatMul(x, d) }"""
    with pytest.raises(mnncompat.RunnerError) as caught:
        mnncompat.fix(parser.parse_model(text), mnn=MNN)
    assert "accepts none of the inputs" not in caught.value.message
    assert caught.value.hint.startswith("no input helps, since the model is not even loaded")


def _place(each: Diagnostic) -> tuple[object, ...]:
    return each.code, each.location.graph, each.location.node, each.location.outputs


@pytest.mark.parametrize("start", range(4))
def test_what_is_promised_about_the_models_of_rows_is_gone_after_fix(start: int) -> None:
    """Rows of all operators: what `fix` is said to rewrite is looked for in its result."""
    kept, promised = [], 0
    for case in islice(row_cases(), start, None, 20):
        model = onnx.ModelProto.FromString(case.case().model)
        sure = [each for each in mnncompat.check(model).diagnostics if each.fixable]
        if not sure:
            continue
        remedies = [rewrite_named(each.remedy or "") for each in sure]
        unsafe = any(each is not None and each.applicability is Applicability.UNSAFE for each in remedies)
        fixed = mnncompat.fix(model, prove=False, unsafe=unsafe)
        left = {_place(each) for each in mnncompat.check(fixed.model.proto).diagnostics}
        promised += len(sure)
        kept += [f"{case.id}: {each.code} ({each.remedy})" for each in sure if _place(each) in left]
    assert promised > 10, "the models were not found"
    assert not kept, "\n".join(kept)


def test_the_command_that_prints_the_evidence_of_a_finding_prints_it(capfd: pytest.CaptureFixture[str]) -> None:
    lines: dict[str, Diagnostic] = {}
    for case in islice(row_cases(), 0, None, 15):
        for each in mnncompat.check(onnx.ModelProto.FromString(case.case().model)).diagnostics:
            if each.evidence and command(each):
                lines.setdefault(command(each), each)
    assert len(lines) > 20, "the models were not found"
    for line, finding in lines.items():
        assert main(line.split()[1:]) == 0, line
        told = " ".join(capfd.readouterr().out.split())
        missing = [each for each in finding.evidence if not _names(each, told)]
        assert not missing, f"{line}: {missing}"


def _names(evidence: str, told: str) -> bool:
    """Whether a text has an evidence: the path of MNN's source, or the words, without what the console breaks."""
    source, tag, _ = evidence.removeprefix("src:").partition("@")
    words = source.partition("#")[0] if tag and evidence.startswith("src:") else evidence
    return "".join(words.split()) in "".join(told.split())
