"""Linux's Landlock: a process gives up every file but those that it names, for good, and for its children too.

https://docs.kernel.org/userspace-api/landlock.html; numbers are those of linux/landlock.h. Where the kernel has none
(before 5.13, or switched off) nothing is confined, and `confine_files` says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS of linux/prctl.h

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""What files can be confined in, by version."""
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_NETWORK = (4, 0b11)
"""From this version on: to bind and to connect TCP sockets."""
_SCOPES = (6, 0b11)
"""From this version on: abstract UNIX sockets, and signals to processes outside."""


def version() -> int:
    """Version of Landlock that the kernel has; 0 for none."""
    if sys.platform != "linux":
        return 0
    with contextlib.suppress(OSError, AttributeError):
        return max(0, _call(_CREATE_RULESET, None, 0, _VERSION))
    return 0


def confine_files(*, readable: Iterable[str | Path], writable: Iterable[str | Path]) -> bool:
    """Give up every file but these, and every TCP connection where the kernel can refuse it.

    Args:
        readable: Files and folders to read; those that do not exist are left out.
        writable: Files and folders to read and write.

    Returns:
        Whether the process is confined now.
    """
    known = version()
    if not known:
        return False
    rights = _RIGHTS[min(known, max(_RIGHTS))]
    network = _NETWORK[1] if known >= _NETWORK[0] else 0
    scopes = _SCOPES[1] if known >= _SCOPES[0] else 0
    attributes = struct.pack("QQQ", rights, network, scopes)
    size = 24 if scopes else 16 if network else 8
    try:
        ruleset = _call(_CREATE_RULESET, attributes, size, 0)
        try:
            for paths, wanted in ((readable, _READ), (writable, rights)):
                for path in paths:
                    _allow(ruleset, path, wanted & rights)
            ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
            _call(_RESTRICT_SELF, ruleset, 0)
        finally:
            os.close(ruleset)
    except OSError:
        return False
    return True


def _allow(ruleset: int, path: str | Path, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(place).st_mode):
                rights &= _OF_FILES
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
        finally:
            os.close(place)


def _call(number: int, *arguments: int | bytes | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(library.syscall(ctypes.c_long(number), *wide))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
