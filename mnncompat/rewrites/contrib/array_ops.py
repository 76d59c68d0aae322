"""Inverses, windows and crops of ONNX Runtime's own domain; `contrib-op-to-onnx` calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.contrib.precision import in_float32
from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_LARGEST = 64
"""Rows of the largest matrix whose elimination is written out: each is about 20 nodes."""


def examples() -> tuple[Example, ...]:
    """One of each kind, and a matrix that is too large."""
    ms = '"": 17, "com.microsoft": 1'
    return (
        rewritten(
            "windows",
            "(float[N,7] x) => (float[N,3,3] y) { y = com.microsoft.UnfoldTensor<dim=1, size=3, step=2>(x) }",
            becomes="Gather",
            imports=ms,
        ),
        refused(
            "inverse of a large matrix",
            "65 rows",
            "(float[65,65] x) => (float[65,65] y) { y = com.microsoft.Inverse(x) }",
            imports=ms,
        ),
    )


def _inverse(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """Inverse: elimination with the largest pivot of each column, of a matrix beside the unit matrix."""
    given = new.input(0)
    value, narrow = in_float32(new, given)
    count = given.dim(-1)
    if given.dim(-2) != count or count > _LARGEST:
        raise NotApplicable(f"a matrix of {given.dim(-2)} rows and {count} columns; at most {_LARGEST} are written out")
    flat = new.reshape(value, (-1, count, count))
    both = new.op("Concat", flat, flat * 0.0 + np.eye(count, dtype=value.element), axis=2)
    for column in range(count):
        both = _eliminated(new, both, column, count)
    result = new.slice(both, [count], [2 * count], [2])
    shape = [each if isinstance(each, int) else 0 for each in given.dims]
    if given.rank == 3:  # noqa: PLR2004 - a batch of matrices
        return [narrow(result)]
    if any(each == 0 for each in shape):
        raise NotApplicable("a batch of more than one axis, of which one is dynamic")
    return [narrow(new.reshape(result, shape))]


def _eliminated(new: SubgraphBuilder, both: Value, column: int, count: int) -> Value:
    """One step of Gauss and Jordan, in matrices of shape (batch, count, 2 * count)."""
    rows = np.arange(count)
    one, zero = np.ones((), both.element), np.zeros((), both.element)
    sizes = new.op("Abs", new.squeeze(new.slice(both, [column], [column + 1], [2]), (2,)))
    candidates = new.op("Where", new.constant(rows >= column), sizes, -one)
    best = new.op("ArgMax", candidates, axis=1, keepdims=1)
    chosen = new.op("Equal", best, new.constant(rows))
    pivot = new.unsqueeze(new.cast(chosen, both.dtype), (1,)) @ both
    current = new.slice(both, [column], [column + 1], [1])
    swapped = new.op("Where", new.unsqueeze(chosen, (2,)), current, both)
    row = pivot / new.slice(pivot, [column], [column + 1], [2])
    here = new.constant((rows == column)[:, None])
    factors = new.op("Where", here, zero, new.slice(swapped, [column], [column + 1], [2]))
    return new.op("Where", here, row, swapped - factors * row)


def _unfold(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """UnfoldTensor: windows along an axis, their elements last."""
    value = new.input(0)
    stated, step = node.attribute("dim"), int(node.attribute("step") or 1)
    axis, size = (-1 if stated is None else int(stated)) % value.rank, int(node.attribute("size"))
    count = (value.dim(axis) - size) // step + 1
    places = np.arange(count)[:, None] * step + np.arange(size)
    found = new.op("Gather", value, new.constant(places), axis=axis)
    order = [each for each in range(value.rank + 1) if each != axis + 1]
    return [found if axis == value.rank - 1 else new.transpose(found, [*order, axis + 1])]


# ---- crops -----------------------------------------------------------------------------------------------------------


def _crop(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """CropAndResize: a weight for every row and column of the image, for every row and column of the result."""
    value, boxes = new.input(0), new.input(1)
    height, width = new.integers(3)
    kind = node.attribute("mode") or "bilinear"
    image = new.op("Gather", value, new.input(2), axis=0)
    parts = [new.slice(boxes, [each], [each + 1], [1]) for each in range(4)]
    rows = _positions(new, parts[0], parts[2], (value.dim(2), height))
    columns = _positions(new, parts[1], parts[3], (value.dim(3), width))
    of_rows, of_columns = (
        _weights(new, places, size, kind) for places, size in ((rows, value.dim(2)), (columns, value.dim(3)))
    )
    result = new.unsqueeze(of_rows, (1,)) @ image @ new.transpose(new.unsqueeze(of_columns, (1,)), (0, 1, 3, 2))
    inside = new.op(
        "And",
        new.unsqueeze(_inside(new, rows, value.dim(2)), (1, 3)),
        new.unsqueeze(_inside(new, columns, value.dim(3)), (1, 2)),
    )
    return [new.op("Where", inside, result, np.asarray(node.attribute("extrapolation_value") or 0.0, np.float32))]


def _positions(new: SubgraphBuilder, first: Value, last: Value, sizes: tuple[int, int]) -> Value:
    """Where each row of the result lies in the image, (boxes, rows); both ends are those of the box."""
    size, count = sizes
    if size == 1:  # 0, not the -0 of a negative box, which MNN takes for less than 0
        return new.op("Abs", first * 0.0) + np.zeros(count, np.float32)
    if count == 1:
        return (first + last) * (0.5 * (size - 1))
    start = first * float(size - 1)
    step = (last - first) * float(size - 1) / float(count - 1)
    inner = start + step * np.arange(count - 1, dtype=np.float32)
    return new.op("Concat", inner, last * float(size - 1), axis=1)


def _weights(new: SubgraphBuilder, places: Value, size: int, kind: str) -> Value:
    """(boxes, rows of the result, rows of the image)."""
    rows = np.arange(size, dtype=np.float32)
    apart = new.unsqueeze(places, (2,))
    if kind == "nearest":
        return new.cast(new.op("Equal", new.op("Floor", apart + 0.5), rows), places.dtype)
    if kind != "bilinear":
        raise NotApplicable(f"mode is {kind}")
    return new.op("Relu", 1.0 - new.op("Abs", apart - rows))


def _inside(new: SubgraphBuilder, places: Value, size: int) -> Value:
    below = new.op("Less", places, np.zeros((), np.float32))
    above = new.op("Greater", places, np.asarray(size - 1, np.float32))
    return new.op("Not", new.op("Or", below, above))


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "CropAndResize": _crop,
    "Inverse": _inverse,
    "UnfoldTensor": _unfold,
}
"""How each is emitted, by op type."""
