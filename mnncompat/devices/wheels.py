"""Wheels of MNN and numpy for arm64, downloaded by pip and unpacked into a folder of their own."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from mnncompat.devices.pip import run_pip
from mnncompat.devices.places import COMPLETE

_GLIBC = (39, 36, 35, 34, 31, 28, 27, 24, 17)
_PLATFORMS = (*(f"manylinux_2_{minor}_aarch64" for minor in _GLIBC), "manylinux2014_aarch64")
_SECONDS = 900


def fetch(release: str, python: str, place: Path, *, glibc: int = 0) -> None:
    """Download and unpack MNN and numpy.

    Args:
        release: Of MNN, `3.6.1`.
        python: The version of Python that they are for, `3.11`.
        place: Where; replaced when all is there.
        glibc: Minor version of the C library there; 0 if unknown: then wheels of any are taken.

    Raises:
        RunnerError: pip is missing, or there are no such wheels.
    """
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "wheels").mkdir(parents=True)
    try:
        _download(release, python, part / "wheels", glibc)
        for wheel in sorted((part / "wheels").glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(part)
        shutil.rmtree(part / "wheels")
        (part / COMPLETE).touch()
        shutil.rmtree(place, ignore_errors=True)
        part.replace(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def forget(place: Path) -> None:
    """The wheels that were unpacked in a folder are not complete any more."""
    (place / COMPLETE).unlink(missing_ok=True)


def _download(release: str, python: str, place: Path, glibc: int) -> None:
    platforms = [each for each in _PLATFORMS if not glibc or _glibc_of(each) <= glibc]
    options = [word for each in platforms for word in ("--platform", each)]
    options += ["--python-version", python, "--implementation", "cp", "--dest", str(place), f"MNN=={release}", "numpy"]
    run_pip(
        ["download", *options],
        seconds=_SECONDS,
        failed=f"pip finds no wheels of MNN {release} and numpy for arm64 and Python {python}",
        hint="`pip index versions MNN` lists the releases; those since 3.0.0 have wheels for arm64",
    )


def _glibc_of(platform: str) -> int:
    return 17 if platform.startswith("manylinux2014") else int(platform.split("_")[2])
