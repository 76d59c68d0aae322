"""Classes that a function flattens in every draw are judged before it.

Where five of six sigmoids are alive, a fault in any operator shows, but not one in the row of the sixth: the power of
the draws is measured for operators. So where a slice of an output, along any of its axes but the first, is saturated in
every draw, what comes before the function is compared too, on the first draw. MNN computes any tensor of its file.

The tolerance is that of the output, put back through the function: where it is steepest, its result follows its
operand, so an operand may be off by `OFF`, and by as much of its own size. It is asked of each slice's RMS, since one
class in a thousand is what is looked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnncompat.parity.memory import give_back
from mnncompat.parity.metrics import allowance
from mnncompat.parity.power.planting import FACTOR
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.parity.power.faulty_model import FaultyModel
    from mnncompat.parity.power.saturation import Saturating
    from mnncompat.results.parity_report import OutputParity, Tolerance

    Outputs = dict[str, np.ndarray]

OFF = 1e-3
"""How far an operand may be off, absolutely and as a share of its slice's RMS: the `rtol` of the default tolerance."""

_IMAGE_RANK = 4
_CUTTING = frozenset(("Clip", "Max", "Min", "Relu", "ThresholdedRelu"))
"""Functions that leave what they do not cut as it is."""


class Flattened(NamedTuple):
    """An output with slices that are saturated in every draw.

    Attributes:
        output: Its name.
        function: The operator that flattens it.
        value: The tensor before it.
        expected: That tensor in the first draw.
        slices: Axis -> the indices of the slices.
    """

    output: str
    function: str
    value: str
    expected: np.ndarray
    slices: dict[int, list[int]]


def flattened(
    faulty: FaultyModel,
    feeds: Sequence[NamedFeeds],
    expected: Sequence[Outputs],
    tolerances: Mapping[str, Tolerance],
) -> Iterator[Flattened]:
    """Find the slices that are saturated in all draws of one size; most often the first one shows that there are none.

    Args:
        faulty: The model.
        feeds: The draws.
        expected: For each draw, what the reference computed.
        tolerances: Of the outputs that count; those that are judged by a signal-to-noise ratio are left out.
    """
    exact = {name for name, each in tolerances.items() if not each.is_rough}
    goals: dict[str, Saturating] = {
        name: each for name, each in faulty.saturating.items() if each.slope is not None and name in exact
    }
    first: Outputs = {}
    dead: dict[str, np.ndarray] = {}
    for feed, outputs in zip(feeds, expected, strict=True):
        if not goals:
            return
        if feed.shapes != feeds[0].shapes:
            continue
        found = faulty.run(feed.arrays, outputs)
        if isinstance(found, Failure):
            return
        first = first or found
        for name, goal in goals.items():
            dead[name] = dead.get(name, True) & _is_dead(found[goal.value], goal, tolerances[name])
        give_back()
        goals = {name: goal for name, goal in goals.items() if _whole_slices(dead[name])}
    for name, goal in goals.items():
        value, slices = first[goal.value], _whole_slices(dead[name])
        if value.size == expected[0][name].size and value.dtype == np.float32:
            yield Flattened(name, goal.function, goal.value, value, slices)


def _whole_slices(mask: np.ndarray) -> dict[int, list[int]]:
    found = {}
    for axis in range(1, mask.ndim):
        whole = mask.all(axis=tuple(each for each in range(mask.ndim) if each != axis))
        if whole.any():
            found[axis] = np.flatnonzero(whole).tolist()
    return found


def _is_dead(value: np.ndarray, goal: Saturating, tolerance: Tolerance) -> np.ndarray:
    """Where the fault that is planted in operators would not be seen behind the function."""
    assert goal.slope is not None  # noqa: S101 - the caller chose those that have one
    exact = value.astype(np.float64)
    result, slope = goal.slope(exact)
    if not np.isfinite(result).all():
        return np.zeros(value.shape, bool)
    with np.errstate(invalid="ignore"):  # in place: outputs may be large
        np.maximum(np.abs(exact, out=exact), 1, out=exact)
        slope *= FACTOR - 1
        slope *= exact
        return np.asarray(~(slope > allowance(result, tolerance)))


def differences(flat: Flattened, actual: np.ndarray) -> Iterator[str]:
    """What is wrong before the function, in words.

    Args:
        flat: The output.
        actual: The tensor before the function, of the same shape, in the first draw.
    """
    with np.errstate(invalid="ignore"):
        distance = np.abs(actual.astype(np.float64) - flat.expected)
    distance[actual == flat.expected] = 0  # infinities, too
    distance[np.isnan(distance)] = np.inf
    known = np.where(np.isfinite(flat.expected), flat.expected, 0).astype(np.float64)
    for axis, indices in flat.slices.items():
        off, size = (_rms(np.take(each, indices, axis), axis) for each in (distance, known))
        wrong = np.flatnonzero(~(off <= OFF * (1 + size)))
        if wrong.size:
            worst = wrong[np.argmax(off[wrong] / (1 + size[wrong]))]
            yield (
                f"{wrong.size} of {flat.expected.shape[axis]} slices along axis {axis}, saturated in every draw, are "
                f"wrong before {flat.function} ({flat.value!r}): number {indices[worst]} is off by {off[worst]:.3g} "
                f"where its RMS is {size[worst]:.3g}"
            )


def is_kept(flat: Flattened) -> bool:
    """Whether MNN's converter mostly keeps what comes before the function, under its name.

    It merges what cuts into a convolution, and writes products as convolutions of images, whose results it reshapes
    behind the function; the names may stay where they were.
    """
    return flat.function not in _CUTTING and flat.expected.ndim >= _IMAGE_RANK


def is_before(flat: Flattened, actual: np.ndarray, output: np.ndarray | None) -> bool:
    """Whether a tensor of MNN is what comes before the function, and not another one that bears its name.

    Args:
        flat: What was saturated.
        actual: The tensor, in the first draw.
        output: MNN's output there.
    """
    if actual.shape != flat.expected.shape or (output is not None and np.array_equal(actual.ravel(), output.ravel())):
        return False
    ends = (actual.min(), actual.max())
    slices = (np.take(actual, indices, axis) for axis, indices in flat.slices.items())
    return flat.function not in _CUTTING or not all(np.isin(each, ends).all() for each in slices)


def with_problems(output: OutputParity, why: Sequence[str]) -> OutputParity:
    """An output that is wrong in the first draw, though not by its own values."""
    first, *others = output.comparisons
    told = (f"{first.draw}: {each}" for each in why)
    first = replace(first, problems=(*first.problems, *why), inconclusive=False)
    return replace(output, comparisons=(first, *others), problems=(*output.problems, *told))


def _rms(values: np.ndarray, axis: int) -> np.ndarray:
    others = tuple(each for each in range(values.ndim) if each != axis)
    return np.asarray(np.sqrt(np.mean(np.square(values), axis=others)))
