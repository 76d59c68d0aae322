"""The values that conditions of rows are written with (tables, lists and ranges), and the rejection of invalid ones.

Everything here runs while a file is read. A row that can never hold, or that means something else because of a typing
error, is worse than no row: what is not certainly meant is rejected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

from mnncompat.errors import TableError
from mnncompat.support.releases import COMPARISONS
from mnncompat.support.three_valued import Truth, all_of, any_of

RangeTest = Callable[[float | None], Truth]

_HINT = "docs/row-language.md explains everything that a row may say"
_LISTED = 12
_DIGITS = frozenset("-.0123456789")
_RANGE_FORM = 'a number or comparisons with numbers are, such as 2, ">=2" or ">=2,<5"'


class Word(NamedTuple):
    """One word of the row language.

    Attributes:
        meaning: Its meaning, in a sentence.
        example: A condition that uses it, as TOML.
        parse: Builds the test from its argument; raises TableError for an invalid argument.
    """

    meaning: str
    example: str
    parse: Callable[..., Any]


def fail(where: str, message: str) -> NoReturn:
    """Reject a row.

    Raises:
        TableError: Always.
    """
    raise TableError(f"{where}: {message}", hint=_HINT)


def require_table(data: Any, where: str, what: str) -> Mapping[str, Any]:
    """The argument itself, if it is a table that is not empty.

    Raises:
        TableError: The argument is not such a table.
    """
    if not isinstance(data, Mapping):
        fail(where, f"{what} must be a table, not {data!r}")
    if not data:
        fail(where, f"{what} is an empty table, which says nothing: leave it out")
    return data


def require_known(name: Any, known: Sequence[str], where: str, what: str) -> str:
    """The argument itself, if it is one of some words.

    Raises:
        TableError: It is another word; the message names the allowed words, or the nearest one.
    """
    if isinstance(name, str) and name in known:
        return name
    if len(known) <= _LISTED:
        fail(where, f"unknown {what} {name!r}; allowed are {', '.join(known)}")
    import difflib

    close = ", ".join(difflib.get_close_matches(str(name), known, n=3))
    fail(where, f"unknown {what} {name!r}" + (f"; close to it: {close}" if close else ""))


def one_or_several(data: Any, where: str, what: str) -> list[Any]:
    """A value, or a list of different ones, as a list.

    Raises:
        TableError: The list is empty, or names a value twice.
    """
    values = data if isinstance(data, list) else [data]
    if not values:
        fail(where, f"{what} is an empty list, which no value is in")
    if any(value in values[:position] for position, value in enumerate(values)):
        fail(where, f"{what} names a value twice: {values!r}")
    return values


def looks_like_range(text: Any) -> bool:
    """True if a string is a comparison, such as ``">1"``."""
    return isinstance(text, str) and text.startswith(tuple(COMPARISONS))


# ---- ranges --------------------------------------------------------------------------------------------------------


def parse_range(text: Any, where: str, what: str) -> RangeTest:
    """Build a test of a number from a range such as ``">=2,<5"`` or a plain number.

    Raises:
        TableError: The argument is neither, or no number lies in the range.
    """
    return _parse(text, where, what, _numbers_around)


def parse_count(text: Any, where: str, what: str) -> RangeTest:
    """Build a test of a count: a whole number that is not negative.

    Raises:
        TableError: The argument is not a range, or no such number lies in it.
    """
    return _parse(text, where, what, _counts_around)


def parse_quantified(quantifier: str, text: Any, where: str, what: str) -> Callable[[Any], Truth]:
    """Build a test of several numbers: ``any`` or ``all`` of them lie in the range.

    Raises:
        TableError: The argument is not a range, or no number lies in it.
    """
    matches = parse_range(text, where, what)
    combine = {"any": any_of, "all": all_of}[quantifier]

    def test(values: Any) -> Truth:
        return combine(matches(float(value)) for value in values)

    return test


def _parse(text: Any, where: str, what: str, around: Callable[[Sequence[float]], Sequence[float]]) -> RangeTest:
    if isinstance(text, bool) or not isinstance(text, (int, float, str)):
        fail(where, f"{what} = {text!r} is not a range; {_RANGE_FORM}")
    bounds = [_bound(part.strip(), where, what) for part in str(text).split(",")]

    def test(value: float | None) -> Truth:
        return None if value is None else all(compare(value, limit) for compare, limit in bounds)

    if not any(test(value) for value in around([limit for _, limit in bounds])):
        fail(where, f"{what} = {text!r} is a range that nothing lies in")
    return test


def _bound(part: str, where: str, what: str) -> tuple[Callable[[float, float], bool], float]:
    sign = next((sign for sign in COMPARISONS if part.startswith(sign)), "")
    number = part[len(sign) :]
    try:
        return COMPARISONS[sign or "=="], float(number if _DIGITS.issuperset(number) else "")
    except ValueError:
        fail(where, f"{what}: {part!r} is not a range; {_RANGE_FORM}")


def _numbers_around(limits: Sequence[float]) -> Sequence[float]:
    """Numbers among which there is one for every satisfiable conjunction of comparisons with these limits."""
    ordered = sorted(limits)
    between = [(one + other) / 2 for one, other in pairwise(ordered)]
    return [ordered[0] - 1, *ordered, *between, ordered[-1] + 1]


def _counts_around(limits: Sequence[float]) -> Sequence[float]:
    """The same for whole numbers that are not negative."""
    near = {math.floor(limit) + step for limit in limits for step in (-1, 0, 1, 2)}
    return [0, *sorted(value for value in near if value > 0)]
