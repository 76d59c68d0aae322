"""Inputs that bring dead outputs to life: other scales, other whole numbers, and a search against saturation.

Everything stays in the domains that the plan of the draws gives the inputs: numbers within bounds stay within them,
pixels are whole, ids, masks and lengths are drawn anew, and data that the user gave stay as they are.

Against saturation an output is followed to what is flattened (`mnncompat.parity.power.saturation`). A logit of 40 here
and -40 there is 0 between them: lines between draws on different sides, and between draws far out, are halved until the
function is steep, or else the draws themselves. Zeros show no error, however steep it is there. From the best point on,
random steps are taken as long as they come nearer.
"""

from __future__ import annotations

import time
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnncompat.inference.domain_claims import Kind
from mnncompat.parity.float_limits import float_limits
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mnncompat.parity.input_plan import InputPlan
    from mnncompat.parity.power.faulty_model import FaultyModel
    from mnncompat.parity.power.saturation import Saturating

    Arrays = dict[str, np.ndarray]

_SCALES = (8.0, 1 / 8, 64.0, 1 / 64)
_OFFSETS = (1.0, -1.0, 4.0, -4.0)
_FAR = (8.0, 64.0)
_NEAR = 1.0
"""Distance from where a function is steep at which it is steep enough."""
_HALVINGS = 16
_MOST_LINES = 4
_MOST_STEPS = 200
_NUMBERS = (Kind.NUMBERS, Kind.BOUNDED, Kind.PIXELS)


class _Point(NamedTuple):
    """Inputs, and where they lead."""

    arrays: Arrays
    distance: float
    side: int


class InputSearch:
    """Proposes inputs.

    Args:
        plan: How the draws were made.
        faulty: The model.
        draws: Inputs and outputs of the draws to start from; all have the shapes of the plan.
        deadline: In seconds of `time.process_time`.
    """

    def __init__(
        self, plan: InputPlan, faulty: FaultyModel, draws: Sequence[tuple[Arrays, Arrays]], deadline: float
    ) -> None:
        self._plan = plan
        self._faulty = faulty
        self._draws = draws
        self.deadline = deadline
        self._random = np.random.default_rng(plan.seed)
        self._free = [
            spec.name
            for spec in plan.signature
            if spec.name not in plan.arrays
            and spec.dtype is not None
            and spec.dtype.kind == "f"
            and plan.domains[spec.name].kind in _NUMBERS
        ]

    def proposals(self, dead: Sequence[str]) -> Iterator[Arrays]:
        """Inputs to try, the most promising first.

        Args:
            dead: Outputs that no fault moved.
        """
        for name in dead:
            if name in self._faulty.saturating and self._free:
                yield self.alive(self._faulty.saturating[name])
        for spec in self._plan.signature:
            yield from self.other_values(spec.name)
        for scale in _SCALES if self._free else ():
            yield from (self._scaled(arrays, scale, 0.0) for arrays, _ in self._draws)
        for offset in _OFFSETS if self._free else ():
            yield self._scaled(self._draws[0][0], 1.0, offset)

    @property
    def is_free(self) -> bool:
        """Whether an input may take other numbers."""
        return bool(self._free)

    def run(self, arrays: Arrays) -> Arrays | Failure:
        """Run the model without a fault."""
        return self._faulty.run(arrays, self._draws[0][1])

    @property
    def given(self) -> frozenset[str]:
        """Inputs that the user gave."""
        return frozenset(self._plan.arrays)

    def is_settled(self, name: str) -> bool:
        """Whether a whole number has one value only: it was given, or the model refuses the other ones."""
        if name in self.given:
            return True
        others = [self.run(arrays) for arrays in self.other_values(name)]
        runs = not isinstance(self.run(self._draws[0][0]), Failure)
        return runs and bool(others) and all(isinstance(each, Failure) for each in others)

    def other_values(self, name: str) -> Iterator[Arrays]:
        """Inputs in which whole numbers that the graph compares with, and were drawn as that, are other ones."""
        arrays, domain = self._draws[0][0], self._plan.domains.get(name)
        if domain is None or domain.kind is not Kind.INTEGERS or name in self._plan.arrays or not arrays[name].size:
            return
        others = {0.0, *domain.values, *(value + 1 for value in domain.values)} - {float(arrays[name].flat[0])}
        for value in sorted(others):
            yield arrays | {name: np.full_like(arrays[name], value)}

    def alive(self, goal: Saturating) -> Arrays:
        """The inputs nearest to where a function is steep."""
        ends = [arrays for arrays in self._ends() if any(np.any(arrays[name]) for name in self._free)]
        reached = [point for arrays in ends if (point := self._point(arrays, goal)) is not None]
        for first, second in _lines(reached):
            reached += self._on_line(first, second, goal)
        if all(point.distance > _NEAR for point in reached):
            reached += [each for point in reached[: len(self._draws)] for each in self._towards_zero(point, goal)]
        best = min(reached, key=lambda point: point.distance, default=_Point(self._draws[0][0], np.inf, 0))
        return self._nearer(best, goal)

    def _ends(self) -> Iterator[Arrays]:
        """Where lines may start and end: the draws, and the same far out."""
        for scale in (1.0, *_FAR):
            yield from (self._scaled(arrays, scale, 0.0) for arrays, _ in self._draws)

    def _on_line(self, first: _Point, second: _Point, goal: Saturating) -> Iterator[_Point]:
        """Halve the line between two sides until it is short."""
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            point = self._point(self._between(first.arrays, second.arrays, middle), goal)
            if point is None:
                return
            yield point
            if point.side == first.side:
                low = middle
            else:
                high = middle

    def _towards_zero(self, start: _Point, goal: Saturating) -> Iterator[_Point]:
        """Halve the inputs until the function is steep."""
        for halvings in range(1, _HALVINGS + 1):
            point = self._point(self._scaled(start.arrays, 0.5**halvings, 0.0), goal)
            if point is None:
                return
            yield point
            if point.distance <= _NEAR:
                return

    def _nearer(self, best: _Point, goal: Saturating) -> Arrays:
        """Random steps, each kept if it comes nearer; their size adapts."""
        size = 0.5
        for _ in range(_MOST_STEPS):
            if best.distance <= _NEAR:
                break
            steps = {name: best.arrays[name] + self._step(best.arrays[name], size) for name in self._free}
            point = self._point(self._changed(best.arrays, steps), goal)
            if point is None:
                break
            if point.distance < best.distance:
                best, size = point, min(2 * size, 4.0)
            else:
                size = max(0.8 * size, 1e-3)
        return best.arrays

    def _step(self, array: np.ndarray, size: float) -> np.ndarray:
        numbers = array.astype(np.float64)
        spread = float(np.sqrt(np.mean(np.square(numbers)))) if array.size else 0.0
        return np.asarray(size * (spread or 1.0) * self._random.standard_normal(array.shape))

    def _between(self, first: Arrays, second: Arrays, part: float) -> Arrays:
        mixed = {
            name: (1 - part) * first[name].astype(np.float64) + part * second[name].astype(np.float64)
            for name in self._free
        }
        return self._changed(first, mixed)

    def _scaled(self, arrays: Arrays, scale: float, offset: float) -> Arrays:
        return self._changed(arrays, {name: scale * arrays[name].astype(np.float64) + offset for name in self._free})

    def _changed(self, arrays: Arrays, numbers: Mapping[str, np.ndarray]) -> Arrays:
        """The same inputs with other numbers, within their domains."""
        changed = dict(arrays)
        for name, values in numbers.items():
            domain, dtype = self._plan.domains[name], arrays[name].dtype
            most = float(float_limits(dtype).max)
            within = np.clip(values, max(domain.low, -most), min(domain.high, most))
            changed[name] = (np.round(within) if domain.kind is Kind.PIXELS else within).astype(dtype)
        return changed

    def _point(self, arrays: Arrays, goal: Saturating) -> _Point | None:
        """Where some inputs lead; None if the model refuses them, or there is no time left."""
        found = None if time.process_time() > self.deadline else self.run(arrays)
        if found is None or isinstance(found, Failure):
            return None
        value = found[goal.value]
        return _Point(arrays, goal.steep.distance(value), goal.steep.side(value))


def _lines(points: Sequence[_Point]) -> list[tuple[_Point, _Point]]:
    """Pairs on different sides, the nearest ones first."""
    ordered = sorted(points, key=lambda point: point.distance)
    return [(a, b) for a, b in combinations(ordered, 2) if a.side != b.side][:_MOST_LINES]
