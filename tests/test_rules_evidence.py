"""The evidence of the rows of the table: cases of the corpora, measured on every release that has evidence.

A row names cases (`node:test_abs`). Each must exist, the row must hold for a node of it, and in every release that
the row covers MNN must have done what the row says. No row may state an error for uses that are mostly right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
from onnx import ModelProto

from mnncompat.checking.checker import UNDECLARED, check_model
from mnncompat.errors import ModelError
from mnncompat.graph.model_file import from_proto
from mnncompat.graph.protos import is_onnx
from mnncompat.inference.model_view import view_model
from mnncompat.probe.corpora import CORPORA
from mnncompat.probe.evidence import load_evidence
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.probe.row_cases import row_cases
from mnncompat.results.diagnostics import Severity
from mnncompat.support import rule_files
from mnncompat.support.deployment import PRECISIONS
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.releases import releases
from mnncompat.support.table import Row, SupportTable

CASE = re.compile(r"(?:node|node-const|converted|operator|simple):\w+")
SOURCE = re.compile(r"src:(?P<path>[^@: ]+)@(?P<tag>[0-9.]+)(?:: .+)?")
TABLE = SupportTable()
ROWS = [row for op in TABLE.ops() for row in TABLE.rows(op)]
MEASURED = sorted(path.name.partition("-")[0] for path in rule_files.root().glob("evidence/*-x86_64.tsv"))
ON_ARM = sorted(path.name.partition("-")[0] for path in rule_files.root().glob("evidence/*-aarch64-high.tsv"))
ERRORS = ("refused", "crash", "error", "wrong")
MNN_SOURCE = ("CMakeLists.txt", "express/", "include/", "pymnn/", "schema/", "source/", "tools/")


Place = tuple[str, int]
"""A row: op type, number in the file."""


class Shown(NamedTuple):
    """What the corpora show.

    Attributes:
        cases: The cases for which a row certainly holds.
        models: The model of each case.
    """

    cases: Mapping[Place, frozenset[str]]
    models: Mapping[str, bytes]


def places(*, precision: str = "") -> Iterator[tuple[Place, Row]]:
    """Rows that hold in any precision, or those about one."""
    for op in TABLE.ops():
        for number, row in enumerate(TABLE.rows(op)):
            if (precision in row.precision) if precision else not row.precision:
                yield (op, number), row


def holding(model: bytes) -> set[Place]:
    """The rows that certainly hold for a node of the model."""
    found: set[Place] = set()
    try:
        view = view_model(from_proto(ModelProto.FromString(model)))
    except ModelError:
        return found
    for graph in view.graphs():
        for index, node in enumerate(graph.nodes):
            if is_onnx(node):
                file = TABLE.file(node.op_type)
                facts = NodeFacts(graph, index, file.defaults)
                found |= {(node.op_type, n) for n, row in enumerate(file.rows) if row.holds(facts) is True}
    return found


@pytest.fixture(scope="module")
def shown() -> Shown:
    cases: dict[Place, set[str]] = {place: set() for each in ("", *PRECISIONS) for place, _ in places(precision=each)}
    models: dict[str, bytes] = {}
    for corpus in CORPORA.values():
        models |= {case.id: case.model for case in corpus()}
    models |= {case.id: case.model().SerializeToString() for case in row_cases()}
    for case, model in models.items():
        for place in holding(model):
            cases[place].add(case)
    return Shown(cases={place: frozenset(found) for place, found in cases.items()}, models=models)


def named(row: Row) -> list[str]:
    return [each for each in row.evidence if CASE.fullmatch(each)]


def evidence_of(row: Row) -> dict[str, Mapping[str, Measurement]]:
    """What was measured where the row holds, by release that it covers: on x86-64, or else on arm64."""
    if row.arch and "x86_64" not in row.arch:
        return {each: load_evidence(each, "aarch64", precision="high") for each in ON_ARM if row.holds_for(each)}
    return {each: load_evidence(each) for each in MEASURED if row.holds_for(each)}


def outcomes(row: Row, case: str) -> dict[str, Measurement | None]:
    """What MNN did with the case, by release that the row covers."""
    return {version: evidence.get(case) for version, evidence in evidence_of(row).items()}


def disagreement(row: Row, case: str) -> str:
    """Why the case does not show what the row says; empty if it does."""
    found = outcomes(row, case)
    if not found:
        return "the row covers no release that was measured"
    for version, each in found.items():
        if each is None:
            return f"was not measured on {version}"
        if row.code == UNDECLARED and each.outcome is not Outcome.REFUSED:
            return f"is not refused by {version}"
        if each.outcome is Outcome.UNREPRESENTABLE:
            return f"could not be run on {version}"
        if row.status != "partial" and (each.outcome is Outcome.OK) is not (row.status == "supported"):
            return f"is {each.code} on {version}"
    return ""


def test_named_cases_show_what_the_row_says(shown: Shown) -> None:
    found = [
        f"{op} {row.code or row.status}: {case} {objection}"
        for (op, number), row in places()
        for case in named(row)
        if (
            objection := "is no case of any corpus" * (case not in shown.models)
            or "has no node for which the row holds" * (case not in shown.cases[op, number])
            or disagreement(row, case)
        )
    ]
    assert not found, "\n".join(found)


def test_named_cases_show_what_rows_about_half_precision_say(shown: Shown) -> None:
    """Such rows are measured on a device; those whose outcome the values decide name cases that are wrong."""
    found = []
    for place, row in places(precision="low"):
        evidence = load_evidence("3.6.1", "aarch64", precision="low")
        for case in named(row):
            assert case in shown.cases[place], f"{row.code}: {case} has no node for which the row holds"
            if evidence[case].outcome is not Outcome.WRONG:
                found.append(f"{row.code}: {case} is {evidence[case].code}")
    assert not found, "\n".join(found)


# Right where the operands happen to hold no equal elements, of which the node tests have few, the generated cases many.
DECIDED_BY_VALUES = frozenset(("MNN233",))


def test_no_error_is_mostly_right(shown: Shown) -> None:
    """A row that states an error contradicts the evidence if most of its cases are right."""
    found = []
    for place, row in places():
        if row.status not in ERRORS or row.code in DECIDED_BY_VALUES:
            continue
        for version, evidence in evidence_of(row).items():
            known = [each for case in shown.cases[place] if (each := evidence.get(case))]
            run = [each for each in known if each.outcome is not Outcome.UNREPRESENTABLE]
            right = sum(each.outcome is Outcome.OK for each in run)
            if 2 * right > len(run):
                found.append(f"{place[0]} {row.code} on {version}: {right} of {len(run)} cases are right")
    assert not found, "\n".join(found)


def test_no_supported_form_is_mostly_wrong(shown: Shown) -> None:
    """A row that states support contradicts the evidence if most of its cases fail without any finding."""
    found = []
    for version in MEASURED:
        evidence, told = load_evidence(version), flagged_cases(shown, version)
        for place, row in places():
            if row.status != "supported" or not row.holds_for(version):
                continue
            own = {case for case in shown.cases[place] - told if case in evidence and evidence[case].op == place[0]}
            right = [case for case in own if evidence[case].outcome is Outcome.OK]
            failed = [case for case in sorted(own) if fails(evidence[case])]
            silent = [case for case in failed if not is_reported(shown.models[case], version)]
            if len(silent) > len(right):
                found.append(f"{place[0]} supported on {version}: {len(right)} right, {len(silent)} wrong: {silent[0]}")
    assert not found, "\n".join(found)


def flagged_cases(shown: Shown, version: str) -> set[str]:
    """The cases for which a row that is not `supported` holds."""
    rows = [place for place, row in places() if row.status != "supported" and row.holds_for(version)]
    return {case for place in rows for case in shown.cases[place]}


def is_reported(model: bytes, version: str) -> bool:
    result = check_model(from_proto(ModelProto.FromString(model)), mnn_version=version, table=TABLE)
    return any(item.severity is not Severity.INFO for item in result.diagnostics)


def test_errors_end_where_the_evidence_says(shown: Shown) -> None:
    """In a release that a row leaves out, its cases are right, or another row says why not."""
    rows = dict(places())
    found = []
    for version in MEASURED:
        evidence = load_evidence(version)
        told = flagged_cases(shown, version)
        for place, row in rows.items():
            if row.status in ERRORS and row.code != UNDECLARED and not row.holds_for(version):
                left = [c for c in sorted(shown.cases[place] - told) if c in evidence and fails(evidence[c])]
                if left and releases().declares(place[0], version):
                    found.append(
                        f"{place[0]} {row.code} ({row.mnn}) on {version}: {left[0]} is {evidence[left[0]].code}"
                    )
    assert not found, "\n".join(found)


def fails(each: Measurement) -> bool:
    return each.outcome not in (Outcome.OK, Outcome.UNREPRESENTABLE)


def test_the_comparison_can_fail() -> None:
    right = next(row for row in TABLE.rows("Relu") if row.status == "supported")
    wrong = next(row for row in TABLE.rows("Softmax") if row.status == "wrong")
    assert disagreement(right, "node:test_relu") == ""
    assert "is ok on" in disagreement(wrong, "node:test_relu")
    assert "was not measured" in disagreement(right, "node:test_nothing")
    assert "is not refused" in disagreement(TABLE.rows("Hardmax")[0], "node:test_relu")


def test_sources_are_files_of_mnn_at_a_release() -> None:
    known = releases().dates
    for row in (*TABLE.graph_rows(), *ROWS):
        for each in row.evidence:
            if each.startswith("src:"):
                source = SOURCE.fullmatch(each)
                assert source is not None, each
                assert source["tag"] in known, each
                assert source["path"].startswith(MNN_SOURCE), each
                assert "//" not in source["path"], each
                assert ".." not in source["path"].split("/"), each


def test_what_is_called_supported_was_measured_right(shown: Shown) -> None:
    """In every release that it covers; `tests/rules` does the same for the rows that have a code."""
    found = []
    for place, row in places():
        if row.status == "supported":
            for version in (version for version in MEASURED if row.holds_for(version)):
                known = {**load_evidence(version), **load_evidence(version, rows=True)}
                right = [case for case in shown.cases[place] if case in known and known[case].outcome is Outcome.OK]
                if not right:
                    found.append(f"{place[0]} row {place[1]} ({row.mnn}): no case of it is right on {version}")
    assert found == [], "add a look-alike of another row of the operator to rules/cases/ that is of this form"


def test_every_row_rests_on_something() -> None:
    kinds = ("measured: ", "src:", "rules/declared.json: ")
    for row in (*TABLE.graph_rows(), *ROWS):
        assert all(each.startswith(kinds) or CASE.fullmatch(each) for each in row.evidence), row.code
        assert any(not each.startswith("src:") for each in row.evidence), f"{row.op} {row.code}: read, not measured"
