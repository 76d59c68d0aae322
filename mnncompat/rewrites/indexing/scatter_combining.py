"""Ways to combine updates with the data, for scatters with a reduction."""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.indexing.index_arithmetic import reshaped

COMBINING = {"add": "Add", "mul": "Mul", "max": "Max", "min": "Min"}
_REDUCING = {"add": "ReduceSum", "mul": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}
NEUTRAL = {"add": 0, "mul": 1}
_MOST_COMPARED = 1 << 24


def flat_positions(new: SubgraphBuilder, indices: Value, shape: tuple[int, ...], axis: int) -> Value:
    """Positions (U,) in flat data of the indices along an axis."""
    strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1).astype(np.int64)
    others = np.where(np.arange(len(shape)) == axis, 0, strides)
    places = np.tensordot(np.indices(indices.shape), others, (0, 0)).astype(np.int64)
    stored = indices.constant
    if stored is not None:
        return new.constant((stored.astype(np.int64) * strides[axis] + places).reshape(-1))
    return new.reshape(new.cast(indices, TensorProto.INT64) * int(strides[axis]) + places, [-1])


def is_distinct(positions: Value) -> bool:
    """True if the indices are constant, and no two are equal."""
    stored = positions.constant
    return stored is not None and np.unique(stored).size == stored.size


def gathered(new: SubgraphBuilder, op: str, rows: Value, positions: Value, slices: Value) -> Value:
    """Rows (P, S), updates (U, S), at positions (U,) that are distinct."""
    both = new.op(COMBINING[op], new.op("Gather", rows, positions, axis=0), slices)
    return new.op("ScatterND", rows, reshaped(new, positions, [-1, 1]), both)


def compared(new: SubgraphBuilder, op: str, data: Value, indices: Value, updates: Value) -> Value:
    """Data (B, N, S), indices (B, U, S or 1) along the middle axis, updates (B, U, S)."""
    pairs = prod(data.shape) * updates.dim(1)
    if pairs > _MOST_COMPARED:
        raise NotApplicable(f"{updates.dim(1)} updates of a tensor {data.shape} are {pairs} comparisons")
    places = new.constant(np.arange(data.dim(1)).reshape(-1, 1).astype(indices.element))
    here = new.op("Equal", new.unsqueeze(indices, [2]), places)
    neutral = NEUTRAL.get(op)
    other = new.unsqueeze(data, [1]) if neutral is None else new.scalar(neutral, updates)
    spread = new.op("Where", here, new.unsqueeze(updates, [2]), other)
    return new.op(COMBINING[op], data, new.reduce(_REDUCING[op], spread, [1], keepdims=False))
