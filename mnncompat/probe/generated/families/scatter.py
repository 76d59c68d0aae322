"""Operators that write by index: ScatterElements, ScatterND, Scatter, TensorScatter."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.families.indexing import draw_indices
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_SCATTERED = {"float32": 80.0, "int64": 8.0, "float16": 6.0, "int32": 4.0, "bool": 1.0, "float64": 1.0}
_REDUCTIONS = {None: 6.0, "none": 1.5, "add": 2.0, "mul": 0.5, "max": 0.6, "min": 0.5}
_SINCE = {"add": 16, "mul": 16, "none": 16, "max": 18, "min": 18}


def _reduction(draw: Draw, dtype: np.dtype[Any]) -> str | None:
    options = {each: weight for each, weight in _REDUCTIONS.items() if each is None or draw.version >= _SINCE[each]}
    return None if dtype.kind == "b" else draw.weighted(options)


@generator("ScatterElements", weight=70, precision=Precision.ARITHMETIC)
@generator("Scatter", weight=10, precision=Precision.ARITHMETIC)
def scatter_elements(draw: Draw) -> None:
    """`torch.scatter`: indices without duplicates unless they are reduced; `reduction` each way from opset 16 on."""
    dtype = draw.dtype(_SCATTERED)
    shape = draw.shape(1, 4)
    axis = draw.axis(len(shape), negative=0.4 if draw.version >= 11 else 0.0)  # noqa: PLR2004 - negative since 11
    reduction = _reduction(draw, dtype) if draw.op == "ScatterElements" else None
    fed = draw.chance(0.5)
    chosen = [size if draw.chance(0.75) else draw.integer(1, size) for size in shape]
    chosen[axis] = draw.integer(1, shape[axis])
    if reduction in {None, "none"}:
        order = np.argsort(draw.random.random([*np.delete(chosen, axis), shape[axis]]), axis=-1)
        indices = np.moveaxis(order[..., : chosen[axis]], -1, axis).astype(np.int64)
        if draw.version >= 11 and not fed and draw.chance(0.12):  # noqa: PLR2004 - negative indices since 11
            indices -= shape[axis]
    else:
        indices = draw_indices(draw, tuple(chosen), shape[axis])
        if chosen[axis] > 1:  # a duplicate, where duplicates matter
            np.moveaxis(indices, axis, 0)[1] = np.moveaxis(indices, axis, 0)[0]
    inputs = [draw.operand(draw.normal(shape, dtype), "data", constant=0.15)]
    inputs.append(draw.operand(indices, "indices", constant=0.0 if fed else 1.0))
    inputs.append(draw.operand(draw.normal(chosen, dtype), "updates", constant=0.15))
    _emit(draw, inputs, {} if axis == 0 and draw.chance(0.5) else {"axis": axis}, reduction)


@generator("ScatterND", weight=70, precision=Precision.ARITHMETIC)
def scatter_nd(draw: Draw) -> None:
    """Slice assignments: tuples that address elements or slices, without duplicates unless they are reduced."""
    dtype = draw.dtype(_SCATTERED)
    shape = draw.shape(1, 4)
    depth = draw.integer(1, len(shape))
    reduction = _reduction(draw, dtype)
    places = int(np.prod(shape[:depth]))
    count = draw.integer(1, min(places, 6))
    if reduction in {None, "none"}:
        flat = draw.random.permutation(places)[:count]
    else:
        flat = draw.random.integers(0, places, count)
        flat[-1] = flat[0]  # a duplicate, where duplicates matter
    indices = np.stack(np.unravel_index(flat, shape[:depth]), axis=-1).astype(np.int64)
    if draw.chance(0.2):
        indices = indices[None]
    fed = draw.chance(0.4)
    if draw.opset >= 11 and not fed and draw.chance(0.1):  # noqa: PLR2004 - negative indices since 11
        indices = indices - np.array(shape[:depth])
    inputs = [draw.operand(draw.normal(shape, dtype), "data", constant=0.15)]
    inputs.append(draw.operand(indices, "indices", constant=0.0 if fed else 1.0))
    updates = draw.normal((*indices.shape[:-1], *shape[depth:]), dtype)
    inputs.append(draw.operand(updates, "updates", constant=0.15))
    _emit(draw, inputs, {}, reduction)


def _emit(draw: Draw, inputs: list[str], attributes: dict[str, Any], reduction: str | None) -> None:
    if not draw.feeds:
        draw.redraw()
    draw.emit(*inputs, reduction=reduction, **attributes)


@generator("TensorScatter", weight=4, precision=Precision.EXACT)
def tensor_scatter(draw: Draw) -> None:
    """A step of a key-value cache."""
    batch, heads, length, size = draw.integer(1, 2), draw.integer(1, 3), 6, draw.dim(2, 8)
    dtype = draw.dtype()
    cache = draw.input(draw.normal((batch, heads, length, size), dtype), "past_cache")
    update = draw.input(draw.normal((batch, heads, 2, size), dtype), "update")
    where = [draw.operand(draw.uniform((batch,), 0, 4, "int64"), "write_indices", constant=0.2)]
    draw.emit(cache, update, *(where if draw.chance(0.8) else []), **draw.attributes(mode=("linear", "circular")))
