"""What a path is, as far as this user may look: `Path.is_file` raises where a folder on the way may not be searched."""

from __future__ import annotations

import os
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether a regular file is there, links followed, and can be reached."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether a folder is there, links followed, and can be reached."""
    return os.path.isdir(path)  # noqa: PTH112
