"""Arithmetic on indices, shared by the rewrites of operators that gather and scatter. Constants are folded."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mnncompat.graph.protos import Dim
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value


def sizes_of(new: SubgraphBuilder, data: Value, axes: range, indices: Value) -> Value:
    """Sizes of neighbouring axes of `data`, (len(axes),), of the element type of the indices."""
    dims = data.dims[axes.start : axes.stop]
    if all(isinstance(dim, int) for dim in dims):
        return new.constant(np.asarray(dims, indices.element))
    return new.cast(new.slice(new.op("Shape", data), [axes.start], [axes.stop], [0]), indices.dtype)


def counted(new: SubgraphBuilder, indices: Value, sizes: Value) -> Value:
    """Indices from ``-size`` to ``size - 1``, counted from the start."""
    stored, size = indices.constant, sizes.constant
    if stored is not None and (stored >= 0).all():
        return indices
    if stored is not None and size is not None:
        return new.constant(np.where(stored < 0, stored + size, stored).astype(stored.dtype))
    return new.op("Where", new.op("Less", indices, 0), indices + sizes, indices)


def reshaped(new: SubgraphBuilder, indices: Value, shape: Sequence[int]) -> Value:
    """Reshape; a constant is reshaped at once."""
    stored = indices.constant
    return new.reshape(indices, shape) if stored is None else new.constant(stored.reshape(shape))


def linear(new: SubgraphBuilder, tuples: Value, data: Value, first: int) -> Value:
    """Tuples (..., K) that address K axes of `data`, as positions (...) in these axes flattened row by row.

    Raises:
        NotApplicable: One of the axes after the first one has a dynamic size.
    """
    last = first + tuples.dim(-1)
    sizes = [data.dim(axis) for axis in range(first + 1, last)]
    strides = np.append(np.cumprod(sizes[::-1], dtype=np.int64)[::-1], 1).astype(np.int64)
    tuples = counted(new, tuples, sizes_of(new, data, range(first, last), tuples))
    if tuples.constant is not None:
        return new.constant(tuples.constant @ strides)
    if len(strides) == 1:
        return new.squeeze(tuples, [-1])
    return new.reduce("ReduceSum", tuples * strides, [-1], keepdims=False)


def merged(new: SubgraphBuilder, value: Value, first: int, last: int) -> Value:
    """`value` with the axes from `first` to `last` (not included), whose sizes are static, as one."""
    dims = value.dims
    size = prod(value.dim(axis) for axis in range(first, last))
    sizes = [dim if isinstance(dim, int) else 0 for dim in dims[:first]] + [size]
    sizes += [dim if isinstance(dim, int) else -1 for dim in dims[last:]]
    if sizes.count(-1) <= 1:
        return new.reshape(value, sizes)
    shape = new.op("Shape", value)
    parts = [new.slice(shape, [0], [first], [0]), new.constant([size]), new.slice(shape, [last], [len(dims)], [0])]
    return new.op("Reshape", value, new.concat(parts if first else parts[1:], axis=0))


def static(dims: Sequence[Dim]) -> tuple[int, ...] | None:
    """Sizes, or None if one of them is dynamic."""
    sizes = tuple(dim for dim in dims if isinstance(dim, int))
    return sizes if len(sizes) == len(dims) else None
