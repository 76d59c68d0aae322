"""Bytes from file to file, without passing through this process where the system can do that."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnncompat.graph.payloads import Payload

_AT_ONCE = 1 << 24
_CANNOT = frozenset((errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM))
"""Two file systems, or one that does not copy by itself."""


def write_pieces(target: Path, pieces: Iterable[bytes | Payload]) -> None:
    """Write a file from bytes and from parts of other files.

    Raises:
        OSError: It cannot be written, or a part cannot be read.
        ModelError: A file that a part is in has changed.
    """
    with target.open("wb", buffering=0) as stream:
        for piece in pieces:
            if isinstance(piece, bytes):
                _write(stream.fileno(), memoryview(piece))
            else:
                from mnncompat.graph.payloads import file_of

                copy_range(file_of(piece).descriptor, stream.fileno(), piece.offset, piece.length)


def copy_file(source: Path, target: Path) -> None:
    """Copy the content of a file.

    Raises:
        OSError: It cannot be read, or not be written.
    """
    with source.open("rb") as before, target.open("wb", buffering=0) as after:
        copy_range(before.fileno(), after.fileno(), 0, os.fstat(before.fileno()).st_size)


def copy_range(source: int, target: int, offset: int, length: int) -> None:
    """Copy a part of one file to the end of what was written to another.

    Args:
        source: Descriptor to read from; its position does not matter.
        target: Descriptor to write to.
        offset: First byte.
        length: Number of bytes.

    Raises:
        OSError: It cannot be read, is too short, or cannot be written.
    """
    by_system = hasattr(os, "copy_file_range")
    while length > 0:
        copied = _copied_by_system(source, target, offset, length) if by_system else None
        if copied is None:
            by_system = False
            data = os.pread(source, min(length, _AT_ONCE), offset)
            _write(target, memoryview(data))
            copied = len(data)
        if copied == 0:
            raise OSError(errno.EIO, "a file became shorter while it was read")
        offset += copied
        length -= copied


def _copied_by_system(source: int, target: int, offset: int, length: int) -> int | None:
    try:
        return os.copy_file_range(source, target, length, offset)
    except OSError as error:
        if error.errno in _CANNOT:
            return None
        raise


def _write(target: int, data: memoryview) -> None:
    while data:
        data = data[os.write(target, data) :]
