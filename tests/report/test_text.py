"""Properties of the text format that snapshots do not explain."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from handmade import (
    CONVERTED,
    EQUAL,
    FEW_SIZES,
    HOSTILE,
    NEAR,
    POOL,
    RULES,
    SILENT,
    SUBJECTS,
    UNDECLARED,
    UNKNOWN,
    check,
    many,
)

from mnncompat.report import OutputFormat, render
from mnncompat.report.measures import cosine, counted, decibel, distance, share, size
from mnncompat.report.text.page import Page
from mnncompat.report.text.table import columns, write_table
from mnncompat.report.verdict import exercised, label
from mnncompat.results.diagnostics import Applicability
from mnncompat.results.outcomes import Verdict
from mnncompat.results.parity_report import ParityReport
from mnncompat.results.proof_strength import Power, SizeCoverage


def test_a_fixable_finding_says_how_and_an_unsafe_one_with_which_option() -> None:
    found = replace(POOL, fixable=True)
    unsafe = replace(RULES[0], applicability=Applicability.UNSAFE)
    assert "fix: `mnncompat fix` rewrites this (explicit-strides)" in render([check(found)], OutputFormat.TEXT)
    told = render([check(found)], OutputFormat.TEXT, rules=[unsafe])
    assert "fix: `mnncompat fix --unsafe-fixes` rewrites this (explicit-strides)" in told


def test_many_equal_findings_are_one_block_that_counts_them() -> None:
    text = render([many(13)], OutputFormat.TEXT)
    assert text.count("error[MNN212]") == 1
    assert "(13 nodes)" in text
    assert "... and 3 more" in text
    assert "13 errors, 13 info in 26 nodes" in text


def test_no_findings_is_said() -> None:
    assert render([check()], OutputFormat.TEXT) == "models/digits.onnx: no findings in 14 nodes (MNN 3.6.1)\n"


def test_findings_that_a_rewrite_removed_are_not_held_against_a_conversion() -> None:
    text = render([CONVERTED], OutputFormat.TEXT)
    assert UNDECLARED.message not in text
    assert "after the rewrites 1 error, 1 info" in text


def test_errors_that_are_left_beside_a_published_file_are_named() -> None:
    text = render([CONVERTED], OutputFormat.TEXT)
    assert "Findings of the check after the rewrites, which the comparison did not confirm:\nerror[MNN212]" in text
    assert "Findings" not in render([replace(CONVERTED, remaining=(UNKNOWN,))], OutputFormat.TEXT)


@pytest.mark.parametrize("subject", [FEW_SIZES, replace(FEW_SIZES, power=SILENT), replace(EQUAL, power=SILENT), NEAR])
def test_only_what_is_equal_is_said_to_be(subject: ParityReport) -> None:
    for verdict in (Verdict.CONVERTED, Verdict.ONE_SIZE):
        text = render([replace(CONVERTED, verdict=verdict, parity=subject)], OutputFormat.TEXT)
        assert "computes what" not in text
        assert " yes" not in text
        assert "NO" not in text.replace("NOT", "")


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([(("N", 3), (1, 2))], "equal for batch 1 and 2 only"),
        ([(("x axis 2", 2), (48,)), (("x axis 3", 2), (96, 64))], "equal for x axis 2 = 48 only"),
        ([(("N", 3), (1,)), (("width", 2), (96,))], "equal for batch 1, width = 96 only"),
        ([(("N", 3), (1, 2, 3)), (("width", 2), (64, 96))], "equal"),
    ],
)
def test_sizes_are_named(sizes: list[tuple[tuple[str, int], tuple[int, ...]]], said: str) -> None:
    covered = tuple(
        SizeCoverage(dimension=name, inputs=("x",), sizes=found, needed=needed) for (name, needed), found in sizes
    )
    assert label(replace(EQUAL, sizes=covered)) == said


def test_ten_silent_operators_are_named_and_the_rest_counted() -> None:
    assert exercised(replace(EQUAL, power=SILENT)).endswith("Conv 'layer_9' and 2 more")
    assert exercised(EQUAL) == "power not measured"
    assert exercised(replace(EQUAL, power=Power())) == "no operators with weights"


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_prose_is_wrapped(width: int) -> None:
    page = Page(width=width)
    page.line("word " * 40, lead="   = ")
    lines = page.text().splitlines()
    assert max(len(line) for line in lines) <= max(width, 25)
    assert all(line.startswith("     ") for line in lines[1:])


def test_columns_stay_aligned_with_wide_and_combining_characters() -> None:
    page = Page()
    write_table(page, ("name", "n"), [("名前", "1"), ("e\u0301", "22"), ("plain", "333")], left=1)
    assert {columns(line) for line in page.text().splitlines()} == {10}


def test_an_error_is_not_rounded_away() -> None:
    assert share(0.99999) == "99.99%"
    assert share(1.0) == "100%"
    assert share(None) == "-"
    assert distance(1e-12) == "1.0e-12"


def test_what_was_not_measured_is_a_dash() -> None:
    assert [measure(math.nan) for measure in (distance, cosine, decibel, share)] == ["-"] * 4
    assert decibel(math.inf) == "exact"
    assert decibel(-math.inf) == "-inf dB"


@pytest.mark.parametrize(
    ("count", "expected"), [(1, "1 byte"), (999, "999 bytes"), (1_724_416, "1.7 MB"), (3_000_000_000_000, "3000.0 GB")]
)
def test_size(count: int, expected: str) -> None:
    assert size(count) == expected


def test_counted() -> None:
    assert [counted(count, "node") for count in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]


def test_escapes_can_be_read() -> None:
    text = render([check(replace(UNDECLARED, message=HOSTILE))], OutputFormat.TEXT)
    assert r"名前 [bold red]x[/] {0} [a](1) :smile:\x1b[31m\r\n::error::%25,\u202e\udc80" in text


@pytest.mark.parametrize("name", [each for each in SUBJECTS if each not in ("hostile", "long")])
def test_at_sixty_columns_no_word_is_broken_and_lines_fit(name: str) -> None:
    wide = render(SUBJECTS[name], OutputFormat.TEXT, rules=RULES)
    narrow = render(SUBJECTS[name], OutputFormat.TEXT, rules=RULES, width=60)
    assert set(narrow.split()) == set(wide.split())
    for line in narrow.splitlines():
        assert len(line) <= 60 or len(line.split()) == 1 or "|" in line, line
