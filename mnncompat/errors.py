"""Every error that mnncompat raises on purpose.

The tree::

    MnncompatError          message + hint; the command line turns it into one line, a hint and exit status 2
    |-- UsageError          an option, argument or configuration value does not fit
    |-- ModelError          the input model cannot be read, or is not a model that can be worked on
    |   `-- PoisonedModelError  the work with it ended the machine's worker, twice
    |-- OutputError         a result cannot be written
    |-- TableError          `rules/` is damaged: a row or a file does not follow its schema
    |-- RunnerError         a runner (ONNX Runtime, MNN, torch) is missing or does not work at all
    `-- ExportError         torch could not export the module

A *finding* (MNN refuses a node, parity fails) is never an exception: it is a result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

WITHOUT_MEMORY = (
    "not enough memory",
    "allow more with --memory-limit, e.g. --memory-limit 4GB, if the machine has it",
)
"""Message and hint where an allocation fails."""


class MnncompatError(Exception):
    """Base of the tree.

    Args:
        message: What happened, one line, without a trailing full stop.
        hint: What the user can do next, one line.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Callable[[str], MnncompatError], tuple[str]]:
        """Pickle the error with its hint, so that it can be raised again in another process."""
        return partial(type(self), hint=self.hint), (self.message,)


class UsageError(MnncompatError):
    """An option, argument or configuration value does not fit."""


class ModelError(MnncompatError):
    """The input model cannot be read, or is not a model that can be worked on."""


class PoisonedModelError(ModelError):
    """The work with the model ended the worker that it was given to, twice."""


class OutputError(MnncompatError):
    """A result cannot be written."""


class TableError(MnncompatError):
    """A file of `rules/` is missing or does not follow its schema."""


class RunnerError(MnncompatError):
    """A runner is missing or does not work at all."""


class ExportError(MnncompatError):
    """Torch could not export the module."""


def require_supported_system() -> None:
    """Refuse a system whose processes cannot be bounded as models need it.

    Raises:
        RunnerError: It is Windows.
    """
    if sys.platform.startswith("win"):
        raise RunnerError(
            "mnncompat does not run on Windows itself",
            hint="run it in WSL, the Linux of Windows: `wsl --install`, then install mnncompat with pip there",
        )
