"""Faults that were planted, and what they moved."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.parity.metrics import agrees, allowance
from mnncompat.parity.tolerance import FLOAT16, FLOAT32
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.parity.power.faulty_model import FaultyModel
    from mnncompat.results.parity_report import Tolerance

    Outputs = dict[str, np.ndarray]


class State(StrEnum):
    """What is known about an operator."""

    EXERCISED = "exercised"
    SILENT = "silent"
    UNTRIED = "untried"


Pair = tuple[str, str]
"""A draw and an output."""
Record = dict[str, tuple[str, ...]]
"""Of one operator: draw -> the outputs that its fault moved there."""
_LAST = "zeros"


class Trials:
    """Plants faults and keeps what they moved.

    Every operator is tried on the draw that has shown most so far, at first on the smallest: one half of its elements
    is wrong, and if that shows nothing the other half. Those that moved no output are tried on a second draw, then on a
    third. Operators come in a fixed pseudo-random order, so that those that were tried when time is over are a fair
    sample.

    An output judged by a signal-to-noise ratio is judged by `FLOAT32` here (`FLOAT16` where it is float16): the
    question is what the draws are able to show, and a ratio over the whole output asks for too little.

    Args:
        faulty: The model.
        feeds: The draws.
        expected: For each draw, what the reference computed.
        tolerances: Of the outputs that count.
        records: What is known already, by operator's position.
    """

    def __init__(
        self,
        faulty: FaultyModel,
        feeds: Sequence[NamedFeeds],
        expected: Sequence[Outputs],
        tolerances: Mapping[str, Tolerance],
        records: Mapping[int, Record] | None = None,
    ) -> None:
        self._faulty = faulty
        self._feeds = {feed.name: feed.arrays for feed in feeds}
        self._expected = {feed.name: outputs for feed, outputs in zip(feeds, expected, strict=True)}
        self._tolerances = tolerances
        self._right: dict[str, Outputs | None] = {}
        self._allowance: tuple[str, dict[str, np.ndarray | None]] = ("", {})
        self._sizes = {feed.name: sum(array.size for array in feed.arrays.values()) for feed in feeds}
        self._hits = dict.fromkeys(self._feeds, 0)
        self._tries = dict.fromkeys(self._feeds, 0)
        self.records: dict[int, Record] = {number: dict(each) for number, each in (records or {}).items()}

    def run(self, deadline: float, without: Collection[Pair] = ()) -> None:
        """Try the operators of which it is not known that a fault moves an output.

        Args:
            deadline: In seconds of `time.process_time`; what is not tried then stays open.
            without: Outputs on draws that do not count.
        """
        order = np.random.default_rng(0).permutation(len(self._faulty.operators)).tolist()
        left = [number for number in order if self._faulty.operators[number].results]
        for _ in self._feeds:
            left = [number for number in left if not self._is_settled(number, deadline, without)]

    def _is_settled(self, number: int, deadline: float, without: Collection[Pair]) -> bool:
        """Try an operator on one more draw; True if there is nothing more to try."""
        record = self.records.setdefault(number, {})
        draw = next((each for each in self._best_first() if each not in record and self._counts(each, without)), None)
        if draw is None or is_exercised(record, without) or time.process_time() > deadline:
            return True
        moved = self._moved(number, draw)
        if moved is None:
            return False
        record[draw] = moved
        self._tries[draw] += 1
        self._hits[draw] += bool(moved)
        return is_exercised(record, without)

    def _counts(self, draw: str, without: Collection[Pair]) -> bool:
        return self._can_run(draw) and any((draw, name) not in without for name in self._tolerances)

    def add(self, feed: NamedFeeds, expected: Outputs, numbers: Collection[int]) -> bool:
        """Add a draw if it shows one of some operators; what these move there is known then.

        Args:
            feed: The draw.
            expected: What the model gives without a fault.
            numbers: Positions of the operators.
        """
        self._feeds[feed.name], self._expected[feed.name] = feed.arrays, expected
        moved = {number: self._moved(number, feed.name) for number in numbers}
        if not any(moved.values()):
            del self._feeds[feed.name], self._expected[feed.name]
            self._right.pop(feed.name, None)
            return False
        self._tries[feed.name] = self._hits[feed.name] = 0
        self._sizes[feed.name] = sum(array.size for array in feed.arrays.values())
        for number, names in moved.items():
            if names is not None:
                self.records[number][feed.name] = names
        return True

    def _best_first(self) -> list[str]:
        def rank(draw: str) -> tuple[float, bool, int]:
            shown = (self._hits[draw] + 1) / (self._tries[draw] + 2)
            return -shown, draw.startswith(_LAST), self._sizes[draw]

        return sorted(self._feeds, key=rank)

    def _moved(self, number: int, draw: str) -> tuple[str, ...] | None:
        """The outputs that a fault moves beyond their tolerance; None if the model fails with it."""
        right = self._without_fault(draw)
        if right is None:
            return None
        for half in (0, 1):
            wrong = self._faulty.run(self._feeds[draw], self._expected[draw], number, half=half)
            if isinstance(wrong, Failure):
                return None
            moved = tuple(name for name in self._tolerances if self._is_moved(draw, name, right[name], wrong[name]))
            if moved:
                return moved
        return ()

    def _is_moved(self, draw: str, name: str, right: np.ndarray, wrong: np.ndarray) -> bool:
        tolerance = _strict(self._tolerances[name], right)
        return not agrees(right, wrong, tolerance, self._allowed(draw, name, right, tolerance))

    def _allowed(self, draw: str, name: str, right: np.ndarray, tolerance: Tolerance) -> np.ndarray | None:
        """The allowance of an output, if it is finite; kept for one draw, on which most trials run."""
        if self._allowance[0] != draw:
            self._allowance = (draw, {})
        found = self._allowance[1]
        if name not in found:
            plain = right.dtype.kind == "f" and bool(np.isfinite(right).all())
            found[name] = allowance(right.astype(np.float64), tolerance) if plain else None
        return found[name]

    def _can_run(self, draw: str) -> bool:
        return self._without_fault(draw) is not None

    def _without_fault(self, draw: str) -> Outputs | None:
        """What a draw gives without a fault; kept only where it is not what the reference gave."""
        if draw not in self._right:
            self._right[draw] = self._run_without_fault(draw)
        return self._right[draw]

    def _run_without_fault(self, draw: str) -> Outputs | None:
        right, expected = self._faulty.run(self._feeds[draw], self._expected[draw]), self._expected[draw]
        if isinstance(right, Failure):
            return None
        same = all(np.array_equal(right[name], expected[name], equal_nan=True) for name in self._tolerances)
        return expected if same else right


def state_of(record: Record, draws: Iterable[str], outputs: Collection[str], without: Collection[Pair] = ()) -> State:
    """Whether a proof on some draws would have caught an operator.

    Args:
        record: What its fault moved.
        draws: All draws.
        outputs: All outputs.
        without: Outputs on draws that do not count.
    """
    if is_exercised(record, without):
        return State.EXERCISED
    shown = {draw for draw in draws if any((draw, name) not in without for name in outputs)}
    return State.UNTRIED if shown.isdisjoint(record) else State.SILENT


def is_exercised(record: Record, without: Collection[Pair] = ()) -> bool:
    """Whether a fault moved an output that counts."""
    return any((draw, name) not in without for draw, moved in record.items() for name in moved)


def _strict(tolerance: Tolerance, expected: np.ndarray) -> Tolerance:
    if not tolerance.is_rough or tolerance == FLOAT16:
        return tolerance
    return FLOAT16 if expected.dtype == np.float16 else FLOAT32
