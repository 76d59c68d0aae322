"""Results of a parity check. Plain values."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

from mnncompat.errors import UsageError
from mnncompat.results.device_parity import DeviceParity
from mnncompat.results.failures import Failure
from mnncompat.results.proof_strength import EQUAL_ATOL, EQUAL_RTOL, Power, ProofVerdict, SizeCoverage
from mnncompat.results.session_parity import SessionParity

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far one output may be from its reference.

    Attributes:
        rtol: Relative to the element and to its scale, see `mnncompat.parity.tolerance`.
        atol: Absolute, in the output's unit.
        snr_db: When given, the criterion is this signal-to-noise ratio in decibel over the whole output instead:
            `10 log10(sum(expected^2) / sum((actual - expected)^2))`.
        outliers: Share of the elements that may exceed the allowance, by `mnncompat.parity.tolerance.OUTLIER` times at
            most, where nothing is known about the cause; see `mnncompat.parity.outliers`. 0 allows none in any case.
        unequal: Share of the elements of an integer or boolean output that may differ.
        scaled: Whether `atol` is only the most that is allowed, and follows outputs that are smaller, see
            `mnncompat.parity.output_scale`; else it is taken as it is. It makes no difference to equality.

    Raises:
        UsageError: A negative number, or a share above 1.
    """

    rtol: float
    atol: float
    snr_db: float | None = None
    outliers: float = 0.0
    unequal: float = 0.0
    scaled: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not (self.rtol >= 0 and self.atol >= 0 and 0 <= self.unequal <= 1 and 0 <= self.outliers <= 1):
            raise UsageError(
                "a tolerance is negative, or not a number",
                hint="give rtol and atol of zero or more, and shares between 0 and 1",
            )

    @property
    def is_rough(self) -> bool:
        """Whether it is wider than that of float32: what agrees by it is within it, not equal."""
        return self.snr_db is not None or self.rtol > EQUAL_RTOL or self.atol > EQUAL_ATOL or self.unequal > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One output of one draw against its reference.

    Differences are measured where both sides are finite, in float64.

    Attributes:
        draw: Name of the draw.
        expected_shape: Shape of the reference.
        actual_shape: Shape of what was compared, None when it is missing.
        expected_dtype: Dtype of the reference, numpy's name.
        actual_dtype: Dtype of what was compared, None when it is missing.
        compared: Number of elements in which both sides are finite; if it is 0, this draw proves nothing.
        max_abs: Largest absolute difference.
        max_rel: Largest `|actual - expected| / |expected|` among elements of at least 1% of the reference's RMS
            (below it, the quotient measures cancellation).
        cosine: Cosine of the angle between both, flattened; 1 for two zero vectors.
        snr_db: `10 log10(sum(expected^2) / sum(difference^2))`, infinite when equal.
        top1: Share of rows whose largest element is the same, None where the output does not look like class scores
            (fewer than 2 axes, or integers). Rows lie along the last axis, along axis 1 for rank 4 and above.
        error_ratio: Largest ratio of difference to what the tolerance allows; the criterion is at most 1.
        discriminative: Whether an output of zeros would have failed. A reference that is itself below the absolute
            tolerance proves nothing about the model.
        problems: Why it fails, one line each; empty when it passes.
        inconclusive: It would fail, but rounding alone moves the reference as far (see `mnncompat.parity.rounding`).
        outliers: Number of elements beyond the tolerance that are excused (see `mnncompat.parity.outliers`), and of
            indices that differ between equal scores (see `mnncompat.parity.scores`).
    """

    draw: str
    expected_shape: tuple[int, ...]
    actual_shape: tuple[int, ...] | None
    expected_dtype: str
    actual_dtype: str | None
    compared: int
    max_abs: float
    max_rel: float
    cosine: float
    snr_db: float
    top1: float | None
    error_ratio: float
    discriminative: bool
    problems: tuple[str, ...]
    inconclusive: bool = False
    outliers: int = 0

    @property
    def excess(self) -> float:
        """Former name of `error_ratio`, until 0.3."""
        return _renamed("excess", "error_ratio", self.error_ratio)

    @property
    def telling(self) -> bool:
        """Former name of `discriminative`, until 0.3."""
        return _renamed("telling", "discriminative", self.discriminative)

    @property
    def set_aside(self) -> bool:
        """Former name of `inconclusive`, until 0.3."""
        return _renamed("set_aside", "inconclusive", self.inconclusive)

    @property
    def passed(self) -> bool:
        """Whether it has no problems. A draw that compared nothing passes; the output as a whole does not."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputParity:
    """One output over all draws.

    Attributes:
        name: The output.
        tolerance: The tolerance that it was judged by.
        comparisons: One for each draw, in order.
        problems: Why it fails, one line each, the draw's name in front; empty when it passes.
    """

    name: str
    tolerance: Tolerance
    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every draw passed and at least one compared something."""
        return not self.problems

    @property
    def shows_nothing(self) -> bool:
        """Whether it fails, but not by a difference: too few draws compared anything that would tell."""
        return not self.passed and all(each.passed for each in self.comparisons)

    @property
    def is_rough(self) -> bool:
        """Whether its tolerance is wider than that of float32, and it is not the same bit for bit."""
        return self.tolerance.is_rough and self.snr_db < math.inf

    @property
    def snr_db(self) -> float:
        """The lowest signal-to-noise ratio of the draws that are proof, in dB; infinite if there is no noise."""
        proofs = [each for each in self.comparisons if each.discriminative and not each.inconclusive]
        return min((each.snr_db for each in proofs if not math.isnan(each.snr_db)), default=math.inf)

    @property
    def worst(self) -> Comparison | None:
        """The draw that failed, or the one of those that are proof with the largest error ratio. None without draws."""
        judged = [each for each in self.comparisons if not each.inconclusive] or self.comparisons
        return max(judged, key=lambda each: (not each.passed, each.discriminative, each.error_ratio), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeterminedOutput:
    """An output that is not compared, because its values are random.

    Attributes:
        name: The output.
        nodes: The nodes that draw what it depends on: ``RandomNormalLike 'noise'``.
    """

    name: str
    nodes: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why it is not compared, in one line."""
        return f"depends on what {', '.join(self.nodes)} draws, which no two runs agree on: it cannot be compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerFailure:
    """A side of the comparison that computed no outputs.

    Attributes:
        runner: Its name.
        failure: How it failed.
    """

    runner: str
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class InputAssumption:
    """What was assumed of an input that was drawn.

    Attributes:
        name: The input.
        dtype: numpy's name of its type.
        shape: Its shape in the first draws.
        values: What its values are, such as ``ids below 500``.
        reasons: What in the graph says so, such as ``Gather of word [500, 16]``; empty if nothing does.
        relations: What the graph requires of the sizes, such as ``total = past + new (Concat of ...)``. A relation
            between several inputs is told with the last of them.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    values: str
    reasons: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What a draw takes on this machine, at the first sizes: medians of processor time, one thread.

    Attributes:
        reference: Seconds under ONNX Runtime, which may not fuse nodes in a comparison.
        mnn: Seconds under MNN, with handing over the inputs and reading the outputs.
        runs: How many runs of a side the medians are of, at least.
    """

    reference: float
    mnn: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """Whether two models compute the same.

    Attributes:
        outputs: One for each output of the reference model.
        failures: Runners that gave no outputs. One is enough to fail.
        problems: Why it fails, one line each, over outputs and failures; empty when it passes.
        draws: Names of the draws.
        shapes: For each draw, input name -> shape.
        notes: Remarks for the reader, such as that the model accepts only one batch size.
        seed: Of the drawn feeds.
        assumptions: What was assumed of each input that was drawn.
        given: Names of the draws that are data of the user; inputs without data are drawn in them.
        undetermined: Outputs that are random, and are not among `outputs`. One is enough to fail: it may be anything.
        power: Which operators the proof would have caught; None where that was not measured.
        sizes: The sizes at which each dynamic dimension was compared.
        speed: What a draw takes under both sides; None where that was not measured.
        session: What MNN's Session API gives; all else is about the Module API. None if it was not run.
        device: What the file gives on a device; all else is about the host. None if it was not run on one.
    """

    outputs: tuple[OutputParity, ...]
    failures: tuple[RunnerFailure, ...]
    problems: tuple[str, ...]
    draws: tuple[str, ...]
    shapes: tuple[dict[str, tuple[int, ...]], ...]
    notes: tuple[str, ...]
    seed: int
    assumptions: tuple[InputAssumption, ...] = ()
    given: tuple[str, ...] = ()
    undetermined: tuple[UndeterminedOutput, ...] = ()
    power: Power | None = None
    sizes: tuple[SizeCoverage, ...] = ()
    speed: Speed | None = None
    session: SessionParity | None = None
    device: DeviceParity | None = None

    @property
    def passed(self) -> bool:
        """Whether every output of the reference was compared and agrees. `verdict` says how much that proves."""
        return not self.problems and bool(self.outputs)

    @property
    def lacks(self) -> tuple[ProofVerdict, ...]:
        """What is missing for a proof, the worst first; empty if nothing is."""
        if (self.differs and not self.passed) or (self.device is not None and not self.device.passed):
            return (ProofVerdict.DIFFERENT,)
        return self.lacks_on_host

    @property
    def lacks_on_host(self) -> tuple[ProofVerdict, ...]:
        """The same, of what this machine gives."""
        if self.differs and not self.passed:
            return (ProofVerdict.DIFFERENT,)
        unproven = not self.passed or (self.power is not None and not self.power.is_enough)
        found = ((unproven, ProofVerdict.NOT_PROVEN), (bool(self.few_sizes), ProofVerdict.ONE_SIZE))
        return tuple(verdict for lacking, verdict in found if lacking)

    @property
    def few_sizes(self) -> tuple[SizeCoverage, ...]:
        """The dynamic dimensions that were compared at too few sizes."""
        return tuple(each for each in self.sizes if not each.is_proven)

    @property
    def verdict(self) -> ProofVerdict:
        """What was proven, in one word."""
        if self.lacks:
            return self.lacks[0]
        there = self.device is not None and self.device.verdict is ProofVerdict.WITHIN
        return ProofVerdict.WITHIN if self.is_rough or there else ProofVerdict.EQUAL

    @property
    def is_rough(self) -> bool:
        """Whether an output is."""
        return any(each.is_rough for each in self.outputs)

    @property
    def snr_db(self) -> float:
        """The lowest signal-to-noise ratio of an output in dB, as `OutputParity.snr_db`."""
        return min((each.snr_db for each in self.outputs), default=math.inf)

    def is_accepted(self, accepted: Collection[ProofVerdict | str] = ()) -> bool:
        """Whether it is a proof, apart from what a user accepts to be missing."""
        return set(self.lacks) <= set(accepted) - {ProofVerdict.DIFFERENT}

    @property
    def differs(self) -> bool:
        """False if it fails for nothing but outputs that are random, or that show nothing."""
        if self.failures or any(not each.passed and not each.shows_nothing for each in self.outputs):
            return True
        return not self.undetermined and not any(each.shows_nothing for each in self.outputs)


def _renamed(old: str, new: str, value: T) -> T:
    import warnings

    warnings.warn(f"Comparison.{old} is called {new} now", DeprecationWarning, stacklevel=3)
    return value
