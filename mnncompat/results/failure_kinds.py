"""Kinds and stages of failures: all that the process which runs MNN needs to import to name one."""

from __future__ import annotations

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
