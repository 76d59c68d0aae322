"""Where the emulation lies: a folder of the user's cache, and what was put into it."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnncompat.errors import OutputError
from mnncompat.files.user_cache import cache_folder

_RECORD = "device.json"
APT, CONTAINER = "packages", "container"
COMPLETE = "complete"
"""A file in the folder of a release whose wheels are all there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulation:
    """What was set up for `arm64`.

    Attributes:
        folder: Holds it all.
        way: `packages`, or `container` for a container engine.
        python: The version of Python there, `3.11`.
        emulator: The emulator's program, or the container engine.
        version: What the emulator calls its version.
        image: Of the container; empty otherwise.
        packages: Name and version of each package.
    """

    folder: Path
    way: str
    python: str
    emulator: str
    version: str
    image: str = ""
    packages: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The folder that the emulated process sees as `/`."""
        return self.folder / "root"

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases of MNN that are there, oldest first."""
        with contextlib.suppress(OSError):
            names = [each.name for each in (self.folder / "site").iterdir() if (each / COMPLETE).is_file()]
            return tuple(sorted(names, key=_order))
        return ()

    def site(self, release: str) -> Path:
        """The folder with the wheels of a release, unpacked."""
        return self.folder / "site" / release

    def command(self, release: str, cpu: str) -> tuple[list[str], dict[str, str]]:
        """What starts the emulated Python, and what it needs in its environment.

        Args:
            release: Of MNN.
            cpu: The processor, as the emulator calls it.
        """
        python = self.root / "usr" / "bin" / f"python{self.python}"
        places = {"PYTHONPATH": str(self.site(release)), "PYTHONHOME": str(self.root / "usr"), "LD_LIBRARY_PATH": ""}
        return [self.emulator, "-cpu", cpu, "-L", str(self.root), str(python), "-X", "utf8"], places


def emulation_folder() -> Path:
    """Where the emulation is, or would be: `MNNCOMPAT_CACHE`, or the user's cache.

    Raises:
        OutputError: There is no home.
    """
    stated = os.environ.get("MNNCOMPAT_CACHE")
    place = Path(stated).absolute() if stated else cache_folder()
    if place is None:
        raise OutputError("there is no home to keep the emulation in", hint="set MNNCOMPAT_CACHE to a folder")
    return place / "devices" / "arm64"


def emulation() -> Emulation | None:
    """What is set up; None if nothing, or not to its end."""
    folder = emulation_folder()
    try:
        told: dict[str, Any] = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        return Emulation(folder=folder, **{**told, "packages": tuple(told["packages"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def record(found: Emulation) -> None:
    """Note that it is complete."""
    told = {name: getattr(found, name) for name in ("way", "python", "emulator", "version", "image", "packages")}
    (found.folder / _RECORD).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def forget(folder: Path) -> None:
    """What is in the folder is not complete any more."""
    (folder / _RECORD).unlink(missing_ok=True)


def _order(release: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in release.split("."))
