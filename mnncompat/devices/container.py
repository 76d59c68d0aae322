"""A container engine as the emulation, where a system has no APT: arm64 is then the engine's to run.

On an arm64 machine (a Mac) the engine runs it on the processor itself; elsewhere through the emulator that is
registered with the kernel, which `QEMU_CPU` tells the processor to emulate.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from mnncompat.devices.names import CPUS, Profile
from mnncompat.devices.places import CONTAINER, Emulation
from mnncompat.errors import RunnerError

ENGINES = ("docker", "podman")
IMAGE = "python:3.12-slim"
_SECONDS = 600


def engine() -> str | None:
    """The program of a container engine that works; None if there is none."""
    for name in ENGINES:
        path = shutil.which(name)
        if path is not None and _ran([path, "info"]).returncode == 0:
            return path
    return None


def made(folder: Path, program: str, say: Callable[[str], None]) -> Emulation:
    """Fetch the image, and see that it runs.

    Raises:
        RunnerError: The engine cannot.
    """
    say(f"{IMAGE} for arm64, by {Path(program).name}")
    code = "import platform;print(platform.machine(),platform.python_version())"
    found = _ran([program, "run", "--rm", "--platform", "linux/arm64", IMAGE, "python3", "-c", code])
    words = found.stdout.decode(errors="replace").split()
    if found.returncode or words[:1] != ["aarch64"]:
        lines = found.stderr.decode(errors="replace").strip().splitlines()
        raise RunnerError(
            f"{Path(program).name} does not run arm64: {lines[-1][:300] if lines else 'no reason given'}",
            hint="register an emulator with it (binfmt), or name a machine with `--device ssh:HOST`",
        )
    version = _ran([program, "--version"]).stdout.decode(errors="replace").strip()
    python = ".".join(words[1].split(".")[:2])
    return Emulation(folder=folder, way=CONTAINER, python=python, emulator=program, version=version, image=IMAGE)


def command(found: Emulation, release: str, profile: Profile) -> list[str]:
    """Starts Python in a new container, without a network, and sees the wheels only."""
    site = found.site(release)
    return [
        *(found.emulator, "run", "--rm", "--interactive", "--platform", "linux/arm64", "--network", "none"),
        *("--volume", f"{site}:/site:ro", "--env", "PYTHONPATH=/site", "--env", "PYTHONDONTWRITEBYTECODE=1"),
        *("--env", f"QEMU_CPU={CPUS[profile]}", found.image, "python3"),
    ]


def _ran(words: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - the system's container engine
            words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 1, b"", str(error).encode())
