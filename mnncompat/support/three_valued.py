"""The parts that conditions are made of: three-valued logic, ranges and the refusal of what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from mnncompat.errors import TableError
from mnncompat.support.releases import COMPARISONS

Truth = bool | None
RangeTest = Callable[[float | None], Truth]

_HINT = "see the docstring of mnncompat/support/conditions.py for the vocabulary"


def all_of(truths: Iterable[Truth]) -> Truth:
    """Three-valued conjunction; stops at the first False."""
    result: Truth = True
    for truth in truths:
        if truth is False:
            return False
        if truth is None:
            result = None
    return result


def any_of(truths: Iterable[Truth]) -> Truth:
    """Three-valued disjunction; stops at the first True."""
    result: Truth = False
    for truth in truths:
        if truth is True:
            return True
        if truth is None:
            result = None
    return result


def fail(where: str, message: str) -> NoReturn:
    """Refuse a row.

    Raises:
        TableError: Always.
    """
    raise TableError(f"{where}: {message}", hint=_HINT)


def require_table(data: Any, where: str) -> Mapping[str, Any]:
    """The argument itself, if it is a table.

    Raises:
        TableError: It is not.
    """
    if not isinstance(data, Mapping):
        fail(where, f"a table was expected, not {data!r}")
    return data


# ---- ranges --------------------------------------------------------------------------------------------------------


def parse_range(text: Any, where: str) -> RangeTest:
    """Build a test from a range such as ``">=2,<5"`` or a plain number.

    Raises:
        TableError: It is neither.
    """
    bounds = [_bound(part.strip(), where) for part in str(text).split(",")]

    def test(value: float | None) -> Truth:
        return None if value is None else all(compare(value, limit) for compare, limit in bounds)

    return test


def _bound(part: str, where: str) -> tuple[Callable[[float, float], bool], float]:
    sign = next((sign for sign in COMPARISONS if part.startswith(sign)), "")
    try:
        return COMPARISONS[sign or "=="], float(part[len(sign) :])
    except ValueError:
        fail(where, f"{part!r} is not a range")


def parse_quantified(quantifier: str, text: Any, where: str) -> Callable[[Any], Truth]:
    """Build a test of several numbers: ``any`` or ``all`` of them lie in the range.

    Raises:
        TableError: It is not a range.
    """
    matches = parse_range(text, where)
    combine = {"any": any_of, "all": all_of}[quantifier]

    def test(values: Any) -> Truth:
        return combine(matches(float(value)) for value in values)

    return test
