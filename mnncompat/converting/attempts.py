"""What another attempt with one more rewrite showed: advice rests on it, not on how near the outputs are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mnncompat.report.measures import decibel

if TYPE_CHECKING:
    from mnncompat.results.parity_report import ParityReport

_CLEARLY_NEARER = 10.0
"""Gain of the signal-to-noise ratio in dB that is no accident of rounding."""


def shown(before: ParityReport, after: ParityReport | None) -> str:
    """What the attempt showed, in words; empty if it did not help.

    Args:
        before: The comparison that failed.
        after: The comparison of the attempt, on the same inputs; None if there is none.
    """
    if after is None:
        return ""
    if after.passed:
        return "tried in this run: with it the outputs agree"
    old, new = _ratio(before), _ratio(after)
    if math.isfinite(old) and new >= old + _CLEARLY_NEARER:
        ratios = f"{decibel(new)} instead of {decibel(old)}"
        return f"tried in this run: with it the outputs are nearer, {ratios}, and not equal"
    return ""


def _ratio(report: ParityReport) -> float:
    """The lowest signal-to-noise ratio of an output that fails, in dB; minus infinity without outputs."""
    failed = [each.worst.snr_db for each in report.outputs if not each.passed and each.worst is not None]
    return min(failed, default=-math.inf)
