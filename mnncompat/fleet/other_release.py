"""Another release of MNN, in a folder of its own in the user's cache, and mnncompat run with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mnncompat.devices.pip import run_pip
from mnncompat.errors import OutputError
from mnncompat.files.user_cache import cache_folder
from mnncompat.support.releases import installed_version

_SECONDS = 900
"""Of an installation."""
_COMPLETE = "complete"


def release_folder(release: str) -> Path | None:
    """The folder that holds a release, installed there if it is not yet; None for the one that is installed anyway.

    Args:
        release: Of MNN, such as ``3.5.0``.

    Raises:
        RunnerError: pip is missing, or does not install it.
        OutputError: There is no place for it.
    """
    if release == installed_version():
        return None
    cache = cache_folder()
    if cache is None:
        raise OutputError(f"there is no place for MNN {release}: no home folder", hint="set XDG_CACHE_HOME to a folder")
    folder = cache / "releases" / f"{release}-python{sys.version_info.major}.{sys.version_info.minor}"
    if (folder / _COMPLETE).exists():
        return folder
    try:
        with made_once(folder) as missing:
            if missing:
                _make(release, folder)
    except OSError as error:
        raise OutputError(
            f"MNN {release} cannot be put into {folder}: {error.strerror or error}", hint="check the space there"
        ) from error
    return folder


@contextlib.contextmanager
def made_once(folder: Path) -> Iterator[bool]:
    """Hold a lock while a folder is made that several processes want; True if it is this one that has to make it.

    Args:
        folder: It is complete when it holds a file of that name.

    Raises:
        OSError: The lock cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not (folder / _COMPLETE).exists()


def _make(release: str, folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        _install(release, part)
        (part / _COMPLETE).touch()
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def environment_with(folder: Path | None) -> dict[str, str]:
    """The environment of a process of this Python that imports the MNN of a folder.

    Args:
        folder: Of `release_folder`; None for the MNN that is installed.
    """
    package = Path(__file__).resolve().parents[2]
    before = [str(each) for each in (folder, package) if each is not None]
    path = os.pathsep.join([*before, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def _install(release: str, place: Path) -> None:
    run_pip(
        ["install", "--no-compile", "--target", str(place), f"MNN=={release}"],
        seconds=_SECONDS,
        failed=f"pip cannot install MNN {release} for this Python",
        hint="`pip index versions MNN` lists the releases",
    )


def run_with(folder: Path | None, words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run mnncompat with the MNN of a folder; what it prints is in the result.

    Args:
        folder: Of `release_folder`; None for the MNN that is installed.
        words: The command line.
    """
    # -P: nothing is imported from the working directory, which is somebody's repository.
    return subprocess.run(  # noqa: S603 - this program
        [sys.executable, "-P", "-m", "mnncompat", *words],
        env=environment_with(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
