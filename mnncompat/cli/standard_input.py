"""A model from standard input, called `-` in reports."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mnncompat.cli.html_page import rename_graphs
from mnncompat.errors import ModelError, UsageError
from mnncompat.results.diagnostics import CheckResult

NAME = Path("-")
LARGEST_BYTES = 1 << 31
"""protobuf reads no larger message."""
_PIECE = 1 << 20


def from_standard_input(check: Callable[[Path], CheckResult]) -> CheckResult:
    """Check what standard input holds, in a temporary file, and report it under the name `-`.

    Args:
        check: Checks a file.

    Raises:
        UsageError: Standard input is closed or a terminal.
        ModelError: It is no model, or larger than one can be.
        OutputError: There is no space for a temporary file.
    """
    from mnncompat.files.scratch import ScratchFolder

    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("there is no model on standard input", hint="mnncompat check - < model.onnx")
    with ScratchFolder() as folder:
        path = folder / "model.onnx"
        with path.open("wb") as file:
            _copy(sys.stdin.buffer, file)
        with _called(path):
            result = check(path)
    rename_graphs(str(path), str(NAME))
    return _renamed(result)


def _copy(source: BinaryIO, file: BinaryIO) -> None:
    """Copy as much as a model can have: what never ends would fill the disk.

    Raises:
        ModelError: There is more.
    """
    left = LARGEST_BYTES
    while piece := source.read(_PIECE):
        left -= len(piece)
        if left < 0:
            told = f"{NAME}: standard input holds more than {LARGEST_BYTES / 1e9:.1f} GB"
            raise ModelError(told, hint="an ONNX file has less, and the rest in external data: give its path")
        file.write(piece)


@contextlib.contextmanager
def _called(path: Path) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise ModelError(error.message.replace(str(path), str(NAME)), hint=error.hint) from error


def _renamed(result: CheckResult) -> CheckResult:
    name = str(NAME)
    return replace(
        result,
        model=name,
        diagnostics=tuple(replace(each, location=replace(each.location, model=name)) for each in result.diagnostics),
        suppressed=tuple(
            replace(each, diagnostic=replace(each.diagnostic, location=replace(each.diagnostic.location, model=name)))
            for each in result.suppressed
        ),
    )
