"""Run a file on a device as well, on the draws that tell most, and judge what it gives."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mnncompat import mnn
from mnncompat.devices.device import Device, Precision
from mnncompat.files.allowance import prolong
from mnncompat.parity.decided import undecided_flips
from mnncompat.parity.metrics import compare
from mnncompat.parity.output_scale import fitted
from mnncompat.parity.tolerance import HALF_PRECISION
from mnncompat.results.device_parity import DeviceOutput, DeviceParity
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from mnncompat.devices.device import Where
    from mnncompat.mnn import Limits
    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.results.parity_report import Comparison, ParityReport, Tolerance

    Outputs = list[dict[str, np.ndarray]]

BUDGET_SECONDS = 90.0
"""Processor time on the device after which no further draw is run; the first draws are run in any case."""
LEAST_DRAWS = 1
LIMIT_SECONDS = 900.0
"""Wall time of one request to a device, where the host's limit is less: an emulator is about a hundred times slower."""
HALF_DRAWS = ("normal", "zeros", "large")
"""Draws that show most of half precision: usual values, rows of one value, and values that overflow."""


class DeviceCheck:
    """What a device gives for the draws of a comparison, within a budget of time.

    Args:
        where: The device, and how it computes there.
        file: The `.mnn` file.
        limits: What a run there may take.
        given: What a user asks of every floating-point output; None for the criterion of the precision.
        coarse: Outputs that are functions which saturate.
    """

    def __init__(
        self,
        where: Where,
        file: Path,
        *,
        limits: Limits,
        given: Tolerance | None = None,
        coarse: Collection[str] = (),
    ) -> None:
        self._coarse = coarse
        self._where = where
        self._file = file
        self._given = given
        self._limits = replace(limits, seconds=max(limits.seconds, LIMIT_SECONDS))

    def conclude(
        self,
        report: ParityReport,
        feeds: Sequence[NamedFeeds],
        expected: Outputs,
        tolerances: Mapping[str, Tolerance],
    ) -> DeviceParity:
        """Run the file there and judge it.

        Args:
            report: On what this machine gives.
            feeds: The draws, as the file is fed.
            expected: For each draw, what the reference computed.
            tolerances: Of the outputs on this machine.

        Raises:
            UsageError: The device is not set up.
            RunnerError: It does not start, or ended in the middle.
        """
        order = _order(feeds, report)
        names = [each for each in tolerances if all(each in found for found in expected)]
        own = [each.name for each in report.outputs]
        names = [each for each in names if each in own]
        prolong(LIMIT_SECONDS)
        with Device(self._where.device) as device:
            ran = self._run(device, [feeds[at].arrays for at in order], names)
            found = self._report(device, [feeds[at].name for at in order[: len(ran.outputs)]], len(feeds))
        if ran.failure is not None:
            return replace(found, failure=ran.failure.message, draws=tuple(feeds[at].name for at in order[:1]))
        judged = []
        for name in names:
            tolerance = self._tolerance(name, tolerances[name], expected)
            aside = _inconclusive(report, name)
            comparisons = [
                self._compared(expected[at][name], each.get(name), tolerance, feeds[at].name)
                for each, at in zip(ran.outputs, order, strict=False)
                if feeds[at].name not in aside
            ]
            judged.append(_output(name, tolerance, comparisons))
        return replace(found, outputs=tuple(judged))

    def _tolerance(self, name: str, here: Tolerance, expected: Outputs) -> Tolerance:
        """What is asked of an output there: in float16 a ratio over all of it, else what is asked here."""
        if self._given is not None or self._where.precision is not Precision.LOW:
            return here
        return fitted(HALF_PRECISION, [each[name] for each in expected], is_coarse=name in self._coarse)

    def _compared(self, expected: np.ndarray, actual: np.ndarray | None, tolerance: Tolerance, draw: str) -> Comparison:
        found = compare(expected, actual, tolerance, draw=draw)
        if actual is None or not found.passed or tolerance.snr_db is None or expected.dtype.kind != "f":
            return found
        flips = undecided_flips(expected, actual)
        return replace(found, problems=(flips,)) if flips else found

    def _run(self, device: Device, feeds: Sequence[Mapping[str, np.ndarray]], names: Sequence[str]) -> _Runs:
        """The first draw alone, then as many of the others as the budget holds."""
        performer = device.performer(self._where.precision, self._where.threads)
        done: list[dict[str, np.ndarray]] = []
        left = list(feeds)
        count = LEAST_DRAWS
        while left and count > 0:
            batch, left = left[:count], left[count:]
            ran = mnn.run(self._file, batch, output_names=names, limits=self._limits, performer=performer)
            if isinstance(ran, Failure):
                return _Runs(done, ran)
            done += ran.outputs
            longest = max(ran.draw_seconds, default=0.0)
            count = min(len(left), int((BUDGET_SECONDS - longest) / max(longest, 1e-3))) if len(done) == count else 0
        return _Runs(done, None)

    def _report(self, device: Device, draws: Sequence[str], total: int) -> DeviceParity:
        return DeviceParity(
            device=str(self._where.device),
            precision=self._where.precision.value,
            threads=self._where.threads,
            mnn=device.environment.mnn,
            draws=tuple(draws),
            left_out=total - len(draws),
        )


class _Runs:
    """Outputs of the draws that were run, and how the next one failed."""

    __slots__ = ("failure", "outputs")

    def __init__(self, outputs: list[dict[str, np.ndarray]], failure: Failure | None) -> None:
        self.outputs = outputs
        self.failure = failure


def _order(feeds: Sequence[NamedFeeds], report: ParityReport) -> list[int]:
    """The draws in the order in which they are run: the user's data, then those that show most, then the others."""

    def rank(at: int) -> tuple[int, int]:
        name = feeds[at].name
        if name in report.given:
            return (0, at)
        plain = name.partition(",")[0]
        known = HALF_DRAWS.index(plain) if plain in HALF_DRAWS else len(HALF_DRAWS)
        return (1 + known + (len(HALF_DRAWS) if name != plain else 0), at)

    return sorted(range(len(feeds)), key=rank)


def _inconclusive(report: ParityReport, name: str) -> set[str]:
    """Draws in which rounding in float32 explains any difference of an output."""
    own = [each for output in report.outputs if output.name == name for each in output.comparisons]
    return {each.draw for each in own if each.inconclusive}


def _output(name: str, tolerance: Tolerance, comparisons: Sequence[Comparison]) -> DeviceOutput:
    problems = [f"{each.draw}: {problem}" for each in comparisons for problem in each.problems]
    proofs = [each for each in comparisons if each.discriminative and not math.isnan(each.snr_db)]
    worst = min(proofs, key=lambda each: each.snr_db, default=None)
    ratio = math.inf if worst is None else worst.snr_db
    shares = [each.top1 for each in comparisons if each.top1 is not None]
    return DeviceOutput(
        name=name,
        snr_db=ratio,
        top1=min(shares, default=None),
        worst="" if worst is None else worst.draw,
        is_rough=tolerance.is_rough and ratio < math.inf,
        problems=tuple(problems),
    )
