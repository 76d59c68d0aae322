"""What a row of the table says that MNN does, and how severe that is."""

from __future__ import annotations

from mnncompat.results.diagnostics import Category, Severity

STATUSES = ("supported", "refused", "crash", "error", "wrong", "partial", "told", "larger")
"""What MNN does: the right result; a refusal by the converter; a dead process; a failure at load or run, such as an
empty list of outputs; other numbers, shapes or types; the right result for some inputs only; the right result, of
something that a user should know (findings at level info); the right result, from a larger file than the model."""

OBSTACLES = ("type", "strings", "sequences", "training", "image codec", "dynamic")
"""Why no rewrite can exist: a type that MNN cannot hold, strings, sequences and optional values, training, an
image codec, results whose shape depends on data."""

_SEVERITY = dict.fromkeys(("refused", "crash", "error", "wrong"), Severity.ERROR)
_SEVERITY |= dict.fromkeys(("partial", "larger"), Severity.WARNING)


def is_right(status: str) -> bool:
    """Whether MNN computes the right result: what such a row tells is no reason to replace a node."""
    return status in ("supported", "told", "larger")


def severity_of(status: str) -> Severity:
    """Severity of the findings of a row with this status."""
    return _SEVERITY.get(status, Severity.INFO)


def category_of(status: str) -> Category:
    """Category of the findings of a row with this status."""
    return Category.SIZE if status == "larger" else Category.CORRECTNESS
