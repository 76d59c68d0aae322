"""Operators that write by index: ScatterElements, ScatterND, Scatter, TensorScatter."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.families.indexing import draw_indices
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

_SCATTERED = {"float32": 80.0, "int64": 8.0, "float16": 6.0, "int32": 4.0, "bool": 1.0, "float64": 1.0}
_REDUCTIONS = {None: 6.0, "none": 1.5, "add": 2.0, "mul": 0.5, "max": 0.6, "min": 0.5}
_SINCE = {"add": 16, "mul": 16, "none": 16, "max": 18, "min": 18}


def _reduction(sample: Sample, dtype: np.dtype[Any]) -> str | None:
    options = {each: weight for each, weight in _REDUCTIONS.items() if each is None or sample.version >= _SINCE[each]}
    return None if dtype.kind == "b" else sample.weighted(options)


@generator("ScatterElements", weight=70, precision=Precision.ARITHMETIC)
@generator("Scatter", weight=10, precision=Precision.ARITHMETIC)
def scatter_elements(sample: Sample) -> None:
    """`torch.scatter`: indices without duplicates unless they are reduced; `reduction` each way from opset 16 on."""
    dtype = sample.dtype(_SCATTERED)
    shape = sample.shape(1, 4)
    axis = sample.axis(len(shape), negative=0.4 if sample.version >= 11 else 0.0)  # noqa: PLR2004 - negative since 11
    reduction = _reduction(sample, dtype) if sample.op == "ScatterElements" else None
    fed = sample.chance(0.5)
    chosen = [size if sample.chance(0.75) else sample.integer(1, size) for size in shape]
    chosen[axis] = sample.integer(1, shape[axis])
    if reduction in {None, "none"}:
        order = np.argsort(sample.random.random([*np.delete(chosen, axis), shape[axis]]), axis=-1)
        indices = np.moveaxis(order[..., : chosen[axis]], -1, axis).astype(np.int64)
        if sample.version >= 11 and not fed and sample.chance(0.12):  # noqa: PLR2004 - negative indices since 11
            indices -= shape[axis]
    else:
        indices = draw_indices(sample, tuple(chosen), shape[axis])
        if chosen[axis] > 1:  # a duplicate, where duplicates matter
            np.moveaxis(indices, axis, 0)[1] = np.moveaxis(indices, axis, 0)[0]
    inputs = [sample.operand(sample.normal(shape, dtype), "data", constant=0.15)]
    inputs.append(sample.operand(indices, "indices", constant=0.0 if fed else 1.0))
    inputs.append(sample.operand(sample.normal(chosen, dtype), "updates", constant=0.15))
    _emit(sample, inputs, {} if axis == 0 and sample.chance(0.5) else {"axis": axis}, reduction)


@generator("ScatterND", weight=70, precision=Precision.ARITHMETIC)
def scatter_nd(sample: Sample) -> None:
    """Slice assignments: tuples that address elements or slices, without duplicates unless they are reduced."""
    dtype = sample.dtype(_SCATTERED)
    shape = sample.shape(1, 4)
    depth = sample.integer(1, len(shape))
    reduction = _reduction(sample, dtype)
    places = int(np.prod(shape[:depth]))
    count = sample.integer(1, min(places, 6))
    if reduction in {None, "none"}:
        flat = sample.random.permutation(places)[:count]
    else:
        flat = sample.random.integers(0, places, count)
        flat[-1] = flat[0]  # a duplicate, where duplicates matter
    indices = np.stack(np.unravel_index(flat, shape[:depth]), axis=-1).astype(np.int64)
    if sample.chance(0.2):
        indices = indices[None]
    fed = sample.chance(0.4)
    if sample.opset >= 11 and not fed and sample.chance(0.1):  # noqa: PLR2004 - negative indices since 11
        indices = indices - np.array(shape[:depth])
    inputs = [sample.operand(sample.normal(shape, dtype), "data", constant=0.15)]
    inputs.append(sample.operand(indices, "indices", constant=0.0 if fed else 1.0))
    updates = sample.normal((*indices.shape[:-1], *shape[depth:]), dtype)
    inputs.append(sample.operand(updates, "updates", constant=0.15))
    _emit(sample, inputs, {}, reduction)


def _emit(sample: Sample, inputs: list[str], attributes: dict[str, Any], reduction: str | None) -> None:
    if not sample.feeds:
        sample.resample()
    sample.emit(*inputs, reduction=reduction, **attributes)


@generator("TensorScatter", weight=4, precision=Precision.EXACT)
def tensor_scatter(sample: Sample) -> None:
    """A step of a key-value cache."""
    batch, heads, length, size = sample.integer(1, 2), sample.integer(1, 3), 6, sample.dim(2, 8)
    dtype = sample.dtype()
    cache = sample.input(sample.normal((batch, heads, length, size), dtype), "past_cache")
    update = sample.input(sample.normal((batch, heads, 2, size), dtype), "update")
    where = [sample.operand(sample.uniform((batch,), 0, 4, "int64"), "write_indices", constant=0.2)]
    sample.emit(cache, update, *(where if sample.chance(0.8) else []), **sample.attributes(mode=("linear", "circular")))
