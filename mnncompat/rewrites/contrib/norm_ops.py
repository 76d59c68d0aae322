"""Normalisations of ONNX Runtime's own domain, of sums and of embeddings; `contrib-op-to-onnx` calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.contrib.precision import in_float32
from mnncompat.rewrites.contrib.quantized_parameters import folded, zero_as_float
from mnncompat.rewrites.core.examples import rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import wide

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_LAYER_NORMALIZATION = 17


def examples() -> tuple[Example, ...]:
    """One of each kind."""
    ms = '"": 17, "com.microsoft": 1'
    tables = {"w": (9, 4), "p": (6, 4), "s": (2, 4), "g": (4,), "b": (4,)}
    return (
        rewritten(
            "normalisation of a sum",
            """(float[2,3,4] x, float[2,3,4] s) => (float[2,3,4] y) {
            y = com.microsoft.SkipLayerNormalization<epsilon=1e-5>(x, s, g, b, c) }""",
            becomes="2 Add, LayerNormalization",
            imports=ms,
            g=(4,),
            b=(4,),
            c=(4,),
        ),
        rewritten(
            "root mean square of a sum",
            """(float[N,3,4] x, float[N,3,4] s) => (float[N,3,4] y, float[N,3,4] t) {
            y, m, v, t = com.microsoft.SkipSimplifiedLayerNormalization(x, s, g) }""",
            becomes="2 Add, Div, 2 Mul, ReduceMean, Sqrt",
            imports=ms,
            g=(4,),
        ),
        rewritten(
            "embeddings",
            """(int32[N,T] i, int32[N,T] k, int32[N,T] m) => (float[N,T,4] y, int32[N] n) {
            y, n = com.microsoft.EmbedLayerNormalization(i, k, w, p, s, g, b, m) }""",
            becomes="2 Add, Cast, Equal, 2 Gather, LayerNormalization, ReduceSum, Shape, 2 Slice",
            imports=ms,
            **tables,
        ),
    )


class _Sum(NamedTuple):
    """The operands of a normalisation of a sum.

    Attributes:
        total: In float32 if they are of half precision.
        epsilon: Added to the variance.
        narrow: Brings a result back to their type.
    """

    total: Value
    epsilon: float
    narrow: Callable[[Value], Value]


def _summed(node: NodeFacts, new: SubgraphBuilder, bias: int) -> _Sum:
    total, narrow = in_float32(new, new.input(0))
    total = total + in_float32(new, new.input(1))[0]
    if new.has(bias):
        total = total + in_float32(new, new.input(bias))[0]
    epsilon = node.attribute("epsilon")
    return _Sum(total, 1e-12 if epsilon is None else float(epsilon), narrow)


def _skip_normalization(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    total, epsilon, narrow = _summed(node, new, 4)
    bias = in_float32(new, new.input(3))[0] if new.has(3) else None
    scale = in_float32(new, new.input(2))[0]
    statistics: list[Value | None] = [None, None]
    if new.is_output_used(1) or new.is_output_used(2):
        mean = new.reduce("ReduceMean", total, [-1])
        centred = total - mean
        variance = new.reduce("ReduceMean", centred * centred, [-1])
        statistics = [mean, _inverse(new, variance, epsilon)]
    return [narrow(_normalized(new, total, epsilon, scale, bias)), *statistics, narrow(total)]


def _inverse(new: SubgraphBuilder, variance: Value, epsilon: float) -> Value:
    return new.op("Reciprocal", new.op("Sqrt", variance + epsilon))


def _normalized(new: SubgraphBuilder, x: Value, epsilon: float, scale: Value, bias: Value | None) -> Value:
    if new.opset >= _LAYER_NORMALIZATION:
        return new.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)
    centred = x - new.reduce("ReduceMean", x, [-1])
    deviation = new.op("Sqrt", new.reduce("ReduceMean", centred * centred, [-1]) + epsilon)
    value = centred / deviation * scale
    return value if bias is None else value + bias


def _skip_simplified(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    total, epsilon, narrow = _summed(node, new, 3)
    squares = new.reduce("ReduceMean", total * total, [-1])
    value = total / new.op("Sqrt", squares + epsilon) * in_float32(new, new.input(2))[0]
    inverse = _inverse(new, squares, epsilon) if new.is_output_used(2) else None
    mean = None
    if new.is_output_used(1):  # which this normalisation does not have: ONNX Runtime's kernel writes zeros
        zero = np.zeros((), np.float32)
        mean = new.op("Min", new.op("Max", squares, zero), zero)
    return [narrow(value), mean, inverse, narrow(total)]


def _simplified(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """SimplifiedLayerNormalization: all axes from one on are normalised; the scale gives the result's type."""
    (x, _), scale = in_float32(new, new.input(0)), in_float32(new, new.input(1))[0]
    axis, epsilon = node.attribute("axis"), node.attribute("epsilon")
    axis = -1 if axis is None else int(axis)
    axes = [axis] if axis == -1 else list(range(axis % x.rank, x.rank))
    squares = new.reduce("ReduceMean", x * x, axes)
    shifted = squares + (1e-5 if epsilon is None else float(epsilon))
    value = new.cast(x / new.op("Sqrt", shifted), scale.dtype) * scale
    inverse = new.op("Reciprocal", new.op("Sqrt", shifted)) if new.is_output_used(1) else None
    return [
        new.cast(value, new.input(1).dtype),
        None if inverse is None else new.cast(inverse, TensorProto.FLOAT),
    ]


def _embedding(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """EmbedLayerNormalization: a sum of rows of two or three tables."""
    tables = [new.input(position) if new.has(position) else None for position in (2, 3, 4, 5, 6)]
    positions = new.input(8) if new.has(8) else None
    return _embedded(node, new, tables, positions)


def _quantized_embedding(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """QEmbedLayerNormalization: each table has a scale and a zero point."""
    tables: list[Value | None] = []
    for position in (2, 3, 4, 5, 6):
        if not new.has(position):
            tables.append(None)
            continue
        values = wide(new, new.input(position)), zero_as_float(new, position + 11), wide(new, new.input(position + 6))
        tables.append(folded(new, lambda table, zero, scale: (table - zero) * scale, *values))
    return _embedded(node, new, tables, None)


def _embedded(
    node: NodeFacts, new: SubgraphBuilder, tables: list[Value | None], positions: Value | None
) -> list[Value | None]:
    words, places, segments, scale, bias = tables
    if words is None or places is None or scale is None:
        raise NotApplicable("a table is left out")
    ids = new.input(0)
    total = new.op("Gather", words, ids, axis=0)
    narrow = in_float32(new, words)[1]
    total = in_float32(new, total)[0]
    rows = _first_rows(new, places, ids) if positions is None else new.op("Gather", places, positions, axis=0)
    total = total + in_float32(new, rows)[0]
    if segments is not None:
        total = total + in_float32(new, new.op("Gather", segments, new.input(1), axis=0))[0]
    epsilon = node.attribute("epsilon")
    wide_scale, wide_bias = (None if each is None else in_float32(new, each)[0] for each in (scale, bias))
    if wide_scale is None:
        raise NotApplicable("the scale is left out")
    result = _normalized(new, total, 1e-12 if epsilon is None else float(epsilon), wide_scale, wide_bias)
    return [narrow(result), _count(new, ids) if new.is_output_used(1) else None, narrow(total)]


def _first_rows(new: SubgraphBuilder, table: Value, ids: Value) -> Value:
    """As many rows of a table as the sequences have steps."""
    length, constant = ids.dims[1], table.constant
    if isinstance(length, int):
        return new.slice(table, [0], [length], [0]) if constant is None else new.constant(constant[:length])
    end = new.slice(new.op("Shape", ids), [1], [2], [0])
    return new.op("Slice", table, new.constant([0]), end, new.constant([0]))


def _count(new: SubgraphBuilder, ids: Value) -> Value:
    """The number of words of each sequence that the mask leaves, as int32; zeros without a mask."""
    if not new.has(7):
        first = new.squeeze(new.slice(ids, [0], [1], [1]), (1,))
        return new.cast(first * 0, TensorProto.INT32)
    mask = new.input(7)
    ones = new.cast(new.op("Equal", mask, new.constant(np.ones((), mask.element))), TensorProto.INT32)
    return new.reduce("ReduceSum", ones, [1], keepdims=False)


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "EmbedLayerNormalization": _embedding,
    "QEmbedLayerNormalization": _quantized_embedding,
    "SimplifiedLayerNormalization": _simplified,
    "SkipLayerNormalization": _skip_normalization,
    "SkipSimplifiedLayerNormalization": _skip_simplified,
}
"""How each is emitted, by op type."""
