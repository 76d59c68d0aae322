"""Whether MNN's Session API gives what the Module API gives. Plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParity:
    """What a file computes in MNN's Session API (`MNN::Interpreter`), beside the Module API that a proof rests on.

    Attributes:
        draws: Names of the draws that it was run on.
        lost: Inputs that the Session does not have, because no op of the file reads them.
        problems: Why its outputs are not those of the original, one line each.
        untried: Why it was not run; empty if it was.
    """

    draws: tuple[str, ...]
    lost: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    untried: str = ""

    @property
    def agrees(self) -> bool:
        """Whether its outputs are those of the original."""
        return not (self.problems or self.untried)

    @property
    def passed(self) -> bool:
        """Whether it takes all inputs, and its outputs are those of the original."""
        return self.agrees and not self.lost
