"""Set up, and remove, the emulation of arm64. Nothing of the system is changed, and nothing is done unasked."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from mnncompat.devices import apt, container, wheels
from mnncompat.devices.names import CPUS, Profile
from mnncompat.devices.places import APT, Emulation, emulation, emulation_folder, forget, record
from mnncompat.errors import OutputError, RunnerError, UsageError

PYTHON_PACKAGES = ("python3", "libstdc++6", "libgomp1")
"""What the worker needs of Debian or Ubuntu, with all that these depend on."""
_EMULATOR_PACKAGES = ("qemu-user-static", "qemu-user")
_EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")
_ELSEWHERE = (
    "on Debian and Ubuntu apt-get and dpkg do it without root; elsewhere install docker or podman, or name a machine "
    "with `--device ssh:HOST`"
)

_IMPORTS = (
    "import json, importlib.metadata, platform, selectors, subprocess, tempfile, threading, numpy; from MNN import nn"
)
_COMPILE_SECONDS = 120
_SPACE = 500 << 20
"""Bytes for lists, packages and what is unpacked of them; APT hangs on a full disk."""
_RELEASE = re.compile(r"\d+(\.\w+)*")

Progress = Callable[[str], None]


def set_up(release: str, *, mirror: str | None = None, say: Progress) -> Emulation:
    """Set up the emulation, or add a release of MNN to it. What is there already is left as it is.

    Args:
        release: Of MNN.
        mirror: Address of a Debian or Ubuntu mirror with arm64 packages; None for the system's.
        say: Told each step.

    Raises:
        UsageError: No release is called that.
        RunnerError: A step fails, or this system has no way to do it.
        OutputError: The folder cannot be written.
    """
    if not _RELEASE.fullmatch(release):
        raise UsageError(f"{release!r} is no release of MNN", hint="they are called as in 3.6.1")
    folder = emulation_folder()
    try:
        with _locked(folder, say):
            found = emulation() or _made(folder, mirror, say)
            if release not in found.releases:
                say(f"wheels of MNN {release} and numpy for Python {found.python} on arm64")
                wheels.fetch(release, found.python, found.site(release), glibc=_glibc(found))
            return found
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error.strerror or error}", hint="set MNNCOMPAT_CACHE to another folder"
        ) from error


def remove(release: str | None = None, *, say: Progress) -> str:
    """Remove the emulation, or a release of MNN from it.

    Args:
        release: Of MNN; None for all.
        say: Told each step.

    Returns:
        What was removed, in words.

    Raises:
        UsageError: It is not there.
        OutputError: It cannot be removed.
    """
    folder = emulation_folder()
    if not folder.is_dir():
        raise UsageError("arm64 is not set up", hint="`mnncompat device setup arm64` does it")
    try:
        with _locked(folder, say):
            return _removed(folder, release)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be removed: {error.strerror or error}", hint="is it somebody else's? remove it by hand"
        ) from error


def _removed(folder: Path, release: str | None) -> str:
    if release is None:
        forget(folder)  # first, so that one which is interrupted leaves nothing that counts as set up
        shutil.rmtree(folder)
        return str(folder)
    found = emulation()
    if found is None or release not in found.releases:
        known = ", ".join(found.releases) if found else "nothing"
        raise UsageError(f"MNN {release} is not set up for arm64", hint=f"there is: {known}")
    wheels.forget(found.site(release))
    shutil.rmtree(found.site(release))
    return str(found.site(release))


def compile_there(found: Emulation, release: str) -> None:
    """Let Python keep there what it compiles of the modules that the worker imports: starting is then twice as fast.

    Args:
        found: The emulation.
        release: Of MNN.
    """
    if found.way != APT:
        return
    command, given = found.command(release, CPUS[Profile.A76])
    with contextlib.suppress(subprocess.TimeoutExpired):  # it starts as well without
        subprocess.run(  # noqa: S603 - the Python that was unpacked
            [*command, "-c", _IMPORTS],
            env=given | {"OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_COMPILE_SECONDS,
        )


@contextlib.contextmanager
def _locked(folder: Path, say: Progress) -> Iterator[None]:
    """One set-up or removal at a time; a second one waits, and takes the folder anew where a removal took it away."""
    lock = -1
    try:
        while lock < 0 or not _is_at(lock, folder):
            if lock >= 0:
                os.close(lock)
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another process is working in {folder}: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        if lock >= 0:
            os.close(lock)


def _is_at(lock: int, folder: Path) -> bool:
    """Whether an open folder is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(lock), folder.stat())
    except FileNotFoundError:
        return False


def _made(folder: Path, mirror: str | None, say: Progress) -> Emulation:
    if apt.is_there():
        return _by_packages(folder, mirror, say)
    engine = container.engine()
    if engine is None:
        raise RunnerError("this system has neither apt-get nor a container engine", hint=_ELSEWHERE)
    found = container.made(folder, engine, say)
    record(found)
    return found


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _SPACE:
        raise OutputError(
            f"setting up arm64 takes {_SPACE >> 20} MB, and {folder} has {free >> 20} MB left",
            hint="set MNNCOMPAT_CACHE to a folder with more room",
        )


def _by_packages(folder: Path, mirror: str | None, say: Progress) -> Emulation:
    _require_space(folder)
    shutil.rmtree(folder / "root", ignore_errors=True)
    shutil.rmtree(folder / "apt", ignore_errors=True)
    private = apt.PrivateApt(folder / "apt", mirror=mirror)
    say("lists of packages for arm64")
    private.update()
    emulator, version = _emulator(folder, private, say)
    chosen = private.closure(PYTHON_PACKAGES)
    say(f"{len(chosen)} packages of Python for arm64")
    root = folder / "root"
    root.mkdir()
    for package in private.download(chosen, folder / "apt" / "debs"):
        apt.unpack(package, root)
    _merge(root)
    python = _python(root)
    shutil.rmtree(folder / "apt")
    found = Emulation(
        folder=folder,
        way=APT,
        python=python,
        emulator=str(emulator),
        version=version,
        packages=tuple(sorted(each.replace(":arm64=", " ") for each in chosen)),
    )
    record(found)
    return found


def _emulator(folder: Path, private: apt.PrivateApt, say: Progress) -> tuple[Path, str]:
    """The emulator's program and version: the system's if it has one, else that of its package."""
    for name in _EMULATORS:
        found = shutil.which(name)
        if found is not None and (version := _version(Path(found))):
            return Path(found), version
    for package in _EMULATOR_PACKAGES:
        if not private.has(f"{package}:{private.architecture}"):
            continue
        say(f"{package}, the emulator")
        place = folder / "apt" / package
        for deb in private.download([f"{package}:{private.architecture}"], folder / "apt" / f"{package}.deb"):
            apt.unpack(deb, place)
        for name in _EMULATORS:
            path = place / "usr" / "bin" / name
            if path.is_file() and not path.is_symlink() and (version := _version(path)):
                shutil.move(path, folder / "emulator")
                return folder / "emulator", version
    raise RunnerError(
        f"no emulator for arm64: APT has none of {', '.join(_EMULATOR_PACKAGES)} that runs here",
        hint="install qemu-user-static (Ubuntu: it is in `universe`), then run this again",
    )


def _version(program: Path) -> str:
    """What an emulator calls its version; empty if it does not run."""
    try:
        found = subprocess.run([program, "--version"], capture_output=True, check=False, timeout=30)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = found.stdout.decode(errors="replace").split("\n")[0].split("version ")
    return words[1].split()[0] if found.returncode == 0 and len(words) > 1 else ""


def _merge(root: Path) -> None:
    """The links of a system with one `/usr`, where packages have left them to the installer."""
    for name in ("lib", "bin", "sbin"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")


def _python(root: Path) -> str:
    """The version of the Python that was unpacked."""
    link = root / "usr" / "bin" / "python3"
    name = link.readlink().name if link.is_symlink() else ""
    if not name.startswith("python3.") or not (link.parent / name).is_file():
        raise RunnerError("the packages for arm64 have no Python", hint="report this with your system's release")
    return name.removeprefix("python")


def _glibc(found: Emulation) -> int:
    """The minor version of the C library there; 0 if unknown."""
    version = next((each.split()[1] for each in found.packages if each.startswith("libc6 ")), "")
    minor = version.partition("2.")[2].partition("-")[0]
    return int(minor) if minor.isdigit() else 0
