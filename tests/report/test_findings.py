"""Every result as diagnostics: the right codes, and nothing that contradicts the exit status."""

from __future__ import annotations

from dataclasses import replace

import pytest
from handmade import (
    CONVERTED,
    DIFFERENT,
    EQUAL,
    FEW_SIZES,
    FIXED,
    NOT_CONVERTED,
    NOT_EQUAL,
    NOT_RUN,
    ROLLED_BACK,
    SILENT,
    SOURCE,
    SUBJECTS,
    UNDECLARED,
    UNKNOWN,
    check,
    output,
    parity,
)

from mnncompat.report import Subject, Verified, findings
from mnncompat.results.diagnostics import RuleInfo, Severity
from mnncompat.results.outcomes import ConvertResult, Verdict
from mnncompat.results.proof_strength import ProofVerdict
from mnncompat.results.rules import RESULT_RULES


def codes(subject: Subject) -> list[str]:
    return [f"{each.code} {each.severity.value}" for each in findings(subject)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("check-clean", []),
        ("fix", ["MNN094 info"]),
        ("fix-nothing", []),
        ("fix-rolled-back", ["MNN091 error"]),
        ("convert", ["MNN212 warning", "MNN002 info"]),
        ("convert-refused", ["MNN092 error", "MNN212 error", "MNN002 info"]),
        ("convert-different", ["MNN093 error", "MNN093 error", "MNN212 error", "MNN002 info"]),
        ("convert-crashed", ["MNN093 error", "MNN212 error", "MNN002 info"]),
        ("convert-not-proven", ["MNN091 error", "MNN001 error", "MNN801 warning"]),
        ("convert-one-size", ["MNN096 error", "MNN212 error", "MNN002 info"]),
        ("convert-accepted", ["MNN096 warning", "MNN212 warning", "MNN002 info"]),
        ("convert-within", ["MNN097 info", "MNN212 warning", "MNN002 info"]),
        ("convert-not-exercised", ["MNN095 error", "MNN212 error", "MNN002 info"]),
        ("verify", []),
        ("verify-one-size", ["MNN096 error"]),
        ("verify-not-exercised", ["MNN095 error"]),
        ("verify-different", ["MNN093 error", "MNN093 error"]),
        ("verify-nothing", ["MNN093 error"]),
    ],
)
def test_codes(name: str, expected: list[str]) -> None:
    [subject] = SUBJECTS[name]
    assert codes(subject) == expected


def test_a_check_is_its_findings() -> None:
    assert findings(check(UNDECLARED, UNKNOWN)) == [UNDECLARED, UNKNOWN]


def test_a_bare_parity_report_has_findings_too() -> None:
    assert [each.code for each in findings(DIFFERENT)] == ["MNN093", "MNN093"]


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.CONVERTED])
def test_a_failed_conversion_always_has_an_error(verdict: Verdict) -> None:
    bare = ConvertResult(source=SOURCE, out=None, verdict=verdict, check=check(), fix=None)
    [found] = findings(bare)
    assert found.severity is Severity.ERROR
    assert found.location.model == SOURCE


def test_a_conversion_that_was_proven_has_no_errors() -> None:
    proven = replace(CONVERTED, fix=ROLLED_BACK)
    assert Severity.ERROR not in {each.severity for each in findings(proven)}


def test_what_a_rewrite_removed_is_no_longer_a_finding() -> None:
    assert [each.code for each in findings(CONVERTED)] == [each.code for each in CONVERTED.remaining]
    assert UNDECLARED not in findings(NOT_CONVERTED)


def test_what_was_accepted_is_at_most_a_warning() -> None:
    [found] = findings(Verified(source=SOURCE, file="m.mnn", parity=FEW_SIZES, accepted=FEW_SIZES.lacks))
    assert (found.code, found.severity) == ("MNN096", Severity.WARNING)


def test_all_that_a_proof_lacks_is_a_finding() -> None:
    both = replace(FEW_SIZES, power=SILENT)
    assert [each.code for each in findings(both)] == ["MNN095", "MNN096"]
    assert both.verdict is ProofVerdict.NOT_PROVEN
    assert (
        findings(replace(EQUAL, power=replace(SILENT, exercised=tuple(f"Gemm {n}" for n in range(120)))))[0].severity
        is Severity.INFO
    )


def test_a_refusal_of_the_converter_is_in_its_own_words() -> None:
    message = findings(NOT_CONVERTED)[0].message
    assert "Not Support: ai.onnx.ml::TreeEnsemble" in message
    assert "These Op Not Support" in message
    assert "\n" not in message


def test_a_difference_names_output_draw_and_metrics() -> None:
    far, missing = findings(NOT_EQUAL)[:2]
    assert "output logits: 1 of 2 draws differ, the worst is normal" in far.message
    assert "max abs 1.0e+00" in far.message
    assert "SNR -3.0 dB" in far.message
    assert "output mask" in missing.message
    assert "the output is missing" in missing.message


def test_a_crash_says_which_side_and_how() -> None:
    assert findings(NOT_RUN)[0].message == "MNN gave no outputs: killed by SIGSEGV"
    assert findings(NOT_RUN)[0].status == "crash"


def test_an_output_that_no_draw_could_judge_is_a_finding() -> None:
    empty = replace(output("y"), problems=("nothing was compared",))
    [found] = findings(parity(empty))
    assert found.message == "output y: nothing was compared"


def test_a_proof_that_fails_is_an_error() -> None:
    assert codes(replace(FIXED, proof=DIFFERENT))[0] == "MNN091 error"


def test_a_refusal_knows_its_model() -> None:
    refused = replace(FIXED.refused[0], location=replace(FIXED.refused[0].location, model=""))
    [found] = findings(replace(FIXED, refused=(refused,)))
    assert found.location.model == SOURCE


@pytest.mark.parametrize("rule", RESULT_RULES, ids=lambda rule: rule.code)
def test_rules_are_explained(rule: RuleInfo) -> None:
    [found] = [each for each in RESULT_RULES if each is rule]
    assert len(found.explanation) > 100
    assert found.summary
    assert "\n" not in found.summary
