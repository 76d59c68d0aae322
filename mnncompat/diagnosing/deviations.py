"""How far one value is from its reference: the criterion of whole models, in few passes, because there are many."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.parity.metrics import means_along, scale_of
from mnncompat.parity.output_scale import RESOLUTION, SHARE
from mnncompat.parity.tolerance import OUTLIER
from mnncompat.results.diagnosis import Deviation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.parity import Tolerance

_KINDS = {"f": "float", "b": "integer", "i": "integer", "u": "integer"}
_BLOCK = 1 << 14
"""Elements that are judged at a time: few enough for the processor's cache."""
_LARGE = 1e15
"""Squares of smaller numbers, and their sums, are no infinities in float32."""
_TINY = float(np.finfo(np.float32).tiny)


def deviation(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, *, is_coarse: bool = False) -> Deviation:
    """Compare a value with its reference.

    Args:
        expected: What ONNX Runtime computed.
        actual: What MNN computed. Axes of size 1 may be others: the converter adds and drops them.
        tolerance: How far they may be apart. Its absolute part follows the size of the value.
        is_coarse: Whether it is a function that saturates, see `mnncompat.parity.output_scale`.
    """
    kinds = _KINDS.get(expected.dtype.kind), _KINDS.get(actual.dtype.kind)
    if _long_axes(expected) != _long_axes(actual):
        return _incomparable(actual, f"shape {list(actual.shape)} instead of {list(expected.shape)}")
    if kinds[0] != kinds[1]:
        return _incomparable(actual, f"dtype {actual.dtype.name} instead of {expected.dtype.name}")
    if expected.size == 0:
        return Deviation(error_ratio=0.0, snr_db=math.inf, max_abs=0.0, cosine=1.0)
    actual = actual.reshape(expected.shape)
    if expected.dtype == actual.dtype and np.array_equal(expected, actual):
        low, high = range_of(actual)
        return Deviation(error_ratio=0.0, snr_db=math.inf, max_abs=0.0, cosine=1.0, low=low, high=high)
    with np.errstate(all="ignore"):
        if kinds[0] != "float":
            return _integers(expected, actual, tolerance.unequal)
        return _floats(expected, actual, tolerance, RESOLUTION if is_coarse else _TINY)


def range_of(array: np.ndarray) -> tuple[float, float]:
    """Smallest and largest finite element; NaN if there is none."""
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    if not array.size:
        return math.nan, math.nan
    low, high = float(array.min()), float(array.max())
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    finite = array[np.isfinite(array)]
    return (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)


def strange(array: np.ndarray) -> str:
    """`NaN`, `Inf`, `NaN and Inf`, or empty if every element is finite."""
    with np.errstate(all="ignore"):
        if array.dtype.kind != "f" or (array.size and math.isfinite(float(np.sum(array, dtype=np.float64)))):
            return ""
    found = [name for name, test in (("NaN", np.isnan), ("Inf", np.isinf)) if test(array).any()]
    return " and ".join(found)


def _long_axes(array: np.ndarray) -> list[int]:
    return [size for size in array.shape if size != 1]


def _incomparable(actual: np.ndarray, problem: str) -> Deviation:
    low, high = range_of(actual)
    return Deviation(
        error_ratio=math.inf, snr_db=math.nan, max_abs=math.nan, cosine=math.nan, low=low, high=high, problem=problem
    )


def _integers(expected: np.ndarray, actual: np.ndarray, unequal: float) -> Deviation:
    wanted, found = expected.astype(np.float64), actual.astype(np.float64)
    differ = int(np.count_nonzero(wanted != found))
    ratio = 0.0 if differ <= unequal * expected.size else math.inf
    problem = f"{differ} of {expected.size} elements differ" if ratio else ""
    low, high = range_of(actual)
    return replace(_measured(wanted, found, ratio, problem), low=low, high=high)


def _floats(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, least: float) -> Deviation:
    (low, high), ends, problem = _ends(actual), _ends(expected), ""
    own = low, high
    if not all(map(math.isfinite, (*own, *ends))):
        problem = _special(expected, actual)
        low, high = range_of(actual)
        finite = np.isfinite(expected) & np.isfinite(actual)
        expected, actual = (np.where(finite, each, each.dtype.type(0)) for each in (expected, actual))
        own, ends = _ends(actual), _ends(expected)
    wanted, found = _single(expected, *ends), _single(actual, *own)
    measured = _measured(wanted, found, math.inf if problem else 0.0, problem)
    if not problem and measured.max_abs:
        measured = replace(measured, error_ratio=_error_ratio(wanted, found, tolerance, least))
    return replace(measured, low=low, high=high)


def _ends(array: np.ndarray) -> tuple[float, float]:
    """Smallest and largest element; NaN if one is."""
    return float(array.min()), float(array.max())


def _single(array: np.ndarray, low: float, high: float) -> np.ndarray:
    """float32, or float64 where float32 would overflow in squares; every element is finite."""
    largest = max(-low, high)
    overflows = largest > _LARGE or 0 < largest < 1 / _LARGE
    return array.astype(np.float64 if overflows else np.float32, copy=False)


def _special(expected: np.ndarray, actual: np.ndarray) -> str:
    for name, test in (("NaN", np.isnan), ("+Inf", np.isposinf), ("-Inf", np.isneginf)):
        if (test(expected) != test(actual)).any():
            return f"{name} in {np.count_nonzero(test(actual))} elements instead of {np.count_nonzero(test(expected))}"
    return ""


def _error_ratio(expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, least: float) -> float:
    """The largest ratio of a difference to what is allowed, without the outliers that the tolerance has."""
    square = sum(_dot(wanted, wanted) for (wanted,) in _blocks(expected)) / expected.size
    whole = math.sqrt(square)
    if tolerance.snr_db is not None:
        noise = sum(_dot(each, each) for each in (found - wanted for wanted, found in _blocks(expected, actual)))
        allowed = max(whole * 10 ** (-tolerance.snr_db / 20), tolerance.atol * min(whole, 1), 1e-30)
        return math.sqrt(noise / expected.size) / allowed
    absolute = min(tolerance.atol, max(SHARE * whole, least)) if whole else tolerance.atol
    means, mean = means_along(np.square(expected)), expected.dtype.type(square)
    ratios = (
        _ratio(wanted, found, scale_of(parts, mean), tolerance.rtol, absolute)
        for wanted, found, *parts in _blocks(expected, actual, *means)
    )
    largest = max(float(each.max()) for each in ratios)
    outliers = int(tolerance.outliers * expected.size)
    if largest <= 1 or not outliers:
        return largest
    ratio = _ratio(expected, actual, scale_of(means, mean), tolerance.rtol, absolute)
    rest = float(np.partition(ratio, -outliers - 1, axis=None)[-outliers - 1])
    return max(rest, largest / OUTLIER)


def _ratio(wanted: np.ndarray, found: np.ndarray, size: np.ndarray, relative: float, absolute: float) -> np.ndarray:
    """Differences by what is allowed."""
    allowed = np.asarray(np.abs(wanted))
    allowed += size
    allowed *= relative
    allowed += absolute
    ratio = np.asarray(found - wanted)
    np.abs(ratio, out=ratio)
    np.divide(ratio, allowed, out=ratio, where=True if absolute > 0 else ratio != 0)
    return ratio


def _blocks(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Parts along the first long axis that stay in the cache; arrays that have no such axis are in each.

    Args:
        arrays: They broadcast against the first one.
    """
    shape = arrays[0].shape
    axis = next((number for number, size in enumerate(shape) if size > 1), -1)
    if axis < 0:
        yield list(arrays)
        return
    step = max(1, _BLOCK * shape[axis] // arrays[0].size)
    for start in range(0, shape[axis], step):
        part = (*(slice(None),) * axis, slice(start, start + step))
        yield [each[part] if each.ndim and each.shape[axis] > 1 else each for each in arrays]


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    ratio = signal / noise if math.isfinite(noise) else 0.0  # squares of float64 overflow as well
    return 10 * math.log10(ratio) if ratio > 0 else -math.inf


def _dot(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.dot(one.reshape(-1), two.reshape(-1)))


def _measured(expected: np.ndarray, actual: np.ndarray, error_ratio: float, problem: str) -> Deviation:
    signal = noise = length = both = largest = 0.0
    for wanted, found in _blocks(expected, actual):
        difference = np.asarray(found - wanted)
        signal, noise = signal + _dot(wanted, wanted), noise + _dot(difference, difference)
        length, both = length + _dot(found, found), both + _dot(wanted, found)
        largest = max(largest, -float(difference.min()), float(difference.max()))
    lengths = math.sqrt(signal) * math.sqrt(length)
    return Deviation(
        error_ratio=error_ratio,
        snr_db=_decibels(signal, noise),
        max_abs=largest,
        cosine=both / lengths if lengths else float(signal == noise),
        problem=problem,
    )
