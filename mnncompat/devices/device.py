"""Open a device: a process there that has imported MNN."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mnncompat.devices import container
from mnncompat.devices.far_worker import HOME, START, FarWorker, Performing
from mnncompat.devices.names import ARM64, CPUS, HOST, DeviceName, Profile
from mnncompat.devices.places import CONTAINER, Emulation, emulation
from mnncompat.errors import RunnerError, UsageError
from mnncompat.mnn import ForkServer, Limits
from mnncompat.mnn.fork_client import filling
from mnncompat.mnn.request import environment, python_command

if TYPE_CHECKING:
    from mnncompat.mnn import ServedEnvironment
    from mnncompat.mnn.request import Performer

_ANEW = "set it up anew: mnncompat device remove arm64, then mnncompat device setup arm64"
_WANTED = "a machine behind ssh needs Python, numpy and MNN; `python` in [tool.mnncompat.devices] names another Python"
_TRANSLATED = 1 << 30
"""Bytes that the emulator itself may take, for what it has translated."""
_SSH_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=30")


class Precision(StrEnum):
    """What MNN computes in: on processors with float16, `low` is float16."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where and how a file is run.

    Attributes:
        device: The device.
        precision: MNN's.
        threads: Of one run.
    """

    device: DeviceName
    precision: Precision = Precision.HIGH
    threads: int = 1

    def __str__(self) -> str:
        threads = f", {self.threads} threads" if self.threads > 1 else ""
        return f"{self.device} {self.precision}{threads}"


class Device:
    """An open device. A context manager; not for several threads.

    Args:
        name: Which one.
        release: Of MNN there; None for that of this machine. Behind ssh it is the one that is installed there.
        fill: Byte that memory is filled with before it is written, as of a `ForkServer`; not behind ssh.
        memory: Bytes that a run may take under the emulator, where a request cannot bound itself.

    Raises:
        UsageError: It is not set up.
        RunnerError: It does not start.
    """

    def __init__(
        self,
        name: DeviceName,
        *,
        release: str | None = None,
        fill: int | None = None,
        memory: int = Limits().memory_bytes,
    ) -> None:
        self.name = name
        self._far: FarWorker | None = None
        self._near: ForkServer | None = None
        if name.kind == HOST:
            self._near = ForkServer(fill=fill)
        else:
            command, given = _command(name, release, memory)
            remedy = _ANEW if name.kind == ARM64 else _WANTED
            self._far = FarWorker(command, name=str(name), environment=given and given | filling(fill), remedy=remedy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its process. Harmless when repeated."""
        if self._far is not None:
            self._far.close()
        if self._near is not None:
            self._near.close()

    def abandon(self) -> None:
        """From another thread: make the request that is being carried out, and all later ones, raise `RunnerError`."""
        if self._far is not None:
            self._far.abandon()
        if self._near is not None:
            self._near.abandon()

    @property
    def environment(self) -> ServedEnvironment:
        """Its MNN, Python and machine.

        Raises:
            RunnerError: It does not start, or MNN cannot be imported there.
        """
        if self._near is not None:
            return self._near.environment
        assert self._far is not None  # noqa: S101 - one of both
        return self._far.environment

    def performer(self, precision: Precision = Precision.HIGH, threads: int = 1) -> Performer:
        """What `mnncompat.mnn.run` and `trace` take as `performer`: files and arrays go there and back.

        Args:
            precision: MNN's.
            threads: Of one run.
        """
        worker = self._near if self._near is not None else self._far
        assert worker is not None  # noqa: S101 - one of both
        return Performing(worker.perform, precision, threads)


def _command(name: DeviceName, release: str | None, memory: int) -> tuple[list[str], dict[str, str] | None]:
    """What starts Python there, and its environment."""
    if name.kind != ARM64:
        program = shutil.which("ssh")
        if program is None:
            raise RunnerError("ssh is not installed", hint="install OpenSSH's client")
        return [program, *_SSH_OPTIONS, "--", name.host, f"{shlex.quote(name.python)} -B -c '{START}'"], None
    found = set_up_for(release)
    version = release or installed_release()
    profile = name.profile or Profile.A76
    if found.way == CONTAINER:
        return [*container.command(found, version, profile), "-B", "-c", START], dict(os.environ)
    return _emulated(found, version, profile, memory)


def set_up_for(release: str | None) -> Emulation:
    """The emulation, with a release of MNN.

    Raises:
        UsageError: It is not set up, or not for this release.
    """
    found, version = emulation(), release or installed_release()
    if found is None:
        raise UsageError("arm64 is not set up", hint=f"mnncompat device setup arm64 --mnn {version}")
    if version not in found.releases:
        known = ", ".join(found.releases) or "no release"
        raise UsageError(
            f"arm64 is set up for {known}, not for MNN {version}", hint=f"mnncompat device setup arm64 --mnn {version}"
        )
    return found


def _emulated(found: Emulation, release: str, profile: Profile, memory: int) -> tuple[list[str], dict[str, str]]:
    guest, given = found.command(release, CPUS[profile])
    confined = {
        "parent": os.getpid(),
        "memory": memory + _TRANSLATED,
        "readable": [str(found.folder), found.emulator],
        "writable": [HOME],
        "command": [*guest, "-B", "-c", START],
    }
    return [*python_command("confined_start"), json.dumps(confined)], environment(Path(HOME)) | given


def installed_release() -> str:
    """The release of MNN on this machine.

    Raises:
        RunnerError: There is none.
    """
    import importlib.metadata

    try:
        return importlib.metadata.version("MNN")
    except importlib.metadata.PackageNotFoundError as error:
        raise RunnerError("MNN is not installed", hint="install it with: pip install MNN") from error
