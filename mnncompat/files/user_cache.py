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
