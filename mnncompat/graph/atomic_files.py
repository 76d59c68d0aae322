"""Write files so that they are complete or absent, and never overwrite the input by accident."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.errors import OutputError, UsageError
from mnncompat.files.destination import destination
from mnncompat.files.inputs import is_input
from mnncompat.files.scratch import ScratchFile, remove_stale
from mnncompat.files.signals import signals_wait
from mnncompat.graph.file_copies import copy_file, write_pieces

if TYPE_CHECKING:
    from mnncompat.graph.payloads import Payload

_OUTPUTS: list[Path] = []
_BY_WORKERS: list[bool] = []


def forget_outputs() -> None:
    """Forget the outputs that `outputs_written` returns, and that workers wrote some."""
    _OUTPUTS.clear()
    _BY_WORKERS.clear()


def workers_write() -> None:
    """Note that from now on other processes write outputs, which `outputs_written` of this one does not know."""
    _BY_WORKERS.append(True)


def written_by_workers() -> bool:
    """Whether other processes wrote outputs since `forget_outputs`."""
    return bool(_BY_WORKERS)


def outputs_written() -> tuple[Path, ...]:
    """The outputs that this process has written and that still exist, for the message of an interruption."""
    return tuple(path for path in _OUTPUTS if path.exists())


def write_atomically(path: Path, data: bytes | Iterable[bytes | Payload], *, cache: bool = False) -> None:
    """Write `data` to a temporary file, then rename it to `path`, or to the file that `path` is a link to.

    Args:
        path: The file to write.
        data: Its new contents, in one piece or in several; those of held tensors go from file to file.
        cache: The file is no output, and `outputs_written` does not return it.

    Raises:
        OutputError: The folder does not exist or cannot be written, or `path` is a directory, a device, ...
    """
    require_writable(path)
    with _replacing(path, outputs=not cache) as (temporary,):
        if isinstance(data, bytes):
            temporary.write_bytes(data)
        else:
            write_pieces(temporary, data)


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file as `write_atomically` writes one.

    Raises:
        OutputError: As for `write_atomically`.
    """
    require_writable(target)
    with _replacing(target, outputs=True) as (temporary,):
        copy_file(source, temporary)


def weights_of(file: Path) -> Path:
    """Where MNN looks for the weights of an `.mnn` file that does not hold them itself."""
    return file.with_name(f"{file.name}.weight")


def publish(source: Path, target: Path) -> None:
    """Copy a finished `.mnn` file, with a weights file if there is one; `target` is complete, or unchanged on failure.

    Raises:
        OutputError: `target` cannot be written.
    """
    sources, targets = [source], [target]
    if weights_of(source).exists():
        sources.append(weights_of(source))
        targets.append(weights_of(target))
    for each in targets:
        require_writable(each)
    with _replacing(*targets, outputs=True) as temporaries:
        for each, temporary in zip(sources, temporaries, strict=True):
            copy_file(each, temporary)


@contextlib.contextmanager
def _replacing(*targets: Path, outputs: bool) -> Iterator[list[Path]]:
    """Temporary files that replace `targets`, or what they link to, if no error occurs, and are deleted in any case."""
    with contextlib.ExitStack() as made:
        target = targets[0]
        places: list[Path] = []
        temporaries: list[Path] = []
        try:
            for target in targets:
                places.append(destination(target))
                remove_stale(places[-1].parent)
                temporaries.append(made.enter_context(ScratchFile(places[-1].parent)).path)
            yield temporaries
            with signals_wait():  # two files are both renamed or neither, and are recorded as written
                for temporary, place, target in zip(temporaries, places, targets, strict=True):
                    _inherit(temporary, place)
                    temporary.replace(place)
                    if outputs:
                        _OUTPUTS.append(target)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot write {target}: {reason}", hint="check space and permissions") from error


def require_writable(path: Path) -> None:
    """Fail early if `path` cannot be written.

    Raises:
        OutputError: It is a directory, a device, a pipe or a socket, or the folder of the file does not exist or cannot
            be written.
        UsageError: The command reads that file.
    """
    place = destination(path)
    if is_input(place):
        raise UsageError(f"cannot write {path}: the command reads that file", hint="name another file")
    what = f"{path}" if place is path else f"{path}, a link to {place}"
    folder = place.parent
    if place is not path and not folder.is_dir():
        raise OutputError(f"cannot write {what}: its folder does not exist", hint=f"create it: mkdir -p {folder}")
    require_folder_around(place)
    if not os.access(folder, os.W_OK) or (place.exists() and not os.access(place, os.W_OK)):
        raise OutputError(f"cannot write {what}: permission denied", hint="choose another place with -o")


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


def _inherit(temporary: Path, place: Path) -> None:
    """Give a new file the mode, and as far as this user may the owner, of the one that it replaces."""
    if not place.exists():
        temporary.chmod(0o666 & ~umask())
        return
    before = place.stat()
    with contextlib.suppress(PermissionError):
        os.chown(temporary, before.st_uid, before.st_gid)
    temporary.chmod(before.st_mode & 0o777)


def umask() -> int:
    """Permissions that this process takes from what it creates."""
    found = os.umask(0)
    os.umask(found)
    return found
