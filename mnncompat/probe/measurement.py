"""Measurements of single cases. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What MNN did with a case."""

    OK = "ok"
    """It converts and runs, and its outputs are right."""
    WRONG = "wrong"
    """It runs, and shape, kind of dtype or values of an output are wrong, without any message."""
    REFUSED = "refused"
    """The converter wrote no file; `Measurement.detail` has its message."""
    UNREPRESENTABLE = "unrepresentable"
    """MNN has no tensor for an input or output: strings, sequences, 64-bit integers out of range, ..."""
    ERROR = "error"
    """Loading or running failed with a message, or MNN returned fewer outputs than requested."""
    HANG = "hang"
    """It did not end, or did not end printing."""
    CRASH = "crash"
    """The process died, or needed more memory than it may have."""


class Aspect(StrEnum):
    """What is wrong about a wrong output; the first that applies."""

    NONE = ""
    SHAPE = "shape"
    DTYPE = "dtype"
    VALUES = "values"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The measurement of one case.

    Attributes:
        id: Id of the case.
        op: Op type under test.
        outcome: What MNN did; not `ok` where two measurements differ.
        stage: `convert`, `load`, `run` or `exit` where it failed; empty for `ok` and `wrong`.
        cause: The signal of a crash (`SIGSEGV`), `memory`, `flood`, `status 1`; empty where there is none.
        aspect: What is wrong about a wrong output.
        unstable: The two measurements differ: it depends on memory that was never written.
        detail: One line: the converter's last message, or where an output differs and by how much.
    """

    id: str
    op: str
    outcome: Outcome
    stage: str = ""
    cause: str = ""
    aspect: Aspect = Aspect.NONE
    unstable: bool = False
    detail: str = ""

    @property
    def code(self) -> str:
        """Everything but the detail in one word: `ok`, `wrong:values!`, `crash@run:SIGFPE`; `!` for unstable."""
        where = f"@{self.stage}" if self.stage else ""
        what = self.cause or self.aspect.value
        return f"{self.outcome.value}{where}{':' if what else ''}{what}{'!' if self.unstable else ''}"

    @classmethod
    def of_code(cls, code: str, *, case: str, op: str, detail: str) -> Measurement:
        """Parse what `code` returns.

        Raises:
            ValueError: It is no such code.
        """
        word, _, what = code.removesuffix("!").partition(":")
        outcome, _, stage = word.partition("@")
        wrong = outcome == Outcome.WRONG.value
        return cls(
            id=case,
            op=op,
            outcome=Outcome(outcome),
            stage=stage,
            cause="" if wrong else what,
            aspect=Aspect(what if wrong else ""),
            unstable=code.endswith("!"),
            detail=detail,
        )
