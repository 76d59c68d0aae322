"""Choices that noise explains, and choices that it does not: the largest element of a row of scores."""

from __future__ import annotations

import numpy as np

MARGIN = 6.0
"""How many times the noise the two largest scores are apart where the choice is decided. Noise alone, were it normal,
would turn one such choice in a hundred thousand."""
SHARE = 0.01
"""Share of the decided rows that may be chosen otherwise."""
_IMAGE_RANK, _ROWS = 4, 2


def undecided_flips(expected: np.ndarray, actual: np.ndarray) -> str:
    """Whether rows whose choice is decided are chosen otherwise: a problem in one line, or empty.

    Rows lie along the last axis, along axis 1 for rank 4 and above, as for `Comparison.top1`.

    Args:
        expected: The reference's floats.
        actual: What is compared with it, of the same shape.
    """
    if expected.ndim < _ROWS or not np.isfinite(expected).all() or not np.isfinite(actual).all():
        return ""
    axis = 1 if expected.ndim >= _IMAGE_RANK else expected.ndim - 1
    if expected.shape[axis] < _ROWS or not expected.size:
        return ""
    wanted, found = (np.moveaxis(each.astype(np.float64), axis, -1) for each in (expected, actual))
    top = np.partition(wanted, -2, axis=-1)[..., -2:]
    noise = np.sqrt(np.mean(np.square(found - wanted), axis=-1))
    decided = (top[..., 1] - top[..., 0]) > MARGIN * noise
    flipped = decided & (np.argmax(wanted, axis=-1) != np.argmax(found, axis=-1))
    count, total = int(np.count_nonzero(flipped)), int(np.count_nonzero(decided))
    if count <= SHARE * total:
        return ""
    return f"{count} of {total} rows whose largest element is decided have another one"
