"""What another attempt with one more rewrite showed: advice rests on it, not on how near the outputs are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.report.measures import decibel
from mnncompat.rewrites.index import all_rewrites, requested_rewrites

if TYPE_CHECKING:
    from mnncompat.converting.gate_options import GateOptions
    from mnncompat.mnn import ConvertOptions
    from mnncompat.results.parity_report import ParityReport
    from mnncompat.rewrites.core.base import Rewrite

_CLEARLY_NEARER = 10.0
"""Gain of the signal-to-noise ratio in dB that is no accident of rounding."""


def suggesting(converter: ConvertOptions) -> Iterator[Rewrite]:
    """Every rewrite that may help, except those whose converter options are already set."""
    for each in (*all_rewrites(), *requested_rewrites()):
        told = [getattr(converter, field) == value for field, value in each.converter_options]
        if not told or not all(told):
            yield each


def options_with(options: GateOptions, rewrite: Rewrite) -> GateOptions:
    """The same conversion, with one more rewrite."""
    if rewrite.on_request:
        return replace(options, requested=(*options.requested, rewrite.name))
    return replace(options, rewrites=(*options.rewrites, rewrite))


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
