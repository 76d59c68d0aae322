"""Every row has a micro-model and a look-alike, and both were measured as it says; unproven claims are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from row_claims import (
    ARM,
    Evidence,
    Shown,
    disagreements,
    outcomes_of,
    shown,
    shown_for,
    unflagged,
    untold_there,
    without_models,
)

from mnncompat.checking.checker import check_model
from mnncompat.errors import TableError
from mnncompat.graph.model_file import from_proto
from mnncompat.probe.evidence import load_evidence
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.probe.row_cases import GRAPH, row_cases
from mnncompat.support import rule_files
from mnncompat.support.table import SupportTable
from mnncompat.support.target import Target

ROOT = rule_files.root()
MEASURED = sorted(path.name.partition("-")[0] for path in ROOT.glob("evidence/rows/*-x86_64.tsv"))
NEWEST = MEASURED[-1]
# Rows that hold for every use of the operator under their releases: there is no look-alike.
ALWAYS = {
    ("MNN138", "MatMulInteger"),
    ("MNN232", "Round"),
    ("MNN261", "Det"),
    ("MNN510", "QuantizeLinear"),
    ("MNN560", "DynamicQuantizeLinear"),
    ("MNN667", "SoftmaxCrossEntropyLoss"),
}


@pytest.fixture(scope="module")
def table() -> SupportTable:
    return SupportTable()


@pytest.fixture(scope="module")
def models(table: SupportTable) -> list[Shown]:
    return shown(ROOT, table, MEASURED)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return {version: load_evidence(version, rows=True) for version in MEASURED}


def test_every_row_has_a_micro_model_and_a_look_alike(table: SupportTable, models: list[Shown]) -> None:
    missing = without_models(table, models, ALWAYS)
    assert not missing, "\n".join(missing)
    alike = {(each.case.code, each.case.op) for each in models if each.case.is_alike}
    assert alike & ALWAYS == set()


def test_every_model_was_measured_as_its_row_says(models: list[Shown], evidence: Evidence) -> None:
    found = disagreements(models, evidence)
    assert not found, "\n".join(found)


def test_check_reports_the_micro_models_and_leaves_the_look_alikes(table: SupportTable, models: list[Shown]) -> None:
    found = unflagged(models, NEWEST, table)
    assert not found, "\n".join(found)


def test_what_older_releases_alone_do_is_reported_for_them(table: SupportTable, models: list[Shown]) -> None:
    older = [each for each in models if not each.case.is_alike and not each.flagging(NEWEST)]
    assert len(older) > 15
    for version in MEASURED[:-1]:
        assert unflagged(older, version, table) == []


def test_onnx_itself_takes_the_micro_models(models: list[Shown]) -> None:
    for each in models:
        onnx.checker.check_model(from_proto(each.case.model()).proto)  # with its nodes sorted


def test_evidence_is_of_the_micro_models_that_there_are(models: list[Shown], evidence: Evidence) -> None:
    known = {each.case.id: each.case for each in models}
    for version in MEASURED:
        assert set(evidence[version]) == set(known), f"{version}: python tests/evidence/measure.py --rows"


def test_what_is_called_unstable_is_not_simply_right(models: list[Shown], evidence: Evidence) -> None:
    """It differs between two measurements, or between releases, or the conformance tests show what the row says."""
    for each in models:
        if each.case.unstable:
            found = {evidence[version][each.case.id] for version in MEASURED if each.flagging(version)}
            rows = {row for version in MEASURED for row in each.flagging(version)}
            named = {case for row in rows for case in row.evidence if case in load_evidence(NEWEST)}
            told = {load_evidence(NEWEST)[case].outcome for case in named}
            assert any(one.unstable for one in found) or told & outcomes_of(next(iter(rows))), each.case.id


# ---- rows about float16 --------------------------------------------------------------------------------------------

IN_HALF = sorted(path.name.partition("-")[0] for path in ROOT.glob("evidence/rows/*-aarch64-low.tsv"))
# Whether they are right is decided by the values: there is no look-alike.
ALWAYS_IN_HALF = {
    ("MNN361", "GridSample"),
    ("MNN784", "GridSample"),
    ("MNN273", "ReduceProd"),
    ("MNN773", "Softplus"),
    ("MNN225", "NonMaxSuppression"),
}


def test_rows_about_half_precision_were_measured_on_a_device(table: SupportTable) -> None:
    assert IN_HALF
    models = shown(ROOT, table, IN_HALF, precision="low")
    measured = {version: load_evidence(version, "aarch64", precision="low", rows=True) for version in IN_HALF}
    assert without_models(table, models, ALWAYS_IN_HALF, precision="low") == []
    assert disagreements(models, measured) == []
    assert unflagged(models, IN_HALF[-1], table, precision="low", arch=ARM) == []


ON_ARM = sorted(path.name.partition("-")[0] for path in ROOT.glob("evidence/rows/*-aarch64-high.tsv"))


@pytest.mark.parametrize("version", ON_ARM)
def test_rows_say_what_their_micro_models_do_on_arm64(version: str, table: SupportTable) -> None:
    """A row without `arch` holds there as well; one that does not is limited to where it does."""
    models = shown(ROOT, table, [version], arch=ARM)
    measured = load_evidence(version, "aarch64", precision="high", rows=True)
    assert untold_there(models, version, measured, load_evidence(version, rows=True)) == []
    assert set(measured) == {each.case.id for each in models}
    assert without_models(table, models, (), arch=ARM) == []


@pytest.mark.parametrize("version", IN_HALF)
def test_rows_say_what_their_micro_models_do_in_half_precision(version: str, table: SupportTable) -> None:
    """Those of rows that hold in every precision, as far as they were measured."""
    measured = load_evidence(version, "aarch64", precision="low", rows=True)
    targets = {version: Target(version, arch=ARM, precision="low", table=table)}
    models = [shown_for(each, targets) for each in row_cases(arch=ARM) if each.id in measured]
    assert untold_there(models, version, measured, load_evidence(version, rows=True)) == []


def test_rows_about_half_precision_say_nothing_in_float32(table: SupportTable) -> None:
    for each in shown(ROOT, table, IN_HALF, precision="low"):
        found = check_model(from_proto(each.case.model()), mnn_version=IN_HALF[-1], table=table, arch=ARM)
        assert each.case.code not in {item.code for item in found.diagnostics}


# ---- planted rows --------------------------------------------------------------------------------------------------

ROW = """
[[support]]
code = "MNN799"
name = "invented"
mnn = ">=3.0"
when = { attr.alpha = 0.5 }
status = "wrong"
reason = "Elu with alpha 0.5 is off by one"
evidence = ["measured: alpha 0.5: values wrong; 1: right"]
"""
FLAGGED = """
[[case]]
code = "MNN799"
name = "alpha 0.5"
model = '''<ir_version: 8, opset_import: ["" : 17]> g (float[3] x) => (float[3] y) { y = Elu <alpha = 0.5> (x) }'''
"""
ALIKE = """
[[case]]
unlike = "MNN799"
name = "alpha 1"
model = '''<ir_version: 8, opset_import: ["" : 17]> g (float[3] x) => (float[3] y) { y = Elu <alpha = 1.0> (x) }'''
"""
RIGHT = {f"row:Elu/{kind}MNN799/{name}": "ok" for kind, name in (("", "alpha 0.5"), ("not-", "alpha 1"))}
SHOWN = RIGHT | {"row:Elu/MNN799/alpha 0.5": "wrong:values"}


def complaints(tmp_path: Path, cases: str, codes: dict[str, str], *, row: str = ROW) -> list[str]:
    """What is missing about a row of Elu that was added to a copy of the rules, where its models came to `codes`."""
    root = tmp_path / "rules"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("evidence", "cases"))
    (root / "cases").mkdir()
    with (root / "ops" / "Elu.toml").open("a") as file:
        file.write(row)
    if cases:
        (root / "cases" / "Elu.toml").write_text(cases)
    table = SupportTable(root)
    found = shown(root, table, (NEWEST,), {"Elu"})
    measured = {case: Measurement.of_code(code, case=case, op="Elu", detail="") for case, code in codes.items()}
    return without_models(table, found, ALWAYS, {"Elu"}) + disagreements(found, {NEWEST: measured})


def test_a_row_that_is_shown_is_not_complained_about(tmp_path: Path) -> None:
    assert complaints(tmp_path, FLAGGED + ALIKE, SHOWN) == []


def test_an_invented_row_has_no_models(tmp_path: Path) -> None:
    model, alike = complaints(tmp_path, "", {})
    assert "Elu MNN799 (>=3.0): no micro-model shows it: add one that it flags to rules/cases/Elu.toml" in model
    assert "no look-alike distinguishes it" in alike
    for message in (model, alike):
        assert "mnncompat probe --corpus rows --code MNN799" in message


def test_an_invented_row_was_not_measured(tmp_path: Path) -> None:
    unmeasured = complaints(tmp_path, FLAGGED + ALIKE, {})
    assert [each.partition(": measure it")[0] for each in unmeasured] == [
        f"row:Elu/MNN799/alpha 0.5: was not measured on {NEWEST}",
        f"row:Elu/not-MNN799/alpha 1: was not measured on {NEWEST}",
    ]
    assert all("python tests/evidence/measure.py --rows" in each for each in unmeasured)


@pytest.mark.parametrize("code", ["ok", "refused@convert", "crash@run:SIGSEGV", "error@run", "unrepresentable"])
def test_an_invented_row_says_what_was_not_measured(tmp_path: Path, code: str) -> None:
    (message,) = complaints(tmp_path, FLAGGED + ALIKE, SHOWN | {"row:Elu/MNN799/alpha 0.5": code})
    assert f"row:Elu/MNN799/alpha 0.5: is {code} on {NEWEST}, and the row (>=3.0) says wrong" in message


def test_a_row_of_another_condition_does_not_speak_about_the_model(tmp_path: Path) -> None:
    row = ROW.replace("attr.alpha = 0.5", "attr.alpha = 0.25")
    found = complaints(tmp_path, FLAGGED + ALIKE, SHOWN, row=row)
    assert any("no micro-model shows it" in each for each in found)
    assert any("row:Elu/MNN799/alpha 0.5: no row MNN799 holds for it" in each for each in found)


def test_a_look_alike_that_is_flagged_or_wrong(tmp_path: Path) -> None:
    row = ROW.replace("{ attr.alpha = 0.5 }", "{}")
    flagged = complaints(tmp_path, FLAGGED + ALIKE, SHOWN, row=row)
    assert flagged[0].startswith("row:Elu/not-MNN799/alpha 1: is a look-alike, but the row flags it")
    wrong = SHOWN | {"row:Elu/not-MNN799/alpha 1": "wrong:values"}
    (message,) = complaints(tmp_path / "wrong", FLAGGED + ALIKE, wrong)
    assert f"is a look-alike, but wrong:values on {NEWEST}, and no row says so" in message


# ---- entries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('[[case]]\nname = "a"\nmodel = ""', "one of code, unlike"),
        ('[[case]]\ncode = "MNN799"\nunlike = "MNN798"\nname = "a"\nmodel = ""', "one of code, unlike"),
        ('[[case]]\ncode = "MNN799"\nname = "a"\nmodel = ""\nmeasured = "ok"', "unknown: measured"),
        ("[[cases]]", r"must hold \[\[case\]\] tables"),
        (FLAGGED + FLAGGED, "there are two 'row:Elu/MNN799/alpha 0.5'"),
    ],
)
def test_a_damaged_entry_is_named(tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "Elu.toml").write_text(entry)
    with pytest.raises(TableError, match=message):
        list(row_cases(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("float[3] y)", "float[3 y)"), "row:Elu/MNN799/alpha 0.5"),
        (("model", 'storage = { x = "sparse" }\nmodel'), "storage of x"),
        (("Elu <alpha = 0.5>", "Nothing"), "state what must come out"),
    ],
)
def test_a_model_that_cannot_be_measured_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "Elu.toml").write_text(FLAGGED.replace(*change, 1))
    (case,) = row_cases(tmp_path)
    with pytest.raises(TableError, match=message):
        case.case()


def test_statuses_and_outcomes(table: SupportTable) -> None:
    rows = {row.status: row for op in table.ops() for row in table.rows(op)}
    assert outcomes_of(rows["supported"]) == {Outcome.OK}
    assert outcomes_of(rows["refused"]) == {Outcome.REFUSED}
    assert Outcome.OK not in outcomes_of(rows["partial"])
    types = next(row for row in table.graph_rows() if row.obstacle == "type" and row.status == "error")
    assert outcomes_of(types) == {Outcome.ERROR, Outcome.UNREPRESENTABLE}
    assert {case.op for case in row_cases()} - {GRAPH} <= set(table.ops())
