"""What went wrong in a process that ran MNN or ONNX Runtime: plain values, from the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What went wrong, seen from outside the child process."""

    REFUSED = "refused"
    """The converter reported that it does not support the model; `Failure.words` has its message."""
    CRASH = "crash"
    """The process was killed by a signal, or ended with an unexpected exit status."""
    HANG = "hang"
    """The time limit passed."""
    MEMORY = "memory"
    """The memory limit was reached."""
    FLOOD = "flood"
    """More was printed than the limit allows."""
    NO_FILE = "no-file"
    """The converter reported success and wrote nothing, or an empty file."""
    ERROR = "error"
    """An exception at load or run, an empty list of outputs, or an output that is missing."""
    UNREPRESENTABLE = "unrepresentable"
    """An input whose dtype or values no MNN tensor can hold."""


class Stage(StrEnum):
    """The stage of the child process in which it happened."""

    START = "start"
    CONVERT = "convert"
    LIST = "list"
    """While the converter lists what it declares."""
    LOAD = "load"
    RUN = "run"
    INNER = "inner"
    """While tensors inside the model are computed, after its outputs."""
    SESSION = "session"
    """While MNN's Session API runs the model, after the Module API did."""
    EXIT = "exit"
    """After the result was written: while MNN's objects were freed or the process ended. A correct result followed by a
    crash here is still a crash: memory was corrupted before (a 1-D MatMul does this), and an application would crash
    as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """MNN could not do what it was asked.

    Attributes:
        kind: The kind of failure.
        stage: The stage in which it happened.
        message: One line for people: the signal's name, the limit, or the decisive line of `words`.
        words: What MNN printed, without its routine chatter; may be empty, may be several lines.
    """

    kind: FailureKind
    stage: Stage
    message: str
    words: str = ""

    def way_to_a_reference(self, otherwise: str) -> str:
        """What to do where the original gave no outputs.

        Args:
            otherwise: What helps where it was loaded, and did not run.
        """
        if self.stage is Stage.LOAD:
            return "no input helps, since the model is not even loaded: export it again, or with another opset"
        return otherwise
