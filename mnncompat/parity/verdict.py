"""Results of a parity check. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnncompat.mnn import Failure
    from mnncompat.parity.tolerance import Tolerance


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
        compared: Elements in which both sides are finite; 0 says that this draw proves nothing.
        max_abs: Largest absolute difference.
        max_rel: Largest `|actual - expected| / |expected|` among elements of at least 1% of the reference's RMS
            (below it, the quotient measures cancellation).
        cosine: Cosine of the angle between both, flattened; 1 for two zero vectors.
        snr_db: `10 log10(sum(expected^2) / sum(difference^2))`, infinite when equal.
        top1: Share of rows whose largest element is the same, None where the output does not look like class scores
            (fewer than 2 axes, or integers). Rows lie along the last axis, along axis 1 for rank 4 and above.
        excess: Largest ratio of difference to what the tolerance allows; the criterion is at most 1.
        telling: Whether an output of nothing but zeros would have failed. A reference that is itself below the
            absolute tolerance says nothing about the model.
        problems: Why it fails, one line each; empty when it passes.
        set_aside: It would fail, but rounding alone moves the reference as far (see `mnncompat.parity.rounding`).
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
    excess: float
    telling: bool
    problems: tuple[str, ...]
    set_aside: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it. A draw that compared nothing passes; the output as a whole does not."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputParity:
    """One output over all draws.

    Attributes:
        name: The output.
        tolerance: What it was judged by.
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
    def worst(self) -> Comparison | None:
        """The draw that failed, or the one that came closest to failing. None without draws."""
        judged = [each for each in self.comparisons if not each.set_aside]
        return max(judged or self.comparisons, key=lambda each: (not each.passed, each.excess), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerFailure:
    """A side of the comparison that gave no outputs.

    Attributes:
        runner: Its name.
        failure: How it failed.
    """

    runner: str
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """Whether two models compute the same.

    Attributes:
        outputs: One for each output of the reference model.
        failures: Runners that gave no outputs. One is enough to fail.
        problems: Why it fails, one line each, over outputs and failures; empty when it passes.
        draws: Names of the draws.
        shapes: For each draw, input name -> shape.
        notes: What a reader should know, e.g. that the model takes only one batch size.
        seed: What the feeds were drawn from.
    """

    outputs: tuple[OutputParity, ...]
    failures: tuple[RunnerFailure, ...]
    problems: tuple[str, ...]
    draws: tuple[str, ...]
    shapes: tuple[dict[str, tuple[int, ...]], ...]
    notes: tuple[str, ...]
    seed: int

    @property
    def passed(self) -> bool:
        """Whether every output of the reference was compared and agrees."""
        return not self.problems and bool(self.outputs)
