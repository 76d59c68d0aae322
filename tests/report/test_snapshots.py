"""Every format over every kind of result, compared with reviewed snapshots."""

from __future__ import annotations

import pytest
from handmade import CHANGES, RULES, SUBJECTS
from syrupy.assertion import SnapshotAssertion

from mnncompat.report import OutputFormat, diff_text, render


@pytest.fixture(autouse=True)
def _fixed_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0.0.0")


FOR_PEOPLE = (OutputFormat.TEXT, OutputFormat.CONCISE, OutputFormat.GITHUB)
FOR_MACHINES = (OutputFormat.JSON, OutputFormat.SARIF)


@pytest.mark.parametrize("output_format", FOR_PEOPLE, ids=str)
@pytest.mark.parametrize("name", SUBJECTS)
def test_for_people(snapshot: SnapshotAssertion, output_format: OutputFormat, name: str) -> None:
    assert render(SUBJECTS[name], output_format, rules=RULES) == snapshot


@pytest.mark.parametrize("output_format", FOR_MACHINES, ids=str)
@pytest.mark.parametrize("name", ["check", "check-backend", "fix", "convert-refused", "verify-different", "none"])
def test_for_machines(snapshot: SnapshotAssertion, output_format: OutputFormat, name: str) -> None:
    assert render(SUBJECTS[name], output_format, rules=RULES) == snapshot


@pytest.mark.parametrize("name", ["check", "fix", "convert", "verify-different"])
def test_text_in_colour_and_wrapped(snapshot: SnapshotAssertion, name: str) -> None:
    assert render(SUBJECTS[name], OutputFormat.TEXT, rules=RULES, color=True, width=72) == snapshot


def test_diff(snapshot: SnapshotAssertion) -> None:
    assert diff_text(CHANGES) == snapshot


def test_diff_in_colour(snapshot: SnapshotAssertion) -> None:
    assert diff_text(CHANGES, color=True) == snapshot
