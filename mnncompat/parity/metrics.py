"""Compare one array with its reference."""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat.parity.tolerance import FLOOR, OUTLIER, SLICE
from mnncompat.results.parity_report import Comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.results.parity_report import Tolerance

_RELATIVE_FROM = 0.01
_IMAGE_RANK = 4
_NAMES = {"f": "float", "b": "integer", "i": "integer", "u": "integer"}


def compare(expected: np.ndarray, actual: np.ndarray | None, tolerance: Tolerance, *, draw: str = "") -> Comparison:
    """Compare an output with its reference.

    Args:
        expected: The reference, any shape; float, integer or boolean.
        actual: The output, None when it is missing. int32 is accepted for every integer and boolean type, float32 for
            every floating-point type, as MNN has no others.
        tolerance: How far they may be apart. There is no default, because a default hides errors.
        draw: Name of the draw, for the report.

    Returns:
        The measurements and the problems.
    """
    problems = _structure(expected, actual)
    if actual is None or problems:
        return _incomparable(expected, actual, draw, problems)
    if expected.dtype.kind != "f":
        return _compare_integers(expected, actual, tolerance, draw)
    return _compare_floats(expected, actual, tolerance, draw)


def agrees(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, allowed: np.ndarray | None = None) -> bool:
    """Whether `compare` finds no problem; nothing is measured, which is several times faster.

    Args:
        expected: The reference.
        actual: The output.
        tolerance: How far they may be apart; not by a signal-to-noise ratio, which is a measurement.
        allowed: `allowance` of the reference, where it is known. It is then finite.
    """
    if tolerance.snr_db is not None or expected.dtype.kind != "f" or _structure(expected, actual):
        return compare(expected, actual, tolerance).passed
    wanted, found = expected.astype(np.float64), actual.astype(np.float64)
    if allowed is not None:
        return bool(np.isfinite(found).all()) and _error_ratio(wanted, found, math.nan, tolerance, allowed)[0] <= 1
    if _special(wanted, found):
        return False
    finite = np.isfinite(wanted)
    if not finite.all():
        wanted, found = np.where(finite, wanted, 0.0), np.where(finite, found, 0.0)
    return _error_ratio(wanted, found, math.nan, tolerance, allowance(wanted, tolerance))[0] <= 1


def _structure(expected: np.ndarray, actual: np.ndarray | None) -> tuple[str, ...]:
    if actual is None:
        return ("the output is missing",)
    problems = []
    if expected.shape != actual.shape:
        problems.append(f"shape {list(actual.shape)} instead of {list(expected.shape)}")
    kinds = _NAMES.get(expected.dtype.kind), _NAMES.get(actual.dtype.kind)
    if kinds[0] != kinds[1] or kinds[0] is None:
        problems.append(f"dtype {actual.dtype.name} instead of {expected.dtype.name}")
    return tuple(problems)


def _incomparable(expected: np.ndarray, actual: np.ndarray | None, draw: str, problems: tuple[str, ...]) -> Comparison:
    return Comparison(
        draw=draw,
        **_described(expected, actual),
        compared=0,
        max_abs=math.nan,
        max_rel=math.nan,
        cosine=math.nan,
        snr_db=math.nan,
        top1=None,
        error_ratio=math.inf,
        discriminative=True,
        problems=problems,
    )


def _described(expected: np.ndarray, actual: np.ndarray | None) -> dict[str, Any]:
    return {
        "expected_shape": expected.shape,
        "actual_shape": None if actual is None else actual.shape,
        "expected_dtype": expected.dtype.name,
        "actual_dtype": None if actual is None else actual.dtype.name,
    }


def _compare_integers(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, draw: str) -> Comparison:
    unequal = expected != actual
    count, allowed = int(np.count_nonzero(unequal)), tolerance.unequal * expected.size
    problems = []
    if count > allowed:
        problems.append(f"{count} of {expected.size} elements differ{_first(unequal, expected, actual)}")
    return Comparison(
        draw=draw,
        **_described(expected, actual),
        compared=expected.size,
        **_measured(expected.astype(np.float64), actual.astype(np.float64)),
        top1=None,
        error_ratio=0.0 if count == 0 else math.inf if allowed == 0 else count / allowed,
        discriminative=bool(expected.any()),
        problems=tuple(problems),
    )


def _compare_floats(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, draw: str) -> Comparison:
    wanted, found = expected.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(wanted) & np.isfinite(found)
    if finite.all():  # most often, and then nothing needs a copy
        problems: list[str] = []
        wanted_finite, found_finite = wanted, found
        measured = _measured(wanted, found)
    else:
        problems = _special(wanted, found)
        wanted_finite, found_finite = np.where(finite, wanted, 0.0), np.where(finite, found, 0.0)
        measured = _measured(wanted[finite], found[finite])
    allowed = allowance(wanted_finite, tolerance)
    error_ratio, why = _error_ratio(wanted_finite, found_finite, measured["snr_db"], tolerance, allowed)
    passed = not problems and not why
    return Comparison(
        draw=draw,
        **_described(expected, actual),
        compared=int(np.count_nonzero(finite)),
        **measured,
        top1=_top1(wanted, found),
        error_ratio=math.inf if problems else error_ratio,
        discriminative=_is_discriminative(wanted_finite, tolerance, allowed),
        problems=(*problems, *why),
        outliers=_beyond(wanted_finite, found_finite, tolerance) if passed and tolerance.outliers else 0,
    )


def _beyond(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance) -> int:
    return int(np.count_nonzero(ratios(expected, actual, tolerance) > 1))


def _special(expected: np.ndarray, actual: np.ndarray) -> list[str]:
    """NaN and infinities of the same sign must be in the same positions."""
    problems = []
    for name, test in (("NaN", np.isnan), ("+Inf", np.isposinf), ("-Inf", np.isneginf)):
        differs = test(expected) != test(actual)
        if differs.any():
            problems.append(
                f"{name} in {np.count_nonzero(test(actual))} elements instead of {np.count_nonzero(test(expected))}"
                + _first(differs, expected, actual)
            )
    return problems


def _measured(expected: np.ndarray, actual: np.ndarray) -> dict[str, Any]:
    """Metrics of finite float64 values."""
    if expected.size == 0:
        return {"max_abs": 0.0, "max_rel": 0.0, "cosine": 1.0, "snr_db": math.inf}
    difference, sizes = np.abs(actual - expected), np.abs(expected)
    signal, noise, other = (float(np.square(each).sum()) for each in (expected, difference, actual))
    lengths = math.sqrt(signal) * math.sqrt(other)
    large = sizes >= max(_RELATIVE_FROM * math.sqrt(signal / expected.size), np.finfo(np.float64).tiny)
    return {
        "max_abs": float(difference.max()),
        "max_rel": float(np.divide(difference, sizes, out=np.zeros_like(sizes), where=large).max()),
        "cosine": float((expected * actual).sum()) / lengths if lengths else float(signal == noise),
        "snr_db": math.inf if noise == 0 else -math.inf if signal == 0 else 10 * math.log10(signal / noise),
    }


def _error_ratio(
    expected: np.ndarray, actual: np.ndarray, snr_db: float, tolerance: Tolerance, allowed: np.ndarray
) -> tuple[float, list[str]]:
    """Largest ratio of difference to allowance, and the problem if it is above 1; both arrays are finite."""
    if tolerance.snr_db is not None:
        beyond = np.abs(actual - expected) > tolerance.atol
        error_ratio = 10 ** ((tolerance.snr_db - snr_db) / 20) if beyond.any() else 0.0
        return error_ratio, [
            f"SNR {snr_db:.1f} dB, at least {tolerance.snr_db:g} dB required"
        ] if error_ratio > 1 else []
    ratio = _ratios(np.abs(actual - expected), allowed)
    largest = float(ratio.max(initial=0.0))
    error_ratio = _without_outliers(ratio, largest, tolerance)
    if error_ratio <= 1:
        return error_ratio, []
    count = int(np.count_nonzero(ratio > 1))
    worst = np.zeros(ratio.shape, bool)
    worst[np.unravel_index(np.argmax(ratio), ratio.shape)] = True
    where = _first(worst, expected, actual)
    return error_ratio, [f"{count} of {ratio.size} elements too far off, the worst {largest:.3g} times{where}"]


def _without_outliers(ratio: np.ndarray, largest: float, tolerance: Tolerance) -> float:
    """Largest ratio without the outliers; also above 1 if one of them is too far off to be an outlier."""
    outliers = int(tolerance.outliers * ratio.size)
    if outliers == 0 or largest <= 1:
        return largest
    return max(float(np.partition(ratio, -outliers - 1, axis=None)[-outliers - 1]), largest / OUTLIER)


def _is_discriminative(expected: np.ndarray, tolerance: Tolerance, allowed: np.ndarray) -> bool:
    """Whether zeros would fail."""
    if tolerance.snr_db is not None:
        return _error_ratio(expected, np.zeros_like(expected), 0.0, tolerance, allowed)[0] > 1
    ratio = _ratios(np.abs(expected), allowed)
    largest = float(ratio.max(initial=0.0))
    return largest > OUTLIER or _without_outliers(ratio, largest, tolerance) > 1


def _ratios(difference: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    if allowed.size and allowed.min() > 0:
        return np.asarray(difference / allowed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / allowed)


def ratios(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    """Each element's difference, as a multiple of what is allowed; 0 where either number is not finite.

    Args:
        expected: Floating-point numbers.
        actual: As many.
        tolerance: One with `rtol` and `atol`, see `allowance`.
    """
    finite = np.isfinite(expected) & np.isfinite(actual)
    wanted, found = (np.where(finite, each, 0).astype(np.float64) for each in (expected, actual))
    return _ratios(np.abs(found - wanted), allowance(wanted, tolerance))


def allowance(expected: np.ndarray, tolerance: Tolerance) -> np.ndarray:
    """How far each element may be off; by a signal-to-noise ratio, the RMS of the noise that it allows.

    Args:
        expected: float64, finite.
        tolerance: Of the output.
    """
    if tolerance.snr_db is not None:
        rms = math.sqrt(float(np.mean(expected**2))) if expected.size else 0.0
        return np.full(expected.shape, tolerance.atol + rms * 10 ** (-tolerance.snr_db / 20))
    allowed = np.asarray(np.abs(expected))
    allowed += scale(expected)
    allowed *= tolerance.rtol
    allowed += tolerance.atol
    return allowed


def scale(expected: np.ndarray) -> np.ndarray:
    """The scale of each element, `max(s, FLOOR * g)` of `mnncompat.parity.tolerance`.

    Args:
        expected: float64, finite.

    Returns:
        An array that broadcasts against `expected`.
    """
    squares = np.square(expected)
    whole = squares.mean() if squares.size else np.float64(0)
    return scale_of(means_along(squares), whole)


def means_along(squares: np.ndarray) -> list[np.ndarray]:
    """The means at each index of each axis whose slices are large enough; they broadcast against the array."""
    found = []
    for axis, along in enumerate(_sums_along(squares)):
        size = squares.shape[axis]
        if size > 1 and squares.size // size >= SLICE:
            shape = [size if other == axis else 1 for other in range(squares.ndim)]
            found.append((along / (squares.size // size)).reshape(shape))
    return found


def scale_of(means: Sequence[np.ndarray], whole: np.floating) -> np.ndarray:
    """`scale`, of the means of the squares along the axes, or parts of them, and that of all squares."""
    if not means:
        return np.asarray(np.sqrt(whole))
    return np.asarray(np.maximum(np.sqrt(reduce(np.minimum, means)), FLOOR * np.sqrt(whole)))


def _sums_along(array: np.ndarray) -> list[np.ndarray]:
    """The sums of all elements at each index of each axis: two passes over the array, whatever its rank."""
    if array.ndim < 2:  # noqa: PLR2004 - an axis is its own sum
        return [array] * array.ndim
    middle = array.ndim // 2
    rows = math.prod(array.shape[:middle])
    flat = array.reshape(rows, -1) if array.size else np.zeros((rows, math.prod(array.shape[middle:])), array.dtype)
    first, second = flat.sum(axis=1), flat.sum(axis=0)
    return [*_sums_along(first.reshape(array.shape[:middle])), *_sums_along(second.reshape(array.shape[middle:]))]


def _top1(expected: np.ndarray, actual: np.ndarray) -> float | None:
    if expected.ndim < 2 or expected.size == 0:  # noqa: PLR2004 - rows and columns
        return None
    axis = 1 if expected.ndim >= _IMAGE_RANK else expected.ndim - 1
    if expected.shape[axis] < 2 or np.isnan(expected).any() or np.isnan(actual).any():  # noqa: PLR2004 - a choice
        return None
    chosen = np.take_along_axis(expected, np.argmax(actual, axis=axis, keepdims=True), axis=axis)
    return float(np.mean(chosen == expected.max(axis=axis, keepdims=True)))


def _first(mask: np.ndarray, expected: np.ndarray, actual: np.ndarray) -> str:
    """The first position in which it is true, and the two values there."""
    index = tuple(int(each[0]) for each in np.nonzero(mask)) if mask.ndim else ()
    place = f" at {list(index)}" if index else ""
    return f"{place}: {actual[index].item():.6g} instead of {expected[index].item():.6g}"
