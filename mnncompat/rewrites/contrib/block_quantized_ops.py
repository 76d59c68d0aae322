"""Weights of a few bits with a scale for each block, as float weights; `contrib-op-to-onnx` calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat.graph.block_weights import block_weights, unpacked
from mnncompat.rewrites.contrib.precision import in_float32
from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_WIDTHS = (2, 4, 8)
_ZEROS, _GROUPS, _BIAS = 3, 4, 5


def examples() -> tuple[Example, ...]:
    """A product, a table, and weights that are computed."""
    ms = '"": 17, "com.microsoft": 1'
    draws = np.random.default_rng(0)
    weights = draws.integers(0, 256, (3, 2, 8)).astype(np.uint8)
    return (
        rewritten(
            "weights of four bits",
            """(float[N,20] x) => (float[N,3] y) {
            y = com.microsoft.MatMulNBits<K=20, N=3, bits=4, block_size=16>(x, w, s) }""",
            becomes="MatMul",
            imports=ms,
            w=weights,
            s=(3, 2),
        ),
        rewritten(
            "table of four bits",
            """(int64[N,T] i) => (float[N,T,16] y) { y = com.microsoft.GatherBlockQuantized<bits=4, block_size=16,
            gather_axis=0, quantize_axis=1>(t, i, s) }""",
            becomes="Gather",
            imports=ms,
            t=draws.integers(0, 256, (5, 8)).astype(np.uint8),
            s=(5, 1),
        ),
        refused(
            "weights that are computed",
            "computed at run time",
            """(float[N,20] x, uint8[3,2,8] w) => (float[N,3] y) {
            y = com.microsoft.MatMulNBits<K=20, N=3, bits=4, block_size=16>(x, w, s) }""",
            imports=ms,
            s=(3, 2),
        ),
    )


def _width(node: NodeFacts) -> int:
    bits = int(node.attribute("bits") or 4)
    if bits not in _WIDTHS:
        raise NotApplicable(f"weights of {bits} bits")
    return bits


def _product(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """MatMulNBits: (rows, K) times the transposed weights, (N, K)."""
    if node.attribute("weight_prepacked"):
        raise NotApplicable("the weights are packed for another device")
    weights = block_weights(
        new.array(1),
        new.array(2),
        new.array(_ZEROS) if new.has(_ZEROS) else None,
        new.array(_GROUPS) if new.has(_GROUPS) else None,
        bits=_width(node),
        size=int(node.attribute("block_size")),
        shape=(int(node.attribute("N")), int(node.attribute("K"))),
    ).floats()
    value, narrow = in_float32(new, new.input(0))
    result = new.op("MatMul", value, np.ascontiguousarray(weights.T))
    if new.has(_BIAS):
        result = result + in_float32(new, new.input(_BIAS))[0]
    return [narrow(result)]


def _table(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """GatherBlockQuantized: rows of a table that is dequantised beforehand."""
    data, scales = new.array(0), new.array(2)
    if data.dtype.name.startswith("float"):
        raise NotApplicable(f"a table of {data.dtype.name}")
    axis = int(node.attribute("gather_axis") or 0) % data.ndim
    stated = node.attribute("quantize_axis")
    along = (1 if stated is None else int(stated)) % data.ndim
    size, bits = int(node.attribute("block_size") or 128), _width(node)
    is_packed = data.dtype == np.uint8
    values = (unpacked(data, bits) if is_packed else data).astype(np.float32)
    blocks = tuple(-(-count // size) if each == along else count for each, count in enumerate(values.shape))
    if scales.shape != blocks:
        raise NotApplicable(f"scales of shape {list(scales.shape)}, where blocks of {size} make {list(blocks)}")
    place = np.arange(values.shape[along]) // size
    zeros: Any = np.float32(1 << (bits - 1) if is_packed else 0)
    if new.has(_ZEROS):
        given = new.array(_ZEROS)
        whole = (unpacked(given, bits)[..., : scales.shape[along]] if is_packed else given).astype(np.float32)
        if whole.shape != scales.shape:
            raise NotApplicable(f"zero points of shape {list(given.shape)} beside scales of {list(scales.shape)}")
        zeros = whole.take(place, axis=along)
    table = (values - zeros) * scales.astype(np.float32).take(place, axis=along)
    return [new.op("Gather", table.astype(scales.dtype), new.input(1), axis=axis)]


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "GatherBlockQuantized": _table,
    "MatMulNBits": _product,
}
"""How each is emitted, by op type."""
