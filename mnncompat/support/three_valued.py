"""Three-valued logic: True, False, or None where the model does not tell enough."""

from __future__ import annotations

from collections.abc import Iterable

Truth = bool | None


def all_of(truths: Iterable[Truth]) -> Truth:
    """Three-valued conjunction; stops at the first False."""
    result: Truth = True
    for truth in truths:
        if truth is False:
            return False
        if truth is None:
            result = None
    return result


def negation(truth: Truth) -> Truth:
    """Three-valued negation."""
    return None if truth is None else not truth


def any_of(truths: Iterable[Truth]) -> Truth:
    """Three-valued disjunction; stops at the first True."""
    result: Truth = False
    for truth in truths:
        if truth is True:
            return True
        if truth is None:
            result = None
    return result
