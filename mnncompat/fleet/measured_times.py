"""The times in an encoded result, apart from the rest: what is left is the same in every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_FIELDS = {
    "diagnosis.Diagnosis": "seconds",
    "proof_strength.Power": "seconds",
    "parity_report.ParityReport": "speed",
    "outcomes.ConvertResult": "latency",
}
"""Class -> its field that holds times; each has a default."""


def taken_out(document: Any) -> dict[str, Any]:
    """Take the times out of an encoded result, in place.

    Returns:
        They, by the number of the record that holds them.
    """
    found = {}
    for number, record in enumerate(_timed(document)):
        value = record.pop(_FIELDS[record["$"]], None)
        if value is not None:
            found[str(number)] = value
    return found


def put_back(document: Any, times: Mapping[str, Any]) -> None:
    """Put times into an encoded result, in place; those that are not known have their default."""
    for number, record in enumerate(_timed(document)):
        if str(number) in times:
            record[_FIELDS[record["$"]]] = times[str(number)]


def _timed(value: Any) -> Iterator[dict[str, Any]]:
    """Records that have times, the outer ones first."""
    if isinstance(value, dict):
        if value.get("$") in _FIELDS:
            yield value
        for name, each in list(value.items()):
            if name != _FIELDS.get(value.get("$", "")):
                yield from _timed(each)
    elif isinstance(value, list):
        for each in value:
            yield from _timed(each)
