"""Shapes of ONNX Runtime's own operators as expressions over dynamic dimensions; see `reshaping_shapes`."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import NodeProto

from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN
from mnncompat.inference.reshaping_shapes import Function
from mnncompat.inference.shape_propagation import Propagation, Shape
from mnncompat.inference.size_expression import Size

_SEQUENCE, _SPLIT = 3, 4
_PLACE = 8


def _operand(run: Propagation, node: NodeProto, position: int) -> Shape | None:
    name = node.input[position] if position < len(node.input) else ""
    return run.shape(name) if name else None


def _same(run: Propagation, node: NodeProto) -> list[Shape | None]:
    return [run.shape(node.input[0])]


def _skip(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    return [shape, None, None, shape]


def _embedding(run: Propagation, node: NodeProto) -> list[Shape | None]:
    ids, table, places = (_operand(run, node, position) for position in (0, 2, 3))
    if ids is None or table is None or places is None:
        return [None]
    if not _has(node, 8):
        run.require("at-least", places[0], ids[1], ids, places)
    shape = (*ids, table[-1])
    return [shape, (ids[0],), shape]


def _has(node: NodeProto, position: int) -> bool:
    return position < len(node.input) and bool(node.input[position])


def _block_product(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    return [None if shape is None else (*shape[:-1], Size(int(run.attribute(node, "N", 0))))]


def _added(run: Propagation, *sizes: Size | None) -> Size | None:
    del run
    total = Size(0)
    for size in sizes:
        if size is None:
            return None
        total = total + size
    return total


def _group_query(run: Propagation, node: NodeProto) -> list[Shape | None]:
    """The number of keys is an operand: as many as the cache and the new steps have."""
    query, past = _operand(run, node, 0), _operand(run, node, 3)
    if query is None or len(query) != _SEQUENCE:
        return [None]
    heads, keys = (int(run.attribute(node, name, 1)) for name in ("num_heads", "kv_num_heads"))
    columns = query[2]
    if columns is not None and not _has(node, 1):
        columns = columns // (heads + 2 * keys) * heads
    total = query[1] if past is None else _added(run, past[2], query[1])
    told = run.value(node.input[6])
    if told and total is not None:
        run.require("equal", told[0], total, query, past)
    size = None if columns is None else columns // heads
    state = (query[0], Size(keys), total, size)
    return [(*query[:2], columns), state, state]


def _multi_head(run: Propagation, node: NodeProto) -> list[Shape | None]:
    query, key, value = (_operand(run, node, position) for position in range(3))
    past, mask, bias = (_operand(run, node, position) for position in (6, 4, 5))
    if query is None or key is None or value is None or len(query) != _SEQUENCE:
        return [None]
    heads = int(run.attribute(node, "num_heads", 1))
    is_split = len(key) == _SPLIT
    count = key[2] if is_split else key[1]
    is_buffer = past is not None and _has(node, _PLACE)
    total = count if past is None else None if is_buffer else _added(run, past[2], count)
    _require_mask(run, mask, bias, (query, key), total)
    sizes = [None if shape[-1] is None else shape[-1] if is_split else shape[-1] // heads for shape in (key, value)]
    columns = None if sizes[1] is None else sizes[1] * heads
    kept = past[2] if past is not None and is_buffer else total
    states: list[Shape | None] = [(query[0], Size(heads), kept, size) for size in sizes]
    return [(*query[:2], columns), *states]


def _require_mask(
    run: Propagation, mask: Shape | None, bias: Shape | None, shapes: tuple[Shape, Shape], total: Size | None
) -> None:
    """A mask of every key, and a bias of every score, are as long as the keys."""
    for shape in (mask, bias):
        if shape is not None and len(shape) > 1 and total is not None:
            run.require("broadcast", shape[-1], total, shape, *shapes)


def _attention(run: Propagation, node: NodeProto) -> list[Shape | None]:
    value, weight = _operand(run, node, 0), _operand(run, node, 1)
    is_quantized = node.op_type == "QAttention"
    past, mask = (_operand(run, node, position) for position in ((8, 5) if is_quantized else (4, 3)))
    bias = None if is_quantized else _operand(run, node, 5)
    if value is None or weight is None or len(value) != _SEQUENCE:
        return [None]
    heads, sizes = int(run.attribute(node, "num_heads", 1)), run.attribute(node, "qkv_hidden_sizes")
    columns = Size(int(sizes[2])) if sizes else None if weight[-1] is None else weight[-1] // 3
    total = value[1] if past is None else _added(run, past[3], value[1])
    _require_mask(run, mask, bias, (value, value), total)
    size = None if columns is None else columns // heads
    return [(*value[:2], columns), (Size(2), value[0], Size(heads), total, size)]


FOREIGN_SIZES: Mapping[tuple[str, str], Function] = {
    ("", "SimplifiedLayerNormalization"): _same,
    **{
        (CONTRIB_DOMAIN, op): function
        for op, function in {
            "Attention": _attention,
            "EmbedLayerNormalization": _embedding,
            "GroupQueryAttention": _group_query,
            "MatMulNBits": _block_product,
            "MultiHeadAttention": _multi_head,
            "QAttention": _attention,
            "QEmbedLayerNormalization": _embedding,
            **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _skip),
            **dict.fromkeys(("BiasGelu", "FastGelu", "Gelu", "QuickGelu", "RotaryEmbedding"), _same),
        }.items()
    },
}
"""By domain and op type."""
