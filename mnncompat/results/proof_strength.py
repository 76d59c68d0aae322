"""How much a proof shows: which operators it would have caught, at which sizes, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from mnncompat.errors import UsageError

ENOUGH = 0.9
"""Share of the operators with weights that a proof has to exercise.

A proof fails to exercise operators for two reasons. Either single ones have no say: a branch whose results a rectifier
cuts off, a bias that a norm takes away again, a head that the largest of several outvotes. A trained network has few of
these, and they are named. Or an output is dead, as a saturated sigmoid is: then everything before it is silent, which
is half of the network and more. Nine tenths lies between the two, and near the first: of 50 operators five may have no
say. All of them would refuse good networks for one idle branch; half would pass a network with two outputs of which one
is dead.
"""
SAMPLE = 10
"""Operators that are a sample of a network: of fewer, one that has no say would decide. Of small networks, half are."""
EQUAL_RTOL, EQUAL_ATOL = 1e-3, 1e-6
"""Tolerances up to which agreement is called equality: those of float32, see `mnncompat.parity.tolerance`."""
BATCH_SIZES, OTHER_SIZES = 3, 2
"""At how many sizes the batch, and any other dynamic dimension, has to be compared. One size cannot tell a size that
was read from one that was assumed. The batch needs a third: with 1 and 2 alone, one of them is the size at which
broadcasting and a missing loop over samples make no difference."""


class ProofVerdict(StrEnum):
    """What was proven of a model; the worst that applies."""

    EQUAL = "equal"
    """Every output agrees, at every size that was asked for, and the inputs would have shown a wrong operator."""
    WITHIN = "within"
    """Every output agrees, but by a tolerance that is wider than that of float32: rounded weights, half precision."""
    ONE_SIZE = "one-size"
    """Every output agrees, but at too few sizes of a dynamic dimension."""
    NOT_PROVEN = "not-proven"
    """Nothing differs, but too many operators could be wrong without a difference, or an output is random."""
    DIFFERENT = "different"
    """An output differs or is missing, or a side gave no outputs."""


ACCEPTABLE = (ProofVerdict.NOT_PROVEN, ProofVerdict.ONE_SIZE)
"""What a user may accept; what is different is never accepted."""


def acceptable(words: Iterable[str]) -> frozenset[ProofVerdict]:
    """Read what a user accepts to be missing.

    Raises:
        UsageError: A word is none of `ACCEPTABLE`.
    """
    given = list(words)
    for word in given:
        if word not in ACCEPTABLE:
            never = ": what is different is never accepted" if word == ProofVerdict.DIFFERENT else ""
            raise UsageError(f"{word!r} cannot be accepted{never}", hint=f"there are: {', '.join(ACCEPTABLE)}")
    return frozenset(map(ProofVerdict, given))


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Which operators with weights the proof would have caught, had they been wrong.

    Attributes:
        exercised: Operators (``Conv 'stem'``) whose planted fault moved an output beyond its tolerance.
        silent: Those whose fault moved none; and, for each output that has such, the classes that something clips in
            every draw.
        untried: Those for which no time was left, or in which no fault can be planted.
        remembered: Whether this was measured in an earlier run, of the same model on the same inputs.
        seconds: What it took in this run.
    """

    exercised: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    untried: tuple[str, ...] = ()
    remembered: bool = False
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """Number of operators in which a fault was planted."""
        return len(self.exercised) + len(self.silent)

    @property
    def is_sample(self) -> bool:
        """Whether enough operators were tried to tell, or there is none to try."""
        return self.tried >= min(SAMPLE, (self.tried + len(self.untried)) / 2)

    @property
    def is_enough(self) -> bool:
        """Whether at least `ENOUGH` of the operators that were tried are exercised, and enough of them were tried."""
        return self.is_sample and len(self.exercised) >= ENOUGH * self.tried


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeCoverage:
    """The sizes at which a dynamic dimension was compared.

    Attributes:
        dimension: Its name, or ``x axis 0`` where it has none.
        inputs: The inputs that have it.
        sizes: Those that were compared and agree, ascending, each once.
        needed: How many prove it: `BATCH_SIZES` or `OTHER_SIZES`.
        settled: Why the graph itself allows no others; empty if it does.
    """

    dimension: str
    inputs: tuple[str, ...]
    sizes: tuple[int, ...]
    needed: int
    settled: str = ""

    @property
    def is_proven(self) -> bool:
        """Whether it was compared at enough sizes, or has no others."""
        return bool(self.settled) or len(self.sizes) >= self.needed
