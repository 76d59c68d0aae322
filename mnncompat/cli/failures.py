"""What an exception means to the user: a message, and what to do next."""

from __future__ import annotations

import errno

from mnncompat.errors import WITHOUT_MEMORY, MnncompatError

_UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
_OUT_OF_REACH = {
    errno.EACCES: "make it readable for you, and the folders above it searchable",
    errno.EPERM: "make it readable for you, and the folders above it searchable",
    errno.ELOOP: "its symbolic links lead back to themselves: give another path",
    errno.ENAMETOOLONG: "give a shorter name: most file systems take 255 bytes",
}
_LONGEST_SHOWN = 100


def words(error: Exception, *, bug: str) -> tuple[str, str]:
    """Message and hint.

    Args:
        error: What was raised.
        bug: The hint if nobody foresaw it.
    """
    if isinstance(error, MnncompatError):
        return error.message, error.hint
    if isinstance(error, MemoryError):
        return WITHOUT_MEMORY
    if isinstance(error, OSError) and error.errno in _UNWRITTEN:
        return f"cannot write: {error}", "check space and permissions where output and temporary files go"
    if isinstance(error, OSError) and error.errno in _OUT_OF_REACH and error.filename is not None:
        shown = str(error.filename)
        shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
        return f"{shown}: {(error.strerror or '').lower()}", _OUT_OF_REACH[error.errno]
    return f"internal error: {type(error).__name__}: {error}", bug
