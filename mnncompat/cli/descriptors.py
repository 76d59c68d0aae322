"""The descriptors of the process: what C libraries print reaches nobody, and a closed one is not opened by accident."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TextIO


def take_over() -> None:
    """Keep stdout and stderr for this program.

    ONNX, ONNX Runtime and others print from C, and warn in Python, with names from the model in it, and in the middle
    of a report. They get `/dev/null`; what matters of it comes as an error as well. With MNNCOMPAT_TRACEBACK set they
    print as they like.

    A descriptor that the caller closed would be given to the next file that is opened, and prints would go into it.
    """
    for descriptor in (0, 1, 2):
        _occupy(descriptor)
    if os.environ.get("MNNCOMPAT_TRACEBACK"):
        return
    warnings.simplefilter("ignore")
    sys.stdout = _moved(sys.stdout)
    sys.stderr = _moved(sys.stderr)


def _occupy(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)


def _moved(stream: TextIO) -> TextIO:
    """The stream on a descriptor of its own; names that its encoding lacks are written as escapes."""
    if stream is None:  # closed by the caller
        return stream
    stream.flush()
    before = stream.fileno()
    moved = os.fdopen(
        os.dup(before), "w", encoding=stream.encoding, errors="backslashreplace", buffering=-1 if before == 1 else 1
    )
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, before)
    os.close(nothing)
    return moved
