"""Weights of large models lie in a file of their own while it is looked for the culprit; nothing else changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from branching import two_branches, with_loop
from known_faults import FAULTS
from test_diagnose import OPTIONS, names

from mnncompat.diagnosing import weights_apart, whole_model
from mnncompat.diagnosing.diagnose import diagnose
from mnncompat.graph.model_file import Model, from_proto
from mnncompat.mnn import ConvertOptions
from mnncompat.results.diagnosis import DiagnosisVerdict
from mnncompat.results.failures import Failure


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the weights of each conversion of the whole lay apart; every model counts as large."""
    found: list[bool] = []

    def noted(model: Model, options: ConvertOptions, **more: object) -> Path | Failure:
        found.append(options.external_weights)
        return whole_model.converted(model, options, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(weights_apart, "LEAST", 0)
    monkeypatch.setattr(f"{diagnose.__module__}.converted", noted)
    return found


def test_a_culprit_that_is_wrong_alone_needs_no_other_file(apart: list[bool]) -> None:
    found = diagnose(from_proto(FAULTS["Mod of floats"]()), None, OPTIONS)
    assert names(found) == ["fault"]
    assert re.search("alone is wrong|^wrong as well: ", found.culprits[0].isolated)
    assert apart == [True]


def test_agreement_is_that_of_the_usual_file(apart: list[bool]) -> None:
    assert diagnose(from_proto(two_branches()), None, OPTIONS).verdict is DiagnosisVerdict.AGREES
    assert apart == [True, False]


def test_a_failure_is_that_of_the_usual_file(apart: list[bool]) -> None:
    found = diagnose(from_proto(FAULTS["Hardmax"]()), None, OPTIONS)
    assert names(found) == ["fault"]
    assert found.failure is not None
    assert apart == [True, False]


def test_a_model_with_bodies_is_converted_as_usual(apart: list[bool]) -> None:
    assert diagnose(from_proto(with_loop()), None, OPTIONS).verdict is DiagnosisVerdict.AGREES
    assert apart == [False]
