"""What the command reads: no result takes the place of a model, its weights or its data, whatever option names it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_Identity = tuple[int, int]


class _Known:
    """Files by device and number, so that links and other spellings are the same file."""

    active = False
    read: set[_Identity]
    replaced: set[_Identity]


_KNOWN = _Known()
_KNOWN.read, _KNOWN.replaced = set(), set()


def watch_inputs(*, active: bool) -> None:
    """Begin to note what is read, or end that: as a library nothing is noted, and whoever saves a model says where."""
    _KNOWN.active = active
    _KNOWN.read, _KNOWN.replaced = set(), set()


def note_input(path: str | Path) -> None:
    """Note that the command reads a file; one that is not there is passed over."""
    if _KNOWN.active and (found := _identity(path)) is not None:
        _KNOWN.read.add(found)


def note_beside(path: Path, files: Iterable[Path]) -> None:
    """Note files that belong to another one, if the command reads that: the weights of a model."""
    if _KNOWN.read and _identity(path) in _KNOWN.read:
        for each in files:
            note_input(each)


def replace_input(path: str | Path) -> None:
    """Note that the user wants a file replaced, although it is read: `--in-place`."""
    if _KNOWN.active and (found := _identity(path)) is not None:
        _KNOWN.replaced.add(found)


def is_input(path: str | Path) -> bool:
    """Whether a file is read by the command, and is not to be replaced."""
    if not _KNOWN.read:
        return False
    found = _identity(path)
    return found in _KNOWN.read and found not in _KNOWN.replaced


def _identity(path: str | Path) -> _Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - this is done for each of very many models
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
