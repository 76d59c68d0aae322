"""Run a file in MNN's Session API as well, on the draws that tell most, and judge what it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.parity.outliers import examine
from mnncompat.results.session_parity import SessionParity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.parity.scores import ScoringRunner
    from mnncompat.results.parity_report import OutputParity, ParityReport, Tolerance

    Outputs = list[dict[str, np.ndarray]]


class SessionCheck:
    """What MNN's Session gives for one draw, and one at other sizes if there are any.

    The verdict is that of the Module API, on all draws; most of what a Session gets wrong does not depend on values.

    Args:
        subject: Runs the file; it is told which draws are for the Session. None for no check.
    """

    def __init__(self, subject: ScoringRunner | None) -> None:
        self._subject = subject

    def choose(self, feeds: Sequence[NamedFeeds], expected: Outputs) -> None:
        """Choose the draws, before the file is run.

        Args:
            feeds: The draws.
            expected: For each draw, what the reference computed.
        """
        if self._subject is None:
            return
        by_sizes: dict[bool, list[int]] = {True: [], False: []}
        for draw, feed in enumerate(feeds):
            by_sizes[feed.shapes == feeds[0].shapes].append(draw)
        chosen = (max(draws, key=lambda draw: _spread(expected[draw])) for draws in by_sizes.values() if draws)
        self._subject.for_session = tuple(chosen)

    def conclude(
        self, report: ParityReport, expected: Outputs, actual: Outputs, tolerances: Mapping[str, Tolerance]
    ) -> SessionParity | None:
        """Judge what the Session gave.

        Args:
            report: On what the Module API gave.
            expected: For each draw, what the reference computed.
            actual: For each draw, what the Module API gave.
            tolerances: Of the outputs.

        Returns:
            How it did; None if it was not run.
        """
        ran = None if self._subject is None else self._subject.in_session
        if self._subject is None or ran is None:
            return None
        draws = self._subject.for_session
        judged = [each for each in report.outputs if each.name in tolerances]
        problems = [ran.problem] if ran.problem else []
        for draw, found in zip(draws, ran.outputs, strict=False):
            for output in judged:
                values = (expected[draw][output.name], actual[draw].get(output.name), found.get(output.name))
                problems += _differences(output, draw, values, tolerances[output.name])
        untried = ran.untried or ("" if judged or problems else "no output can be compared")
        names = tuple(report.draws[draw] for draw in draws)
        return SessionParity(draws=names, lost=ran.lost, problems=tuple(dict.fromkeys(problems)), untried=untried)


NO_SESSION = SessionCheck(None)
"""No Session is run."""


def _differences(
    output: OutputParity,
    draw: int,
    values: tuple[np.ndarray, np.ndarray | None, np.ndarray | None],
    tolerance: Tolerance,
) -> Iterator[str]:
    """What is wrong with an output: nothing if it is the Module API's, bit for bit, and that passed.

    Args:
        output: How the Module API's was judged.
        draw: Number of the draw.
        values: The reference's, the Module API's and the Session's.
        tolerance: How far the last may be from the first.
    """
    expected, module, found = values
    judged = output.comparisons[draw]
    if found is None:
        yield f"it has no output {output.name!r}"
    elif not (judged.passed and module is not None and _same(found, module)):
        (examined,) = examine([expected], [found], [judged.draw], tolerance)
        yield from (f"output {output.name!r}, {judged.draw}: {each}" for each in examined.by_share.problems[:1])


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    return np.array_equal(one, two, equal_nan=one.dtype.kind == "f")


def _spread(outputs: Mapping[str, np.ndarray]) -> tuple[int, float]:
    """How many outputs have more than one value, and how much of them is finite: nothing is told by a constant."""
    several, finite = 0, 1.0
    for each in outputs.values():
        is_finite = np.isfinite(each) if each.dtype.kind == "f" else np.ones(each.shape, bool)
        values = each[is_finite]
        several += bool(values.size and (values != values[0]).any())
        finite = min(finite, float(is_finite.mean()) if each.size else 1.0)
    return several, finite
