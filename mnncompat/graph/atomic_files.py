"""Write files so that they are complete or absent, and never overwrite the input by accident."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from mnncompat.errors import OutputError, UsageError

_OUTPUTS: list[Path] = []


def forget_outputs() -> None:
    """Forget the outputs that `outputs_written` returns."""
    _OUTPUTS.clear()


def outputs_written() -> tuple[Path, ...]:
    """The outputs that this process has written and that still exist, for the message of an interruption."""
    return tuple(path for path in _OUTPUTS if path.exists())


def write_atomically(path: Path, data: bytes, *, cache: bool = False) -> None:
    """Write `data` to a temporary file beside `path`, then rename it.

    Args:
        path: The file to write.
        data: Its new contents.
        cache: The file is no output, and `outputs_written` does not return it.

    Raises:
        OutputError: The folder does not exist or cannot be written, or `path` is a directory.
    """
    require_writable(path)
    with _replacing(path, outputs=not cache) as (temporary,):
        temporary.write_bytes(data)


def publish(source: Path, target: Path) -> None:
    """Copy a finished `.mnn` file, with a weights file if there is one; `target` is complete, or unchanged on failure.

    Raises:
        OutputError: `target` cannot be written.
    """
    import shutil  # slow to import, like tempfile: the command line imports this module for every command

    require_writable(target)
    sources, targets = [source], [target]
    weights = source.with_name(f"{source.name}.weight")
    if weights.exists():
        sources.append(weights)
        targets.append(target.with_name(f"{target.name}.weight"))
    with _replacing(*targets, outputs=True) as temporaries:
        for each, temporary in zip(sources, temporaries, strict=True):
            shutil.copyfile(each, temporary)


@contextlib.contextmanager
def _replacing(*targets: Path, outputs: bool) -> Iterator[list[Path]]:
    """Temporary files beside `targets` that replace them if no error occurs, and are deleted in any case."""
    import tempfile

    temporaries: list[Path] = []
    target = targets[0]
    try:
        for target in targets:
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
            os.close(handle)
            temporaries.append(Path(name))
        yield temporaries
        with _signals_wait():
            for temporary, target in zip(temporaries, targets, strict=True):
                temporary.chmod(_mode_for(target))
                temporary.replace(target)
                if outputs:
                    _OUTPUTS.append(target)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write {target}: {reason}", hint="check space and permissions") from error
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Delay signals that would end the process: two files are both renamed or neither, and are recorded as written.

    A signal mask is not enough: in a process with several threads another one may receive the signal, and Python
    handles it in this one.
    """
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in the main thread only
        yield
        return
    came: list[int] = []
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {each: signal.signal(each, lambda number, _frame: came.append(number)) for each in ending}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler or signal.SIG_DFL)
        for number in came[:1]:
            signal.raise_signal(number)


def require_writable(path: Path) -> None:
    """Fail early if `path` cannot be written.

    Raises:
        OutputError: The folder does not exist or cannot be written, or `path` is a directory.
    """
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a directory", hint="give the path of a file")
    require_folder_around(path)
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise OutputError(f"cannot write {path}: permission denied", hint="choose another place with -o")


def require_folder_around(path: Path) -> None:
    """Fail early if the folder that a file or folder is to be written in does not exist.

    Raises:
        OutputError: It does not.
    """
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(
            f"cannot write {path}: the folder {folder} does not exist", hint=f"create it: mkdir -p {folder}"
        )


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
    return 0o666 & ~umask()


def umask() -> int:
    """Permissions that this process takes from what it creates."""
    found = os.umask(0)
    os.umask(found)
    return found
