"""The file that a result is written to: never a device, and what a symbolic link stands for.

A link is followed, dangling or not: the file behind it is replaced in its own folder, and the link stays. Files that
belong to a result (external data, weights) go beside the path as it was given, because readers look for them there. A
hard link is parted: the other names keep the earlier contents.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mnncompat.errors import OutputError

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def destination(path: Path) -> Path:
    """The regular file, there or not, that a result at `path` replaces.

    Raises:
        OutputError: It is a directory, a device, a pipe or a socket, or no file can have that path.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - Path.stat is what tests replace
    except FileNotFoundError:
        return _behind(path)
    except (OSError, ValueError) as error:
        raise _impossible(path, error) from error
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), None)
    if kind is not None:
        hint = "give the path of a file" if stat.S_ISDIR(mode) else "a result goes into a file: give the path of one"
        raise OutputError(f"cannot write {path}: it is {kind}", hint=hint)
    return _behind(path)


def _behind(path: Path) -> Path:
    """What a chain of links ends with; the path as it was given if its last part is no link."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _impossible(path: Path, error: OSError | ValueError) -> OutputError:
    number = getattr(error, "errno", None)
    shown = str(path)
    if number == errno.ENAMETOOLONG:
        shown = f"{shown[:60]}..."
        hint = "give a shorter name: most file systems take 255 bytes"
    elif number == errno.ELOOP:
        hint = "its symbolic links lead back to themselves: remove them, or give another path"
    else:
        hint = "give another path"
    return OutputError(f"cannot write {shown}: {getattr(error, 'strerror', None) or error}", hint=hint)
