"""Write files so that they are whole or absent, and the input is never overwritten by accident."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mnncompat.errors import OutputError, UsageError


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `path`, then rename it.

    Raises:
        OutputError: The folder does not exist or cannot be written, or `path` is a directory.
    """
    require_writable(path)
    with _replacing(path) as temporary:
        temporary.write_bytes(data)


def publish(source: Path, target: Path) -> None:
    """Copy a finished `.mnn` file, and the weights beside it if there are any, so that `target` is whole or untouched.

    Raises:
        OutputError: `target` cannot be written.
    """
    require_writable(target)
    weights = source.with_name(f"{source.name}.weight")
    if weights.exists():
        _copy_atomically(weights, target.with_name(f"{target.name}.weight"))
    _copy_atomically(source, target)


def _copy_atomically(source: Path, target: Path) -> None:
    with _replacing(target) as temporary:
        shutil.copyfile(source, temporary)


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside `target` that takes its place if nothing goes wrong, and is gone in any case."""
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(_mode_for(target))
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write {target}: {reason}", hint="check space and permissions") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Fail early if `path` cannot be written.

    Raises:
        OutputError: The folder does not exist or cannot be written, or `path` is a directory.
    """
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a directory", hint="give the path of a file")
    if not folder.is_dir():
        raise OutputError(
            f"cannot write {path}: the folder {folder} does not exist", hint=f"create it: mkdir -p {folder}"
        )
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise OutputError(f"cannot write {path}: permission denied", hint="choose another place with -o")


def require_different(source: Path, out: Path) -> None:
    """Refuse to overwrite the input.

    Raises:
        UsageError: Both are the same file.
    """
    if out.exists() and source.exists() and source.samefile(out):
        raise UsageError(
            f"{out} is the input itself", hint="name another file with -o; `fix` can do it with --in-place"
        )


def _mode_for(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
