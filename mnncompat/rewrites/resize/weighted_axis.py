"""Apply the weights of a resize along one axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
from mnncompat.rewrites.resize.resampling import Numbers, Resized

_DENSE_PER_TAP = 64
"""Up to this number of elements for each that has a weight, a matrix is cheaper."""


def weighted(new: SubgraphBuilder, value: Value, axis: Resized, shares: Numbers) -> Value:
    """The value with each element along an axis replaced by a weighted sum of all.

    Args:
        new: Where to emit nodes.
        value: The value to resize.
        axis: The axis.
        shares: The weights: (elements after, elements before).
    """
    if isinstance(shares, np.ndarray):
        taps = int((shares != 0).sum(axis=1).max())
        if axis.size > _DENSE_PER_TAP * taps:
            return _by_taps(new, value, axis, shares, taps)
        shares = new.constant(shares.astype(value.element))
    else:
        shares = new.cast(shares, value.dtype)
    rank = value.rank
    if axis.axis == rank - 1 and rank > 1:
        turned = shares.constant
        return value @ (
            new.transpose(shares, [1, 0]) if turned is None else new.constant(np.ascontiguousarray(turned.T))
        )
    if axis.axis == rank - 2:
        return shares @ value
    tail = [value.dim(each) for each in range(axis.axis + 1, rank)]
    head = [0] * axis.axis
    flat = new.reshape(value, [*head, axis.size, int(np.prod(tail))])
    return new.reshape(shares @ flat, [*head, axis.result, *tail])


def _by_taps(new: SubgraphBuilder, value: Value, axis: Resized, shares: NDArray[np.float32], taps: int) -> Value:
    """Sum of gathered elements, each with its share."""
    index = np.argsort(shares == 0, axis=1, kind="stable")[:, :taps]
    share = np.take_along_axis(shares, index, axis=1).astype(value.element)
    tail = [1] * (value.rank - 1 - axis.axis)
    parts = [
        new.op("Gather", value, new.constant(index[:, tap].astype(np.int64)), axis=axis.axis)
        * new.constant(share[:, tap].reshape(-1, *tail))
        for tap in range(taps)
    ]
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


def extrapolated(new: SubgraphBuilder, result: Value, axis: Resized, kept: Numbers, number: float) -> Value:
    """Put a number where the position is outside of the data."""
    shape = [-1, *[1] * (result.rank - 1 - axis.axis)]
    if isinstance(kept, Value):
        mask = new.cast(new.reshape(kept, shape), result.dtype)
    else:
        mask = new.constant(kept.reshape(shape).astype(result.element))
    inside = result * mask
    return inside + (1 - mask) * number if number else inside
