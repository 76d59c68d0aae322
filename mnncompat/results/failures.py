"""What went wrong in a process that ran MNN or ONNX Runtime: plain values, from the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What went wrong, seen from outside the child process."""

    REFUSED = "refused"
    """The converter said that it cannot take the model; `Failure.words` are its own words."""
    CRASH = "crash"
    """The process died of a signal, or ended with a status of its own choosing."""
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
    """An input whose dtype, or whose values, no MNN tensor can hold."""


class Stage(StrEnum):
    """Where in the life of the child process it happened."""

    START = "start"
    CONVERT = "convert"
    DUMP = "dump"
    LOAD = "load"
    RUN = "run"
    EXIT = "exit"
    """After the result was written: while MNN's objects were freed or the process ended. A right result followed by a
    crash here is still a crash: memory was corrupted on the way (a 1-D MatMul does this), and an application would
    die of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """MNN could not do what it was asked.

    Attributes:
        kind: What went wrong.
        stage: Where it went wrong.
        message: One line for people: the signal's name, the limit, or the decisive line of `words`.
        words: What MNN printed, without its routine chatter; may be empty, may be several lines.
    """

    kind: FailureKind
    stage: Stage
    message: str
    words: str = ""
