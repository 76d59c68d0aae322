"""One JSON document with every field of every result. Its schema is `output.schema.json` beside this file."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any, cast

from mnncompat.report.as_diagnostics import findings
from mnncompat.report.subject import Subject, Verified
from mnncompat.report.version import tool_version
from mnncompat.results.diagnosis import Diagnosis
from mnncompat.results.diagnostics import CheckResult, Severity
from mnncompat.results.kept import KeptResult
from mnncompat.results.outcomes import ConvertResult, FixResult, Unfinished
from mnncompat.results.parity_report import Tolerance

SCHEMA_VERSION = "1.6"
"""Of the document. The second number grows with additions, the first with anything that breaks a reader."""

# Fields whose names changed after the first version of the schema; in the document they keep theirs.
_NAMES = {"error_ratio": "excess", "discriminative": "telling", "inconclusive": "set_aside"}
_DERIVED = (
    *("path", "passed", "changed", "proven", "is_proven", "is_enough", "agrees", "verdict", "lacks", "snr_db"),
    *("top1", "problems"),
    *("is_wrong", "op_types", "state"),
)
_KINDS = (
    (CheckResult, "check"),
    (FixResult, "fix"),
    (ConvertResult, "convert"),
    (Verified, "verify"),
    (Unfinished, "unfinished"),
    (Diagnosis, "diagnosis"),
    (KeptResult, "kept"),
)
_LEFT_OUT: Mapping[type, tuple[str, ...]] = {FixResult: ("model", "approximated"), Tolerance: ("scaled",)}
"""The models of a fix; and how a tolerance came about, of which the numbers are told that were used."""


def render(subjects: Sequence[Subject]) -> str:
    """Write the document. NaN is null, infinities are the strings `Infinity` and `-Infinity`."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "mnncompat", "version": tool_version()},
        "results": [_result(subject) for subject in subjects],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _result(subject: Subject) -> dict[str, Any]:
    severities = [found.severity for found in findings(subject)]
    return {
        "kind": next(kind for each, kind in _KINDS if isinstance(subject, each)),
        "summary": {severity.value: severities.count(severity) for severity in Severity},
        **plain(subject),
    }


def plain(value: object) -> Any:
    """Anything that a result holds, as what JSON knows."""
    if is_dataclass(value):
        return _record(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: object) -> str | int | float | None:
    match value:
        case Enum():
            return str(value.value)
        case float():
            return _number(value)
        case PurePath():
            return str(value)
        case None | int() | str():
            return value
    raise TypeError(f"no JSON for {type(value).__name__}")


def _record(value: Any) -> dict[str, Any]:
    """A result with its fields, in their order, and what follows from them."""
    return {told: plain(getattr(value, name)) for name, told in _told(cast("Hashable", type(value)))}


@cache
def _told(kind: Any) -> list[tuple[str, str]]:
    """What is told of a kind of result: names of attributes, and their names in the document."""
    left_out = next((names for each, names in _LEFT_OUT.items() if issubclass(kind, each)), ())
    found = [(each.name, _NAMES.get(each.name, each.name)) for each in fields(kind) if each.name not in left_out]
    return found + [(name, name) for name in _DERIVED if isinstance(getattr(kind, name, None), property)]


def _number(value: float) -> float | str | None:
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
