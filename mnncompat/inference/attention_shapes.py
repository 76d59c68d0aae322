"""Types and shapes of the attention operators of ONNX Runtime's own domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import TensorProto

from mnncompat.graph.protos import Dim
from mnncompat.inference.foreign_calls import Call, Result, ShapeFunction, over, plus, times


def _attention(call: Call) -> Sequence[Result]:
    """Attention and QAttention: the projection is part of it."""
    shape, bias, heads = call.shape(0), call.shape(2), int(call.attribute("num_heads", 0))
    weight, past = call.shape(1), call.shape(4 if call.dtype(0) not in _BYTES else 8)
    element = call.dtype(0) if call.dtype(0) not in _BYTES else call.dtype(3)
    sizes = call.attribute("qkv_hidden_sizes")
    total = bias[0] if bias else weight[-1] if weight else None
    hidden: Dim = sizes[2] if sizes else over(total, 3)
    if shape is None or len(shape) != _RANK_OF_SEQUENCE:
        return [(element, None), (element, None)]
    length = plus(past[3], shape[1]) if past else shape[1]
    return [(element, (*shape[:2], hidden)), (element, (2, shape[0], heads, length, over(hidden, heads)))]


_BYTES = (TensorProto.INT8, TensorProto.UINT8)
_RANK_OF_SEQUENCE, _PACKED_PAIRS, _PACKED_HEADS = 3, 5, 4
_PLACE = 8


def _multi_head(call: Call) -> Sequence[Result]:
    query, key, value, heads = call.shape(0), call.shape(1), call.shape(2), int(call.attribute("num_heads", 0))
    past = call.shape(6)
    element = call.dtype(0)
    if query is None or len(query) != _RANK_OF_SEQUENCE or key is None or value is None:
        return [(element, None)] * 4
    size = over(query[2], heads)
    is_split = len(key) == _PACKED_HEADS
    new = key[2] if is_split else key[1]
    width = value[3] if is_split and len(value) == _PACKED_HEADS else over(value[2], heads)
    is_buffer = past is not None and call.has(_PLACE)
    total = None if is_buffer else plus(past[2], new) if past else new
    kept = past[2] if past is not None and is_buffer else total
    states = [(element, (query[0], heads, kept, each)) for each in (size, width)]
    scores = (element, (query[0], heads, query[1], total))
    return [(element, (*query[:2], times(width, heads))), *states, scores]


def _decoder_masked(call: Call) -> Sequence[Result]:
    query, key, value, heads = call.shape(0), call.shape(1), call.shape(2), int(call.attribute("num_heads", 0))
    past, element = call.shape(5), call.dtype(0)
    if query is None or key is None or value is None:
        return [(element, None)] * 4
    is_split = len(key) == _PACKED_HEADS
    width = value[3] if is_split else over(value[2], heads)
    total = key[2] if is_split else None
    if past is not None and not is_split:
        total = past[2] if call.attribute("past_present_share_buffer", 0) else plus(past[2], key[1])
    states = [(element, (query[0], heads, total, each)) for each in (over(query[2], heads), width)]
    return [(element, (*query[:2], times(width, heads))), *states, (element, (query[0], heads, query[1], total))]


def _group_query(call: Call) -> Sequence[Result]:
    query, heads = call.shape(0), int(call.attribute("num_heads", 0))
    keys, past = int(call.attribute("kv_num_heads", 0)), call.shape(3)
    element = call.dtype(0)
    if query is None or len(query) != _RANK_OF_SEQUENCE:
        return [(element, None)] * 4
    packed = not call.has(1)
    size = over(query[2], heads + 2 * keys if packed else heads)
    hidden = times(size, heads) if packed else query[2]
    told = call.constant(6)
    total: Dim = None if not told else told[0]
    if isinstance(total, int) and past is not None:
        total = max(total, past[2]) if isinstance(past[2], int) else None
    state = (call.dtype(3) or element, (query[0], keys, total, size))
    return [(element, (*query[:2], hidden)), state, state, (element, (query[0], heads, query[1], total))]


ATTENTION_SHAPES: Mapping[str, ShapeFunction] = {
    "Attention": _attention,
    "DecoderMaskedMultiHeadAttention": _decoder_masked,
    "GroupQueryAttention": _group_query,
    "MultiHeadAttention": _multi_head,
    "QAttention": _attention,
}
"""By op type."""
