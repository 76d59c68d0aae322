"""How far rounding alone moves the outputs of a model, by Monte Carlo arithmetic.

A draw may fail though MNN is right: ArgMax of a constant image chooses among equal numbers, a stack of instance norms
divides rounding by the square root of epsilon, a rounded activation is rounded up or down. There the result of ONNX
Runtime itself depends on the order of its additions. To distinguish such a draw from an error of the conversion, every
result of the original's arithmetic is perturbed by `NOISE`, and the original is run `RUNS` times more:

    y' = y + NOISE * u * (|y| + mean |y|),    u uniform in -1 .. 1

No rounding makes a sum of squares negative, or a sigmoid larger than 1, and the logarithm behind it not a number: where
no element is negative, none becomes it, and functions with bounds keep to them. A run that is not finite where the
original is shows nothing, and is left out.

Operators that only move or compare data are not perturbed: equal inputs stay equal. Two questions are answered by it:

- Are a few elements beyond their tolerance outliers (`mnncompat.parity.outliers`)? Only where noise moves the same
  element, or its neighbours in an image, by a share of the difference: `STEEP` for nine tenths of them, `STEEPEST` for
  all. The draw then passes. Most of these are MNN's Winograd convolutions, which are far less exact than a sum, so for
  this question the noise of convolutions that take this form is `WINOGRAD`.
- Is a whole draw inconclusive? If the difference is at most `FACTOR` times the largest that the noise makes, and looks
  like noise: an error of gain or sign is a multiple of the output, and noise is not (`_is_no_gain`). Such a draw proves
  nothing, so an output fails unless at least half of its draws agree without those that are set aside.

D. S. Parker, Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic, 1997.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto

from mnncompat.parity.blurred_model import NOISE, blur
from mnncompat.parity.memory import is_out_of_memory
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.parity.outliers import Examined
    from mnncompat.results.parity_report import Comparison, Tolerance

RUNS = 8
"""How often the original is run with noise."""
FACTOR = 4.0
"""How many times larger than the effect of the noise a difference may be: MNN's convolutions are less exact than one
sum."""
WINOGRAD = 2.5e-4
"""Noise of MNN's Winograd convolutions: square kernels without stride, dilation and groups. Measured behind a 3x3
convolution of 16 channels with random weights: off by 1e-3 of the output's RMS in the last row and column of each tile
of 6 x 6, 1e-4 in the mean (82 dB)."""
STEEP, STEEPEST = 4.0, 16.0
"""How many times larger than the effect of that noise an element's difference may be, for nine tenths of the elements
that are beyond their tolerance (if they are ten or more), and for all. Measured: 0.6 for nine tenths and 3 for the
worst in 20 runs of PP-OCRv4 and PP-OCRv5 detection, which have five such convolutions; 11 for a single element right
behind one of them."""
_STARVED = "how far rounding alone moves it was not measured, for want of memory; allow more with --memory-limit"
_NEAR = 2
"""Distance of a neighbour, along the two axes of an image."""
_IMAGE_RANK = 4


def inconclusive(
    rounding: Rounding, feeds: Sequence[NamedFeeds], name: str, found: Sequence[Examined], tolerance: Tolerance
) -> tuple[tuple[Comparison, ...], list[str]]:
    """Examine the draws of one output that failed by their values.

    Args:
        rounding: Of the original.
        feeds: All draws.
        name: The output.
        found: The draws.
        tolerance: Of the output.

    Returns:
        The comparisons: outliers are excused, and what rounding explains as a whole is marked as inconclusive; and a
        note about each of these.
    """
    judged: list[Comparison] = []
    notes: list[str] = []
    for feed, draw in zip(feeds, found, strict=True):
        comparison, note = _judged(rounding, feed, name, draw, tolerance)
        judged.append(comparison)
        notes += [f"output {name!r}, {comparison.draw}: {note}"] if note else []
    return tuple(judged), notes


def _judged(
    rounding: Rounding, feed: NamedFeeds, name: str, draw: Examined, tolerance: Tolerance
) -> tuple[Comparison, str]:
    """One draw, and a note about what is excused."""
    comparison, actual = draw.comparison, draw.actual
    if actual is None or not _may_be_rounding(comparison, draw.expected, actual):
        return comparison, ""
    moved = rounding.movement(feed, name, draw.expected)
    if moved is None:
        return draw.by_share, _STARVED if rounding.starved else ""
    rough = None if draw.beyond is None else rounding.movement(feed, name, draw.expected, noise=WINOGRAD)
    if rough is not None and draw.beyond is not None and rough.reaches(draw.beyond, actual):
        return draw.excused(tolerance), (
            f"{np.count_nonzero(draw.beyond)} of {actual.size} elements are off by up to {comparison.error_ratio:.3g} "
            "times the tolerance, where rounding as MNN's moves the original by up to "
            f"{rough.largest_at(draw.beyond):.2g}"
        )
    if moved.covers(actual):
        return replace(comparison, problems=(), inconclusive=True, discriminative=False), (
            f"inconclusive; it is off by {comparison.max_abs:.2g}, and a millionth in the arithmetic moves the "
            f"original by {moved.largest:.2g}"
        )
    return comparison, ""


def _may_be_rounding(comparison: Comparison, expected: np.ndarray, actual: np.ndarray | None) -> bool:
    """Whether only finite values differ: shape, type, NaN and infinities agree."""
    return not comparison.passed and actual is not None and comparison.compared > 0 and _has_form_of(expected, actual)


def _has_form_of(expected: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays have the same shape, and finite numbers in the same positions."""
    return expected.shape == other.shape and np.array_equal(np.isfinite(expected), np.isfinite(other))


class _Movement:
    """How far the noise moves one output.

    Args:
        expected: The output.
        others: The same with noise, one for each run.
    """

    def __init__(self, expected: np.ndarray, others: Sequence[np.ndarray]) -> None:
        self._expected = expected
        self._differences = [_difference(expected, other) for other in others]
        self._sizes = np.max(np.abs(self._differences), axis=0)
        self.largest = float(self._sizes.max(initial=0.0))

    def largest_at(self, places: np.ndarray) -> float:
        """How far it moves some elements at most."""
        return float(self._sizes[places].max(initial=0.0))

    def reaches(self, beyond: np.ndarray, actual: np.ndarray) -> bool:
        """Whether it moves elements by a share of the difference that is found there.

        Args:
            beyond: The elements, bool.
            actual: What is compared with the output.
        """
        difference = np.abs(_difference(self._expected, actual))[beyond]
        moved = _largest_near(self._sizes)[beyond]
        steep = np.count_nonzero(difference > STEEP * moved)
        are_few = difference.size < 10 or 10 * steep <= difference.size  # noqa: PLR2004 - nine tenths
        return bool(are_few and np.all(difference <= STEEPEST * moved))

    def covers(self, actual: np.ndarray) -> bool:
        """Whether a difference is as small as the effect of the noise allows, and looks like it."""
        difference = _difference(self._expected, actual)
        if self._expected.dtype.kind != "f":  # the distance of two indices has no meaning: how many differ counts
            unequal = max(int(np.count_nonzero(each)) for each in self._differences)
            return bool(np.count_nonzero(difference) <= FACTOR * unequal)
        energy = max(float(np.sum(np.square(each))) for each in self._differences)
        return bool(
            np.abs(difference).max(initial=0.0) <= FACTOR * self.largest
            and np.sum(np.square(difference)) <= FACTOR**2 * energy
            and self._is_no_gain(difference)
        )

    def _is_no_gain(self, difference: np.ndarray) -> bool:
        """Whether a difference is no multiple of the output, unless the effect of the noise is one as well.

        A difference is split into a multiple of the output and a rest. Both are held against those of the noise: the
        multiple may be at most `FACTOR` times the largest, and the rest's share of the energy at least the smallest
        over `FACTOR` squared. An output of one element is its own multiple, and so is its noise.
        """
        expected = np.where(np.isfinite(self._expected), self._expected, 0.0).astype(np.float64)
        gain, rest = _split(expected, difference)
        gains, rests = zip(*(_split(expected, each) for each in self._differences), strict=True)
        return bool(abs(gain) <= FACTOR * max(map(abs, gains)) and rest >= min(rests) / FACTOR**2)


def _split(expected: np.ndarray, difference: np.ndarray) -> tuple[float, float]:
    """The factor by which a difference is a multiple of the output, and the share of its energy that is none."""
    signal, energy = float(np.sum(np.square(expected))), float(np.sum(np.square(difference)))
    if signal == 0 or energy == 0:
        return 0.0, 1.0
    along = float(np.sum(expected * difference))
    return along / signal, max(0.0, 1 - along**2 / (signal * energy))


def _largest_near(sizes: np.ndarray) -> np.ndarray:
    """The largest of each element and, in images, of its neighbours."""
    if sizes.ndim < _IMAGE_RANK:
        return sizes
    window = 2 * _NEAR + 1
    for axis in (sizes.ndim - 2, sizes.ndim - 1):
        wide = np.pad(sizes, [(_NEAR, _NEAR) if each == axis else (0, 0) for each in range(sizes.ndim)])
        sizes = np.lib.stride_tricks.sliding_window_view(wide, window, axis=axis).max(axis=-1)
    return sizes


def _difference(expected: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Difference in float64, 0 where the numbers are not finite."""
    with np.errstate(invalid="ignore"):
        difference = other.astype(np.float64) - expected.astype(np.float64)
    return np.where(np.isfinite(expected), difference, 0.0)


class Rounding:
    """How far rounding moves the outputs of a model; computed when first needed.

    Args:
        model: Returns the model, with its weights.
    """

    def __init__(self, model: Callable[[], ModelProto]) -> None:
        self._model = model
        self._runners: dict[float, OnnxRuntimeRunner | None] = {}
        self._outputs: dict[tuple[str, float], list[dict[str, np.ndarray]]] = {}
        self.starved = False
        """Whether a run with noise failed for want of memory."""

    def movement(self, feed: NamedFeeds, name: str, expected: np.ndarray, *, noise: float = NOISE) -> _Movement | None:
        """How far the noise moves an output on a draw; None if that is not known.

        Args:
            feed: The draw.
            name: The output.
            expected: The output without noise.
            noise: That of convolutions which MNN computes in Winograd's form.
        """
        key = feed.name, noise
        if key not in self._outputs:
            self._outputs[key] = self._run(feed, noise)
        others = [each[name] for each in self._outputs[key] if _has_form_of(expected, each[name])]
        return _Movement(expected, others) if others else None

    def _run(self, feed: NamedFeeds, noise: float) -> list[dict[str, np.ndarray]]:
        """The outputs with other noise in each run; none if no node is perturbed, or it does not run."""
        if noise not in self._runners:
            blurred = blur(self._model(), 0, winograd=noise)
            self._runners[noise] = None if blurred is None else OnnxRuntimeRunner(blurred, frees=True)
        runner = self._runners[noise]
        outputs = None if runner is None else runner.run([feed.arrays] * RUNS)
        if isinstance(outputs, Failure):
            self.starved = self.starved or is_out_of_memory(outputs)
            return []
        return outputs or []
