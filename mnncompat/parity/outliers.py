"""Elements beyond their tolerance that may be rounding's long tail, and those that cannot be.

Where a deep net is steep (a sigmoid behind 62 convolutions), a small share of the elements is off by many times the
tolerance while the signal-to-noise ratio is 65 dB and more. Such elements are excused on three conditions:

1. They are few: at most `MOST` of an output of `FEWEST` elements or more. Measured: up to 1.7 % (PP-OCRv5 detection, 40
   seeds), in the draw of the largest inputs alone.
2. They are scattered (`systematic`). A wrong weight, pad or index is wrong at the same places in every draw, or fills a
   row, a column, a channel or a class.
3. They have a cause: Monte Carlo arithmetic moves the original at the same place (`mnncompat.parity.rounding`).

Where the third cannot be examined (a rewritten model against its original, nodes in subgraphs, a model that ONNX
Runtime does not run), the tolerance's own share of outliers holds instead, with its limit on their size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.parity.metrics import compare, ratios

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnncompat.results.parity_report import Comparison, Tolerance

MOST = 0.02
"""Share of the elements that may be outliers."""
FEWEST = 200
"""Elements of an output from which on it may have any."""
_IN_DRAWS, _ALONE, _IN_ONE_DRAW = 4, 16, 64
"""Elements that a group has to have beyond the tolerance before it counts as filled: over several draws; if only one
draw has this shape; within one of several draws. Neighbours share a cause: the classes of a pixel, the pixels of a
blot. Four elements in two draws or more are no blot, and sixty-four in one row, column or channel are more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One draw of one output.

    Attributes:
        comparison: With no outliers allowed.
        expected: The reference.
        actual: What is compared with it; None if it is missing.
        beyond: The elements beyond the tolerance, bool, of the output's shape; None if it passes or may have no
            outliers.
        by_share: The comparison with the outliers that the tolerance itself allows.
    """

    comparison: Comparison
    expected: np.ndarray
    actual: np.ndarray | None
    beyond: np.ndarray | None
    by_share: Comparison

    def excused(self, tolerance: Tolerance) -> Comparison:
        """The comparison with its elements beyond the tolerance excused."""
        if self.actual is None or self.beyond is None:
            return self.comparison
        within = np.where(self.beyond, 0.0, ratios(self.expected, self.actual, tolerance))
        count = int(np.count_nonzero(self.beyond))
        return replace(self.comparison, problems=(), error_ratio=float(within.max(initial=0.0)), outliers=count)


def examine(
    expected: Sequence[np.ndarray], actual: Sequence[np.ndarray | None], draws: Sequence[str], tolerance: Tolerance
) -> list[Examined]:
    """Compare an output in all draws, and find the elements that may be outliers.

    Args:
        expected: For each draw, the reference.
        actual: For each draw, what is compared with it.
        draws: Their names.
        tolerance: Of the output.

    Returns:
        The draws. If their outliers are systematic none has any, and the problems say why.
    """
    found = [_examined(*each, tolerance) for each in zip(expected, actual, draws, strict=True)]
    why = systematic([mask for each in found if (mask := _mask(each)) is not None])
    return [_without_outliers(each, why) if why and each.beyond is not None else each for each in found]


def _examined(expected: np.ndarray, actual: np.ndarray | None, draw: str, tolerance: Tolerance) -> Examined:
    strict = compare(expected, actual, replace(tolerance, outliers=0.0), draw=draw)
    beyond = None
    if actual is not None and tolerance.outliers and tolerance.snr_db is None and _fails_by_values(strict):
        mask = ratios(expected, actual, tolerance) > 1
        beyond = mask if mask.size >= FEWEST and np.count_nonzero(mask) <= MOST * mask.size else None
    found = Examined(comparison=strict, expected=expected, actual=actual, beyond=beyond, by_share=strict)
    if beyond is None or not compare(expected, actual, tolerance).passed:
        return found
    return replace(found, by_share=found.excused(tolerance))


def _fails_by_values(comparison: Comparison) -> bool:
    """Whether finite floats differ, and nothing else: shape, type, NaN and infinities agree."""
    return (
        not comparison.passed
        and comparison.expected_dtype.startswith("float")
        and comparison.compared > 0
        and (math.isfinite(comparison.error_ratio))
    )


def _mask(draw: Examined) -> np.ndarray | None:
    """What a draw shows about the places of outliers; None if its output is dead, or wrong as a whole."""
    if draw.beyond is not None:
        return draw.beyond
    return np.zeros(draw.expected.shape, bool) if draw.comparison.passed and draw.comparison.discriminative else None


def _without_outliers(draw: Examined, why: str) -> Examined:
    comparison = replace(draw.comparison, problems=tuple(f"{each}; {why}" for each in draw.comparison.problems))
    return replace(draw, comparison=comparison, by_share=comparison, beyond=None)


def systematic(masks: Sequence[np.ndarray]) -> str:
    """Why elements beyond their tolerance are no outliers, judged by where they are.

    For every set of axes that is kept, each index is a group: an element, a row, a column, a channel, a channel's
    column. A group is filled if at least half of it is beyond the tolerance: over all draws of this shape, in two or
    more of them; or within one draw.

    Args:
        masks: For each draw in which the output is alive: what is beyond, bool.

    Returns:
        The reason in words; empty if they are scattered.
    """
    by_shape: dict[tuple[int, ...], list[np.ndarray]] = {}
    for mask in masks:
        by_shape.setdefault(mask.shape, []).append(mask)
    for same in by_shape.values():
        draws = np.stack(same)
        if draws.any():
            for kept in _sets_of_axes(draws.shape):
                why = _filled(draws, kept)
                if why:
                    return why
    return ""


def _sets_of_axes(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The sets of axes after the first, without those of size 1."""
    axes = [axis for axis, size in enumerate(shape) if axis and size > 1]
    for count in range(1, len(axes) + 1):
        yield from combinations(axes, count)


def _filled(draws: np.ndarray, kept: tuple[int, ...]) -> str:
    """The first group that is filled, in words.

    Args:
        draws: Draws along axis 0.
        kept: The axes that tell groups apart.
    """
    counts = np.count_nonzero(draws, axis=tuple(axis for axis in range(1, draws.ndim) if axis not in kept))
    size = draws[0].size // max(counts[0].size, 1)
    together, several = counts.sum(axis=0), np.count_nonzero(counts, axis=0) > 1
    least = _IN_DRAWS if len(draws) > 1 else _ALONE
    filled = (2 * together >= size * len(draws)) & (together >= least) & (several | (len(draws) == 1))
    filled |= ((2 * counts >= size) & (counts >= _IN_ONE_DRAW)).any(axis=0)
    if not filled.any():
        return ""
    places = ", ".join(
        f"{index[0]} along axis {axis - 1}" for axis, index in zip(kept, np.nonzero(filled), strict=True)
    )
    return f"no rounding, it fills index {places}"
