"""How the values and the errors of each output are distributed, of data that a comparison saved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from mnncompat.results.parity_report import Tolerance

_BINS = 40
_LOWEST, _HIGHEST = -12, 4
"""Powers of ten of differences that are told apart."""
_WORST = 5
_MOST_BYTES = 1 << 30
"""Of saved data; more are not looked at."""


def distributions(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Distributions of what both sides computed.

    Args:
        folder: Where `mnncompat.parity.save_data` wrote; nothing is told if it holds no data, or very many.

    Returns:
        Output -> for each draw in which both sides have numbers of the same shape: its name as `draw`; `low`, `high`
        and the counts `expected` and `actual` between them; counts of `differences` by their power of ten from
        `lowest` on, two for each power, and of `equal` elements; and the `worst` elements, each with its index, both
        values and the ratio of the difference to what the tolerance allows.
    """
    from mnncompat.parity import load_data

    if not folder.is_dir() or sum(each.stat().st_size for each in folder.iterdir()) > _MOST_BYTES:
        return {}
    try:
        saved = load_data(folder)
    except UsageError:
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for feeds, wanted, made in zip(saved.feeds, saved.expected, saved.actual, strict=False):
        for name, tolerance in saved.tolerances.items():
            told = None if name not in made else _distribution(wanted[name], made[name], tolerance)
            if told is not None:
                found.setdefault(saved.scores.labels.get(name, name), []).append({"draw": feeds.name, **told})
    return found


def _distribution(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance) -> dict[str, Any] | None:
    import numpy as np

    if expected.shape != actual.shape or not expected.size or expected.dtype.kind not in "fiub":
        return None
    wanted, got = expected.astype(np.float64).ravel(), actual.astype(np.float64).ravel()
    finite = np.isfinite(wanted) & np.isfinite(got)
    if not finite.any():
        return None
    low, high = (float(side(wanted[finite])) for side in (np.min, np.max))
    high = high if high > low else low + 1.0
    difference = np.abs(got - wanted)[finite]
    moved = difference[difference > 0]
    powers = np.clip(np.floor(2 * np.log10(moved)).astype(int), 2 * _LOWEST, 2 * _HIGHEST) - 2 * _LOWEST
    return {
        "low": low,
        "high": high,
        "expected": _counts(wanted[finite], low, high),
        "actual": _counts(got[finite], low, high),
        "lowest": _LOWEST,
        "differences": np.bincount(powers, minlength=2 * (_HIGHEST - _LOWEST) + 1).tolist(),
        "equal": int(difference.size - moved.size),
        "beside": int(np.count_nonzero(~finite)),
        "worst": _worst(expected, actual, tolerance),
    }


def _counts(values: np.ndarray, low: float, high: float) -> list[int]:
    """Counts between two bounds; what lies outside is in the first and the last."""
    import numpy as np

    places = ((np.clip(values, low, high) - low) / (high - low) * _BINS).astype(int)
    return [int(each) for each in np.bincount(np.minimum(places, _BINS - 1), minlength=_BINS)]


def _worst(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance) -> list[dict[str, Any]]:
    import numpy as np

    from mnncompat.parity.metrics import ratios

    if expected.dtype.kind == "f":
        ratio = ratios(expected, actual.astype(expected.dtype), tolerance)
        ratio[np.isfinite(expected) != np.isfinite(actual)] = math.inf
    else:
        ratio = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    flat = ratio.ravel()
    count = min(_WORST, flat.size)
    places = np.argpartition(flat, flat.size - count)[flat.size - count :]
    found = []
    for place in sorted(places.tolist(), key=lambda each: -float(flat[each])):
        if flat[place] <= 0:
            continue
        index = tuple(int(each) for each in np.unravel_index(place, expected.shape))
        found.append({"index": index, "expected": expected[index], "actual": actual[index], "ratio": flat[place]})
    return [{key: _number(value) if key != "index" else list(value) for key, value in each.items()} for each in found]


def _number(value: Any) -> float | str | None:
    """A number as the JSON reports write it: NaN is null, infinities are words."""
    number = float(value)
    if math.isfinite(number):
        return number
    return None if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
