"""Where the elements of windows lie in the data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.support.window_geometry import Windows


def window_table(found: Sequence[NDArray[np.int64]], sizes: Sequence[int], *, by_rows: bool) -> NDArray[np.int64]:
    """Position in the channel of every element of every window, window by window: flat."""
    count = len(sizes)
    order = range(count) if by_rows else range(count)[::-1]
    weights = dict(
        zip(order, [int(np.prod([sizes[later] for later in list(order)[k + 1 :]])) for k in range(count)], strict=True)
    )
    table = reduce(np.add.outer, [positions * weights[axis] for axis, positions in enumerate(found)])
    return table.transpose([*range(0, 2 * count, 2), *range(1, 2 * count, 2)]).reshape(-1)


def inside(windows: Windows) -> NDArray[np.int64]:
    """Position in the data of every element of every window: padding is replaced by the nearest one of its window.

    Raises:
        NotApplicable: A window holds no element of the data.
    """
    found = windows.positions() - windows.begin
    valid = (found >= 0) & (found < (windows.size or 0))
    if not valid.any(axis=1).all():
        raise NotApplicable(f"a window of {windows.kernel} elements holds nothing but padding")
    first = np.take_along_axis(found, valid.argmax(axis=1)[:, None], axis=1)
    last = np.take_along_axis(found, found.shape[1] - 1 - valid[:, ::-1].argmax(axis=1)[:, None], axis=1)
    return np.clip(found, first, last)
