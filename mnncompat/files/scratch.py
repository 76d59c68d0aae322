"""Temporary folders and files, locked while a process uses them; what a killed process left behind is removed.

The lock is on the folder or file itself (`flock`), so it ends with the process, however that ends. Whoever creates one
makes sure after locking that it is still there, and whoever removes one holds its lock: nothing in use is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from mnncompat.errors import OutputError
from mnncompat.files.reachable import is_folder

_PREFIX = "mnncompat-scratch-"
_SUFFIX = ".tmp"
_NAME = re.compile(rf"\.?{_PREFIX}[a-z0-9_]{{8}}(?:{re.escape(_SUFFIX)})?")
_NO_PLACE = "set TMPDIR to a folder with space that you may write in"


class ScratchFolder:
    """A new temporary folder; it goes away with everything in it. A context manager.

    Raises:
        OutputError: None can be made.
    """

    def __init__(self) -> None:
        import tempfile  # slow to import

        try:
            place = Path(tempfile.gettempdir())
            remove_stale(place)
            self.path, self._lock = _locked_folder(place)
        except OSError as error:
            raise OutputError(f"no temporary folder can be made: {error.strerror or error}", hint=_NO_PLACE) from error

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cleanup()

    def cleanup(self) -> None:
        """Remove it. Harmless when repeated."""
        import shutil

        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


class ScratchFile:
    """A new empty file in a folder, whose name begins with a dot. A context manager that removes it if it is left.

    Args:
        folder: Where.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        import tempfile

        while True:
            self._lock, name = tempfile.mkstemp(dir=folder, prefix=f".{_PREFIX}", suffix=_SUFFIX)
            self.path = Path(name)
            if _hold(self._lock, self.path):
                return
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self._lock)


def remove_stale(folder: Path) -> None:
    """Remove temporary folders and files that this user's processes left there when they were killed."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
    except OSError:
        return
    for name in names:
        _remove_unused(folder / name)


def temporary_folder() -> Path:
    """Where temporary folders go, as `tempfile.gettempdir` has it, but found without writing a file to try."""
    named = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    return next((Path(each) for each in named if each and is_folder(Path(each))), Path("/tmp"))  # noqa: S108


def _locked_folder(place: Path) -> tuple[Path, int]:
    import tempfile

    while True:
        path = Path(tempfile.mkdtemp(dir=place, prefix=_PREFIX)).resolve()
        with contextlib.suppress(FileNotFoundError):  # removed before it was locked
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            if _hold(lock, path):
                return path, lock
            os.close(lock)


def _hold(lock: int, path: Path) -> bool:
    """Lock what was just made. False if somebody removed it before."""
    with contextlib.suppress(OSError):  # a file system without locks: nobody gets one, so nothing is removed
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        return os.path.samestat(os.fstat(lock), os.lstat(path))
    except FileNotFoundError:
        return False


def _remove_unused(path: Path) -> None:
    """Remove it if it is this user's, no link, and nobody holds its lock."""
    import shutil

    with contextlib.suppress(OSError):
        lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(lock)
            if found.st_uid != os.geteuid() or not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
                return
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if stat.S_ISDIR(found.st_mode):
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        finally:
            os.close(lock)
