"""Operators that read by index: Gather, GatherElements, GatherND, Compress, OneHot, NonZero, TopK, Unique."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import ANYTHING, Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_NEGATIVE_INDICES = 11


def draw_indices(draw: Draw, shape: tuple[int, ...], size: int, *, negative: float = 0.0) -> np.ndarray:
    """Indices in range, int64 mostly; all non-negative, or with this probability of both signs, the first negative."""
    signed = draw.opset >= _NEGATIVE_INDICES and draw.chance(negative)
    indices = draw.uniform(shape, -size if signed else 0, size - 1, "int64" if draw.chance(0.85) else "int32")
    if signed:
        indices.flat[0] = -draw.integer(1, size)
    return indices


def index_operand(draw: Draw, shape: tuple[int, ...], size: int, *, constant: float) -> str:
    """Add indices: a constant with this probability, of both signs at times; else fed, and not negative."""
    if draw.chance(constant):
        return draw.constant(draw_indices(draw, shape, size, negative=0.15), "indices")
    return draw.input(draw_indices(draw, shape, size), "indices")


@generator("Gather", weight=90, precision=Precision.EXACT)
def gather(draw: Draw) -> None:
    """Embeddings (constant table, runtime ids), picks by a constant scalar, and everything between."""
    dtype = draw.dtype(ANYTHING)
    if draw.chance(0.3):
        rows = draw.dim(4, 16)
        table = draw.constant(draw.normal((rows, draw.channels()), dtype), "table")
        ids = draw.input(draw_indices(draw, draw.shape(1, 3), rows), "ids")
        draw.emit(table, ids, **draw.attributes(axis=(0,)))
        return
    shape = draw.shape()
    axis = draw.axis(len(shape), negative=0.3 if draw.opset >= _NEGATIVE_INDICES else 0.0)
    chosen = draw.weighted({(): 4.0, (1,): 2.0, (draw.dim(2, 5),): 3.0, (2, draw.dim(1, 4)): 1.0})
    indices = index_operand(draw, chosen, shape[axis], constant=0.7)
    written = {} if axis == 0 and draw.chance(0.5) else {"axis": axis}
    draw.emit(draw.input(draw.normal(shape, dtype), "data"), indices, **written)


@generator("GatherElements", weight=60, precision=Precision.EXACT)
def gather_elements(draw: Draw) -> None:
    """`torch.gather`: indices of the data's rank, fed mostly, no larger than the data off the axis."""
    shape = draw.shape(1, 4)
    axis = draw.axis(len(shape))
    chosen = [size if draw.chance(0.75) else draw.integer(1, size) for size in shape]
    chosen[axis] = draw.integer(1, shape[axis] + 1)
    x = draw.input(draw.normal(shape, draw.dtype(ANYTHING)), "data")
    written = {} if axis == 0 and draw.chance(0.5) else {"axis": axis}
    draw.emit(x, index_operand(draw, tuple(chosen), shape[axis], constant=0.35), **written)


@generator("GatherND", weight=60, precision=Precision.EXACT)
def gather_nd(draw: Draw) -> None:
    """Tuples that address elements or slices; `batch_dims` 0 or 1."""
    shape = draw.shape(2, 4)
    batched = draw.version >= 12 and draw.chance(0.25)  # noqa: PLR2004 - batch_dims since 12
    depth = draw.integer(1, len(shape) - int(batched))
    prefix = (shape[0],) if batched else ()
    count = draw.weighted({(draw.dim(1, 5),): 5.0, (2, draw.dim(1, 3)): 2.0})
    columns = [draw_indices(draw, (*prefix, *count), size) for size in shape[int(batched) :][:depth]]
    indices = np.stack([each.astype(np.int64) for each in columns], axis=-1)
    fed = draw.chance(0.55)
    if not fed and draw.chance(0.15):
        indices -= np.array(shape[int(batched) :][:depth])
    attributes = {"batch_dims": 1} if batched else draw.attributes(0.6, batch_dims=(0,))
    x = draw.input(draw.normal(shape, draw.dtype(ANYTHING)), "data")
    draw.emit(x, draw.operand(indices, "indices", constant=0.0 if fed else 1.0), **attributes)


@generator("Compress", weight=14, precision=Precision.EXACT)
def compress(draw: Draw) -> None:
    """Along an axis or of the flattened tensor; the condition constant or fed, at times shorter."""
    shape = draw.shape(1, 4, least=2)
    axis = None if draw.chance(0.25) else draw.axis(len(shape), negative=0.3 if draw.version >= 11 else 0.0)  # noqa: PLR2004
    size = int(np.prod(shape)) if axis is None else shape[axis]
    condition = draw.normal((size if draw.chance(0.8) else draw.integer(1, size),), "bool")
    condition[0] = True
    x = draw.input(draw.normal(shape, draw.dtype(ANYTHING)))
    draw.emit(x, draw.operand(condition, "condition", constant=0.5), axis=axis)


@generator("OneHot", weight=40, precision=Precision.EXACT)
def one_hot(draw: Draw) -> None:
    """Depth constant; values (0, 1) mostly; indices in range."""
    depth = draw.dim(2, 8)
    indices = draw_indices(draw, draw.shape(1, 3), depth)
    kind = np.dtype(draw.weighted({"float32": 6.0, "int64": 3.0, "int32": 1.0}))
    values = np.array(draw.weighted({(0, 1): 8.0, (-1, 2): 1.0}), kind)
    counted = np.array(depth if draw.chance(0.6) else [depth], draw.pick((np.int64, np.int64, np.int32)))
    axis = draw.axis(indices.ndim + 1, negative=0.6) if draw.chance(0.6) else None
    inputs = [draw.input(indices, "indices"), draw.operand(counted, "depth", constant=0.95)]
    draw.emit(*inputs, draw.operand(values, "values", constant=0.95), axis=axis)


@generator("NonZero", weight=16, precision=Precision.EXACT)
def non_zero(draw: Draw) -> None:
    """Masks and numbers, about half of them zero."""
    values = draw.normal(draw.shape(1, 4), draw.dtype({"bool": 4.0, "float32": 4.0, "int64": 2.0, "int32": 1.0}))
    kept = draw.random.random(values.shape) < 0.5  # noqa: PLR2004 - half
    kept.flat[0] = True
    values = np.where(kept, np.where(values == 0, np.ones_like(values), values), np.zeros_like(values))
    draw.emit(draw.input(values))


@generator("TopK", weight=60, precision=Precision.EXACT)
def top_k(draw: Draw) -> None:
    """`k` an attribute or operand; largest and smallest, sorted; ties go to the lower index."""
    dtype = draw.dtype({"float32": 85.0, "float16": 5.0, "int64": 5.0, "int32": 3.0, "float64": 1.0})
    shape = draw.shape(1, 4)
    ties = draw.chance(0.04)
    values = draw.uniform(shape, 0, 4, "int64").astype(dtype) if ties else draw.distinct(shape, dtype)
    axis = draw.axis(len(shape), negative=0.5 if draw.version >= 11 else 0.0)  # noqa: PLR2004 - negative since 11
    k = draw.integer(1, shape[axis])
    attributes: dict[str, Any] = {} if axis == -1 and draw.chance(0.5) else {"axis": axis}
    attributes |= draw.attributes(0.4, largest=(1, 0, 1), sorted=(1,))
    outputs = draw.weighted({("values", "indices"): 7.0, ("values", ""): 1.0, ("", "indices"): 2.0})
    inputs = [draw.input(values)]
    if draw.version < 10:  # noqa: PLR2004 - k is an operand since TopK 10
        attributes["k"] = k
    else:
        inputs.append(draw.integers([k], "k", constant=0.93))
    named = draw.emit(*inputs, outputs=["values", "indices"], **attributes)
    draw.outputs([name for name, wanted in zip(named, outputs, strict=True) if wanted])


@generator("Unique", weight=14, precision=Precision.EXACT)
def unique(draw: Draw) -> None:
    """Flattened mostly, sorted mostly; one to four outputs."""
    shape = draw.shape(1, 3)
    values = draw.uniform(shape, 0, 4, "int64").astype(draw.dtype({"int64": 5.0, "float32": 5.0, "int32": 1.0}))
    axis = draw.axis(len(shape)) if draw.chance(0.25) else None
    count = draw.weighted({1: 5.0, 2: 0.5, 3: 2.0, 4: 2.0})
    outputs = ["unique", "first", "inverse", "counts"][:count]
    draw.emit(draw.input(values), outputs=outputs, axis=axis, **draw.attributes(sorted=(1, 1, 0)))
