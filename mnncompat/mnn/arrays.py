"""Arrays in a file, to pass them between parent and child.

One line of JSON, `[[dtype, shape], ...]`, and the bytes of all arrays after it. numpy's own formats parse their headers
with `ast`, which sometimes fails when several threads do it (python/cpython#106905), and their imports take a forked
child longer than the arrays themselves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def write_arrays(path: Path, arrays: Sequence[np.ndarray]) -> None:
    """Write arrays of numpy's own numbers, in this machine's byte order.

    Args:
        path: The file; it is replaced.
        arrays: Any shapes; bool, integers or floats.
    """
    import numpy as np

    held = [np.asarray(array, order="C") for array in arrays]
    with path.open("wb") as file:
        file.write(json.dumps([[array.dtype.name, list(array.shape)] for array in held]).encode() + b"\n")
        for array in held:
            file.write(array.data if array.size else b"")


def read_arrays(path: Path) -> list[np.ndarray]:
    """Read what `write_arrays` wrote.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is truncated.
    """
    import numpy as np

    with path.open("rb") as file:
        described = json.loads(file.readline())
        found = []
        for dtype, shape in described:
            array = np.empty(shape, dtype)
            if array.size and file.readinto(array.data.cast("B")) != array.nbytes:
                raise ValueError(f"{path.name} is truncated")
            found.append(array)
    return found
