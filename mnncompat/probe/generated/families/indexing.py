"""Operators that read by index: Gather, GatherElements, GatherND, Compress, OneHot, NonZero, TopK, Unique."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import ANYTHING, Sample

_NEGATIVE_INDICES = 11


def draw_indices(sample: Sample, shape: tuple[int, ...], size: int, *, negative: float = 0.0) -> np.ndarray:
    """Indices in range, int64 mostly; all non-negative, or with this probability of both signs, the first negative."""
    signed = sample.opset >= _NEGATIVE_INDICES and sample.chance(negative)
    indices = sample.uniform(shape, -size if signed else 0, size - 1, "int64" if sample.chance(0.85) else "int32")
    if signed:
        indices.flat[0] = -sample.integer(1, size)
    return indices


def index_operand(sample: Sample, shape: tuple[int, ...], size: int, *, constant: float) -> str:
    """Add indices: a constant with this probability, of both signs at times; else fed, and not negative."""
    if sample.chance(constant):
        return sample.constant(draw_indices(sample, shape, size, negative=0.15), "indices")
    return sample.input(draw_indices(sample, shape, size), "indices")


@generator("Gather", weight=90, precision=Precision.EXACT)
def gather(sample: Sample) -> None:
    """Embeddings (constant table, runtime ids), picks by a constant scalar, and everything between."""
    dtype = sample.dtype(ANYTHING)
    if sample.chance(0.3):
        rows = sample.dim(4, 16)
        table = sample.constant(sample.normal((rows, sample.channels()), dtype), "table")
        ids = sample.input(draw_indices(sample, sample.shape(1, 3), rows), "ids")
        sample.emit(table, ids, **sample.attributes(axis=(0,)))
        return
    shape = sample.shape()
    axis = sample.axis(len(shape), negative=0.3 if sample.opset >= _NEGATIVE_INDICES else 0.0)
    chosen = sample.weighted({(): 4.0, (1,): 2.0, (sample.dim(2, 5),): 3.0, (2, sample.dim(1, 4)): 1.0})
    indices = index_operand(sample, chosen, shape[axis], constant=0.7)
    written = {} if axis == 0 and sample.chance(0.5) else {"axis": axis}
    sample.emit(sample.input(sample.normal(shape, dtype), "data"), indices, **written)


@generator("GatherElements", weight=60, precision=Precision.EXACT)
def gather_elements(sample: Sample) -> None:
    """`torch.gather`: indices of the data's rank, fed mostly, no larger than the data off the axis."""
    shape = sample.shape(1, 4)
    axis = sample.axis(len(shape))
    chosen = [size if sample.chance(0.75) else sample.integer(1, size) for size in shape]
    chosen[axis] = sample.integer(1, shape[axis] + 1)
    x = sample.input(sample.normal(shape, sample.dtype(ANYTHING)), "data")
    written = {} if axis == 0 and sample.chance(0.5) else {"axis": axis}
    sample.emit(x, index_operand(sample, tuple(chosen), shape[axis], constant=0.35), **written)


@generator("GatherND", weight=60, precision=Precision.EXACT)
def gather_nd(sample: Sample) -> None:
    """Tuples that address elements or slices; `batch_dims` 0 or 1."""
    shape = sample.shape(2, 4)
    batched = sample.version >= 12 and sample.chance(0.25)  # noqa: PLR2004 - batch_dims since 12
    depth = sample.integer(1, len(shape) - int(batched))
    prefix = (shape[0],) if batched else ()
    count = sample.weighted({(sample.dim(1, 5),): 5.0, (2, sample.dim(1, 3)): 2.0})
    columns = [draw_indices(sample, (*prefix, *count), size) for size in shape[int(batched) :][:depth]]
    indices = np.stack([each.astype(np.int64) for each in columns], axis=-1)
    fed = sample.chance(0.55)
    if not fed and sample.chance(0.15):
        indices -= np.array(shape[int(batched) :][:depth])
    attributes = {"batch_dims": 1} if batched else sample.attributes(0.6, batch_dims=(0,))
    x = sample.input(sample.normal(shape, sample.dtype(ANYTHING)), "data")
    sample.emit(x, sample.operand(indices, "indices", constant=0.0 if fed else 1.0), **attributes)


@generator("Compress", weight=14, precision=Precision.EXACT)
def compress(sample: Sample) -> None:
    """Along an axis or of the flattened tensor; the condition constant or fed, at times shorter."""
    shape = sample.shape(1, 4, least=2)
    axis = None if sample.chance(0.25) else sample.axis(len(shape), negative=0.3 if sample.version >= 11 else 0.0)  # noqa: PLR2004
    size = int(np.prod(shape)) if axis is None else shape[axis]
    condition = sample.normal((size if sample.chance(0.8) else sample.integer(1, size),), "bool")
    condition[0] = True
    x = sample.input(sample.normal(shape, sample.dtype(ANYTHING)))
    sample.emit(x, sample.operand(condition, "condition", constant=0.5), axis=axis)


@generator("OneHot", weight=40, precision=Precision.EXACT)
def one_hot(sample: Sample) -> None:
    """Depth constant; values (0, 1) mostly; indices in range."""
    depth = sample.dim(2, 8)
    indices = draw_indices(sample, sample.shape(1, 3), depth)
    kind = np.dtype(sample.weighted({"float32": 6.0, "int64": 3.0, "int32": 1.0}))
    values = np.array(sample.weighted({(0, 1): 8.0, (-1, 2): 1.0}), kind)
    counted = np.array(depth if sample.chance(0.6) else [depth], sample.pick((np.int64, np.int64, np.int32)))
    axis = sample.axis(indices.ndim + 1, negative=0.6) if sample.chance(0.6) else None
    inputs = [sample.input(indices, "indices"), sample.operand(counted, "depth", constant=0.95)]
    sample.emit(*inputs, sample.operand(values, "values", constant=0.95), axis=axis)


@generator("NonZero", weight=16, precision=Precision.EXACT)
def non_zero(sample: Sample) -> None:
    """Masks and numbers, about half of them zero."""
    values = sample.normal(sample.shape(1, 4), sample.dtype({"bool": 4.0, "float32": 4.0, "int64": 2.0, "int32": 1.0}))
    kept = sample.random.random(values.shape) < 0.5  # noqa: PLR2004 - half
    kept.flat[0] = True
    values = np.where(kept, np.where(values == 0, np.ones_like(values), values), np.zeros_like(values))
    sample.emit(sample.input(values))


@generator("TopK", weight=60, precision=Precision.EXACT)
def top_k(sample: Sample) -> None:
    """`k` an attribute or operand; largest and smallest, sorted; ties go to the lower index."""
    dtype = sample.dtype({"float32": 85.0, "float16": 5.0, "int64": 5.0, "int32": 3.0, "float64": 1.0})
    shape = sample.shape(1, 4)
    ties = sample.chance(0.04)
    values = sample.uniform(shape, 0, 4, "int64").astype(dtype) if ties else sample.distinct(shape, dtype)
    axis = sample.axis(len(shape), negative=0.5 if sample.version >= 11 else 0.0)  # noqa: PLR2004 - negative since 11
    k = sample.integer(1, shape[axis])
    attributes: dict[str, Any] = {} if axis == -1 and sample.chance(0.5) else {"axis": axis}
    attributes |= sample.attributes(0.4, largest=(1, 0, 1), sorted=(1,))
    outputs = sample.weighted({("values", "indices"): 7.0, ("values", ""): 1.0, ("", "indices"): 2.0})
    inputs = [sample.input(values)]
    if sample.version < 10:  # noqa: PLR2004 - k is an operand since TopK 10
        attributes["k"] = k
    else:
        inputs.append(sample.integers([k], "k", constant=0.93))
    named = sample.emit(*inputs, outputs=["values", "indices"], **attributes)
    sample.outputs([name for name, wanted in zip(named, outputs, strict=True) if wanted])


@generator("Unique", weight=14, precision=Precision.EXACT)
def unique(sample: Sample) -> None:
    """Flattened mostly, sorted mostly; one to four outputs."""
    shape = sample.shape(1, 3)
    values = sample.uniform(shape, 0, 4, "int64").astype(sample.dtype({"int64": 5.0, "float32": 5.0, "int32": 1.0}))
    axis = sample.axis(len(shape)) if sample.chance(0.25) else None
    count = sample.weighted({1: 5.0, 2: 0.5, 3: 2.0, 4: 2.0})
    outputs = ["unique", "first", "inverse", "counts"][:count]
    sample.emit(sample.input(values), outputs=outputs, axis=axis, **sample.attributes(sorted=(1, 1, 0)))
