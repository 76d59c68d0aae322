"""How much a proof shows: which operators it would have caught, at which sizes, and the verdict that follows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ENOUGH = 0.9
"""Share of the operators with weights that a proof has to exercise."""


class ProofVerdict(StrEnum):
    """What was proven of a model; the worst that applies."""

    EQUAL = "equal"
    """Every output agrees, at every size that was asked for, and the inputs would have shown a wrong operator."""
    WITHIN = "within"
    """Every output agrees by the signal-to-noise ratio that rounded weights or half precision leave."""
    ONE_SIZE = "one-size"
    """Every output agrees, but at too few sizes of a dynamic dimension."""
    NOT_PROVEN = "not-proven"
    """Nothing differs, but too many operators could be wrong without a difference, or an output is random."""
    DIFFERENT = "different"
    """An output differs or is missing, or a side gave no outputs."""


ACCEPTABLE = (ProofVerdict.NOT_PROVEN, ProofVerdict.ONE_SIZE)
"""What a user may accept; what is different is never accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Which operators with weights the proof would have caught, had they been wrong.

    Attributes:
        exercised: Operators (``Conv 'stem'``) whose planted fault moved an output beyond its tolerance.
        silent: Those whose fault moved none.
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
    def is_enough(self) -> bool:
        """Whether at least `ENOUGH` of the operators that were tried are exercised."""
        return len(self.exercised) >= ENOUGH * self.tried


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeCoverage:
    """The sizes at which a dynamic dimension was compared.

    Attributes:
        dimension: Its name, or ``x, axis 0`` where it has none.
        inputs: The inputs that have it.
        sizes: Those that were compared, ascending, each once.
        needed: How many prove it: two, three for the batch.
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
