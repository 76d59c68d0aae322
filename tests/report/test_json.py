"""The JSON document follows the schema that ships with it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from handmade import CONVERTED, EQUAL, HOSTILE, MISSING, SUBJECTS, check, hostile, output, parity
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mnncompat.report import OutputFormat, Subject, Verified, render
from mnncompat.report.json import SCHEMA_VERSION
from mnncompat.results.parity_report import ParityReport


@cache
def schema() -> Draft202012Validator:
    loaded: dict[str, Any] = json.loads((files("mnncompat.report") / "output.schema.json").read_text())
    Draft202012Validator.check_schema(loaded)
    return Draft202012Validator(loaded)


def document(*subjects: Subject | ParityReport) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    loaded: dict[str, Any] = json.loads(render(subjects, OutputFormat.JSON), parse_constant=refuse)
    return loaded


@pytest.mark.parametrize("name", SUBJECTS)
def test_follows_its_schema(name: str) -> None:
    schema().validate(document(*SUBJECTS[name]))


@given(st.floats())
def test_every_float_is_valid_json(value: float) -> None:
    comparison = replace(MISSING, max_abs=value, max_rel=-value, snr_db=value, error_ratio=value, top1=value)
    report = parity(output("y", comparison))
    schema().validate(document(Verified(source="m", file="f", parity=report)))


@given(st.text(st.characters(), max_size=20))
def test_every_name_is_valid(name: str) -> None:
    schema().validate(document(*hostile(name)))


def test_says_which_schema_and_tool() -> None:
    written = document()
    assert written["schema_version"] == SCHEMA_VERSION
    assert written["tool"]["name"] == "mnncompat"
    assert written["results"] == []


def test_nothing_measured_is_null_and_infinity_a_string() -> None:
    report = document(Verified(source="", file="", parity=parity(output("y", MISSING))))["results"][0]["parity"]
    comparison = report["outputs"][0]["comparisons"][0]
    assert (comparison["max_abs"], comparison["excess"], comparison["top1"]) == (None, "Infinity", None)
    exact = document(EQUAL)["results"][0]["parity"]["outputs"][0]["comparisons"][1]
    assert exact["snr_db"] == "Infinity"


def test_a_bare_parity_report_is_a_verification() -> None:
    result = document(EQUAL)["results"][0]
    assert (result["kind"], result["source"], result["parity"]["passed"]) == ("verify", "", True)


def test_verdicts_and_counts_need_no_arithmetic() -> None:
    converted, checked = document(CONVERTED, check())["results"]
    assert converted["verdict"] == "converted"
    assert converted["out"] == "out/digits.mnn"
    assert converted["fix"]["proven"]
    assert converted["summary"] == {"error": 0, "warning": 1, "info": 1}
    assert checked["summary"] == {"error": 0, "warning": 0, "info": 0}


def test_the_model_itself_is_left_out() -> None:
    assert "model" not in document(*SUBJECTS["fix"])["results"][0]


def test_hostile_names_are_given_back() -> None:
    assert document(*hostile(HOSTILE))["results"][0]["model"] == HOSTILE
