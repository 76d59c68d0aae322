"""The folder in which results are kept from run to run."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """``mnncompat`` in ``XDG_CACHE_HOME`` or in ``~/.cache``; None where there is no home."""
    stated = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(stated) if stated else Path.home() / ".cache") / "mnncompat"
    except RuntimeError:
        return None


_SHARED: list[Path] = []


def share_measurements(folder: Path | None) -> None:
    """Keep measurements of nodes in a folder that several machines see from now on; None for the user's cache."""
    _SHARED[:] = [] if folder is None else [folder]


def measurements_folder() -> Path | None:
    """Where measurements of nodes are kept; None where there is no place."""
    return _SHARED[0] if _SHARED else cache_folder()
