"""The times in an encoded result, and what it was spared by an earlier run, apart: what is left is always the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_FIELDS = {
    "diagnosis.Diagnosis": ("seconds",),
    "proof_strength.Power": ("seconds", "remembered"),
    "parity_report.ParityReport": ("speed",),
    "outcomes.ConvertResult": ("latency",),
    "kept_record.RecordedConversion": ("latency",),
    "kept_record.Record": ("latency_ratio",),
}
"""Class -> its fields that differ from run to run; each has a default."""


def taken_out(document: Any) -> dict[str, Any]:
    """Take the times out of an encoded result, in place.

    Returns:
        They by name, by the number of the record that holds them.
    """
    found = {}
    for number, record in enumerate(_timed(document)):
        values = {name: record.pop(name) for name in _FIELDS[record["$"]] if name in record}
        told = {name: value for name, value in values.items() if value}
        if told:
            found[str(number)] = told
    return found


def put_back(document: Any, times: Mapping[str, Any]) -> None:
    """Put times into an encoded result, in place; those that are not known have their default."""
    for number, record in enumerate(_timed(document)):
        record.update({name: value for name, value in times.get(str(number), {}).items() if name in _of(record)})


def _of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of a record that hold times."""
    kind = record.get("$")
    return _FIELDS.get(kind, ()) if isinstance(kind, str) else ()


def _timed(value: Any) -> Iterator[dict[str, Any]]:
    """Records that have times, the outer ones first."""
    if isinstance(value, dict):
        if _of(value):
            yield value
        for name, each in list(value.items()):
            if name not in _of(value):
                yield from _timed(each)
    elif isinstance(value, list):
        for each in value:
            yield from _timed(each)
