"""Arrays from a file that somebody else may have written: whatever is in it, an array or one error."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

_DAMAGED = (
    *(ValueError, EOFError, KeyError, TypeError, OverflowError, RecursionError, SyntaxError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)
"""What numpy and zipfile raise for headers, members, compressions and checksums that are not as they should be."""


class DamagedArraysError(ValueError):
    """A file holds no arrays that can be read; the message says why."""


def arrays_of(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """Read a ``.npy`` or ``.npz``. Pickled objects are refused: loading one runs code.

    Args:
        path: A regular file, or a link to one.

    Returns:
        The array, or those of the archive by name.

    Raises:
        DamagedArraysError: It is neither, or is damaged.
        OSError: It cannot be read.
    """
    if path.exists() and not path.is_file():
        raise DamagedArraysError("it is no regular file")
    try:
        with path.open("rb") as file:  # numpy leaves a damaged archive open
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            return {key: np.asarray(loaded[key]) for key in loaded.files}
    except _DAMAGED as error:
        raise DamagedArraysError(str(error) or type(error).__name__) from error


def archive_of(path: Path) -> dict[str, np.ndarray]:
    """Read a ``.npz``.

    Raises:
        DamagedArraysError: It is none, or is damaged.
        OSError: It cannot be read.
    """
    found = arrays_of(path)
    if isinstance(found, np.ndarray):
        raise DamagedArraysError("it holds one array, not several by name")
    return found
