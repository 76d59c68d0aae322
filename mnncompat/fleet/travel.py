"""Models and what belongs to them on their way to a worker, which sees them under the paths that they have here.

A shipment holds files by value, or by the hash of their contents if there is a folder that both machines see. On the
worker they lie in a scratch folder, as they lie here below the root of the file system; what a result says of that
folder is told without it. What the work writes there comes back the same way.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from mnncompat.errors import OutputError, UsageError
from mnncompat.fleet.tasks import digest_of

_STORE = "models"
LARGEST_BY_VALUE = 1 << 30
"""Bytes of one task's files that are sent through the scheduler."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What the system says where a disk takes no more."""


class Sent(NamedTuple):
    """A file on its way.

    Attributes:
        path: Absolute, where it lies here.
        digest: SHA-256 of its contents, if they are in the shared folder under it; else empty.
        data: Contents; None if they are in the shared folder.
    """

    path: str
    digest: str
    data: bytes | None


class Shipment(NamedTuple):
    """What a worker needs to do some tasks.

    Attributes:
        place: The working directory here.
        files: With the models.
        folders: That have to be there.
        store: The shared folder; empty if there is none.
    """

    place: str
    files: tuple[Sent, ...]
    folders: tuple[str, ...]
    store: str = ""

    @property
    def bytes(self) -> int:
        """What travels by value."""
        return sum(len(each.data) for each in self.files if each.data is not None)


def shipment(files: Sequence[Path], folders: Sequence[Path], store: Path | None) -> Shipment:
    """Pack files.

    Args:
        files: They are there.
        folders: That have to be there.
        store: A folder that the workers see under the same path; None to send all by value.

    Raises:
        OSError: A file cannot be read.
        OutputError: The shared folder cannot be written.
        UsageError: They are too large to be sent.
    """
    wanted = {os.path.abspath(each): each for each in files}  # noqa: PTH100 - links are not followed
    sent = tuple(_sent(path, store) for path in wanted)
    size = sum(len(each.data or b"") for each in sent)
    if size > LARGEST_BY_VALUE:
        raise UsageError(
            f"{files[0]}: {size / 1e9:.1f} GB are too much to be sent through the scheduler",
            hint="let models travel through a folder that the workers see as well: --shared DIR",
        )
    there = tuple(os.path.abspath(each) for each in folders)  # noqa: PTH100
    return Shipment(str(Path.cwd()), sent, there, "" if store is None else str(store.resolve()))


def _sent(path: str, store: Path | None) -> Sent:
    if store is None:
        return Sent(path, "", Path(path).read_bytes())
    digest, _ = digest_of(Path(path))
    target = store / _STORE / digest
    if not target.exists():
        from mnncompat.graph.atomic_files import copy_atomically

        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {store}: {error.strerror or error}", hint="name another folder") from error
        copy_atomically(Path(path), target)
    return Sent(path, digest, None)


def unpack(given: Shipment, root: Path) -> None:
    """Put files where a worker finds them.

    Raises:
        OSError: There is no space.
        UsageError: The shared folder does not hold a file, or another one under its name.
    """
    for folder in (given.place, *given.folders):
        under(root, folder).mkdir(parents=True, exist_ok=True)
    for each in given.files:
        target = under(root, each.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if each.data is not None:
            target.write_bytes(each.data)
            continue
        source = Path(given.store) / _STORE / each.digest
        try:
            shutil.copyfile(source, target)
        except FileNotFoundError:
            source_is = f"the shared folder {given.store} does not hold what was put there"
            raise UsageError(source_is, hint="--shared has to name a folder that every worker sees") from None
        if digest_of(target)[0] != each.digest:
            raise UsageError(f"{source} holds something else than its name says", hint="remove it, and run again")


def under(root: Path, path: str | Path) -> Path:
    """Where a path of the sender lies on the worker; one that is relative is so to the working directory there."""
    named = Path(path)
    return root / named.relative_to(named.anchor) if named.is_absolute() else named


class Snapshot:
    """What a folder holds, to find out what was written there.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known = self._state()

    def written(self) -> dict[str, bytes]:
        """What is new or has changed since, by the path that it has on the sender's machine."""
        state = self._state()
        new = [path for path, each in state.items() if self._known.get(path) != each]
        self._known = state
        return {f"/{Path(path).relative_to(self._root)}": Path(path).read_bytes() for path in sorted(new)}

    def _state(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = os.path.join(folder, name)  # noqa: PTH118
                status = os.lstat(path)
                found[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
        return found


def require_space(folder: Path, size: int) -> None:
    """Make sure that a folder takes so many bytes: what a full disk makes of a model says nothing about the model.

    Raises:
        OSError: It does not.
    """
    import tempfile

    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            os.truncate(file.fileno(), size)


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk takes no more."""
    while isinstance(error, BaseException):
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        error = error.__cause__  # type: ignore[assignment]
    return False


def relocated(value: Any, root: Path) -> Any:
    """A result as it would be if the folder were not there.

    Args:
        value: A result of a command, or anything that one holds.
        root: Of the worker's files.
    """
    if isinstance(value, str) and not isinstance(value, Enum):
        return value.replace(f"{root}/", "/")
    if isinstance(value, PurePath):
        return Path(str(value).replace(f"{root}/", "/"))
    if isinstance(value, Exception):
        return _error_without(value, root)
    if is_dataclass(value) and not isinstance(value, type):
        items = {each.name: relocated(getattr(value, each.name), root) for each in fields(value) if each.init}
        return replace(value, **items)
    return _relocated_items(value, root)


def _relocated_items(value: Any, root: Path) -> Any:
    """A collection of results, or what is none and holds no paths."""
    match value:
        case Mapping():
            return {key: relocated(each, root) for key, each in value.items()}
        case list() | set() | frozenset():
            return type(value)(relocated(each, root) for each in value)
        case tuple():
            items = [relocated(each, root) for each in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value


def _error_without(error: Exception, root: Path) -> Exception:
    for name in ("message", "hint"):
        if isinstance(getattr(error, name, None), str):
            setattr(error, name, relocated(getattr(error, name), root))
    error.args = relocated(error.args, root)
    return error
