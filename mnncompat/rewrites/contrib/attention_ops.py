"""Attention of ONNX Runtime's own domain, with and without projection; `contrib-op-to-onnx` calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from onnx import TensorProto

from mnncompat.rewrites.attention.grouped_heads import Heads
from mnncompat.rewrites.attention.rotation import Turn
from mnncompat.rewrites.contrib.attention_parts import (
    Masks,
    Products,
    length_of,
    merge_heads,
    numbers_below,
    split_heads,
    summed,
)
from mnncompat.rewrites.contrib.precision import in_float32
from mnncompat.rewrites.contrib.quantized_parameters import column_parameter, tensor_scale
from mnncompat.rewrites.contrib.quantized_products import scaled_product
from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.graph.protos import Dim
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_SPLIT = 4
_PACKED = 3


def examples() -> tuple[Example, ...]:
    """One of each kind."""
    ms = '"": 17, "com.microsoft": 1'
    return (
        rewritten(
            "attention with projection, mask of keys and past",
            """(float[N,3,8] x, int32[N,5] m, float[2,N,2,2,4] p) => (float[N,3,8] y, float[2,N,2,5,4] s) {
            y, s = com.microsoft.Attention<num_heads=2, unidirectional=1>(x, w, b, m, p) }""",
            becomes="""3 Add, 3 Concat, Greater, 3 MatMul, Mul, 4 Reshape, Softmax, 2 Split, 2 Squeeze, 5 Transpose,
            3 Unsqueeze, Where""",
            imports=ms,
            w=(8, 24),
            b=(24,),
        ),
        rewritten(
            "attention of several heads, bias of the scores",
            """(float[N,3,8] q, float[N,4,8] k, float[N,4,8] v, float[1,1,3,4] a) => (float[N,3,8] y) {
            y = com.microsoft.MultiHeadAttention<num_heads=2>(q, k, v, , , a) }""",
            becomes="Add, 2 MatMul, Mul, 4 Reshape, Softmax, 5 Transpose",
            imports=ms,
        ),
        rewritten(
            "rotation of the beginning of packed heads",
            """(float[N,3,16] x, int64[N,3] p) => (float[N,3,16] y) {
            y = com.microsoft.RotaryEmbedding<num_heads=2, rotary_embedding_dim=4>(x, p, c, s) }""",
            becomes="Add, Concat, 2 Gather, 4 Mul, 2 Reshape, Split, Sub, 2 Unsqueeze",
            imports=ms,
            c=(9, 2),
            s=(9, 2),
        ),
        refused(
            "packed queries, keys and values",
            "only the queries are given",
            """(float[1,3,2,3,4] q) => (float[1,3,8] y) { y = com.microsoft.MultiHeadAttention<num_heads=2>(q) }""",
            imports=ms,
        ),
    )


class _Attended(NamedTuple):
    """Results of attention.

    Attributes:
        result: (batch, length, heads * size).
        key: All keys.
        value: All values.
        scores: Before Softmax.
    """

    result: Value
    key: Value
    value: Value
    scores: Value


class _Operands(NamedTuple):
    """What attention is computed of.

    Attributes:
        query: (batch, heads, length, size).
        key: Keys that are not past ones, like the query.
        value: Likewise.
        past: Keys and values that come before.
        mask: Of integers.
        bias: Of the scores.
        size: Of a head of values, where inference does not tell it.
    """

    query: Value
    key: Value
    value: Value
    past: tuple[Value, Value] | None = None
    mask: Value | None = None
    bias: Value | None = None
    size: int = 0


def _attended(node: NodeFacts, new: SubgraphBuilder, given: _Operands) -> _Attended:
    query, key, value = given.query, given.key, given.value
    new_keys: Dim = key.dims[2]
    if given.past is not None:
        key, value = (new.concat([past, each], 2) for past, each in zip(given.past, (key, value), strict=True))
    count = query.dim(1)
    products = Products(Heads(query, key, value, count, count), _scale(node))
    past = None if given.past is None else given.past[0]
    biases = Masks(node, new, query, key, new_keys, past).added(given.mask)
    if given.bias is not None:
        biases = [given.bias, *biases]
    scores = summed(products.scores(new), biases)
    size = given.size or value.dim(3)
    result = products.result(new, new.op("Softmax", scores, axis=-1), size)
    return _Attended(merge_heads(new, result, count * size), key, value, scores)


def _scale(node: NodeFacts) -> float | None:
    stated = node.attribute("scale")
    return None if stated is None else float(stated)


def _refuse_attributes(node: NodeFacts, *names: str) -> None:
    for name in names:
        if node.attribute(name):
            raise NotApplicable(f"{name} is {node.attribute(name)}")


def _optional(new: SubgraphBuilder, position: int) -> Value | None:
    return in_float32(new, new.input(position))[0] if new.has(position) else None


def _pair(new: SubgraphBuilder, key: int) -> tuple[Value, Value] | None:
    """Past keys and values, which are two operands."""
    if not new.has(key):
        return None
    return in_float32(new, new.input(key))[0], in_float32(new, new.input(key + 1))[0]


# ---- with projection ------------------------------------------------------------------------------------------------


def _attention(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """Attention: queries, keys and values are one product."""
    _refuse_attributes(node, "do_rotary", "past_present_share_buffer")
    value, narrow = in_float32(new, new.input(0))
    projected = value @ in_float32(new, new.input(1))[0]
    if new.has(2):
        projected = projected + in_float32(new, new.input(2))[0]
    sizes = node.attribute("qkv_hidden_sizes")
    return _self_attention(node, new, projected, sizes, (3, 4, 5), narrow)


def _quantized_attention(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """QAttention: the projection is a product of integers, the rest is of floats."""
    _refuse_attributes(node, "do_rotary", "past_present_share_buffer")
    operands = new.input(0), new.input(1)
    zero = new.input(6) if new.has(6) else None
    scales = tensor_scale(new, 3), column_parameter(new, 4)
    projected = scaled_product(new, operands, (zero, 7), scales, 2)
    return _self_attention(node, new, projected, None, (5, 8, 9), lambda result: result)


def _self_attention(
    node: NodeFacts,
    new: SubgraphBuilder,
    projected: Value,
    sizes: list[int] | None,
    positions: tuple[int, int, int],
    narrow: Callable[[Value], Value],
) -> list[Value | None]:
    """Attention of a projection; `positions` are those of mask, past and bias."""
    heads, total = int(node.attribute("num_heads")), projected.dim(2)
    parts = new.split(projected, list(sizes) if sizes else [total // 3] * 3, 2)
    query, key, value = (split_heads(new, each, heads) for each in parts)
    mask, past, bias = positions
    pair = None
    if new.has(past):
        both = new.split(in_float32(new, new.input(past))[0], [1, 1], 0)
        pair = new.squeeze(both[0], (0,)), new.squeeze(both[1], (0,))
    integers = new.input(mask) if new.has(mask) else None
    given = _Operands(query, key, value, pair, integers, _optional(new, bias))
    found = _attended(node, new, given)
    present = None
    if new.is_output_used(1):
        present = narrow(new.concat([new.unsqueeze(each, (0,)) for each in (found.key, found.value)], 0))
    return [narrow(found.result), present]


# ---- without --------------------------------------------------------------------------------------------------------


def _multi_head(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """MultiHeadAttention."""
    if not new.has(1) or not new.has(2):
        raise NotApplicable("only the queries are given, with keys and values packed into them")
    if new.has(9):
        raise NotApplicable("the keys are those of several beams")
    heads = int(node.attribute("num_heads"))
    narrow = in_float32(new, new.input(0))[1]
    query, key, value = _biased(new, 3, heads)
    mask = new.input(4) if new.has(4) else None
    if new.has(8):
        given = _Operands(query, key, value, _pair(new, 6), mask, _optional(new, 5))
        return _into_buffer(node, new, given, narrow, 8)
    found = _attended(node, new, _Operands(query, key, value, _pair(new, 6), mask, _optional(new, 5)))
    scores = narrow(found.scores) if new.is_output_used(3) else None
    return [narrow(found.result), narrow(found.key), narrow(found.value), scores]


def _biased(new: SubgraphBuilder, bias: int, heads: int) -> tuple[Value, Value, Value]:
    """Queries, keys and values with their heads along axis 1, and with the bias of the projection added."""
    operands = [in_float32(new, new.input(position))[0] for position in range(3)]
    if operands[0].rank != _PACKED:
        raise NotApplicable(f"the queries are of rank {operands[0].rank}")
    if new.has(bias):
        sizes = [operands[0].dim(2), operands[0].dim(2)]
        total = in_float32(new, new.input(bias))[0]
        parts = new.split(total, [*sizes, total.dim(0) - sum(sizes)], 0)
        operands = [each + part if each.rank == _PACKED else each for each, part in zip(operands, parts, strict=True)]
    split = [split_heads(new, each, heads) if each.rank == _PACKED else each for each in operands]
    if any(each.rank != _SPLIT for each in split):
        raise NotApplicable("keys and values are packed into one operand")
    return split[0], split[1], split[2]


def _decoder_masked(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """DecoderMaskedMultiHeadAttention: one query, whose key and value are appended to the past ones."""
    if new.has(8) or new.has(9):
        raise NotApplicable("the keys are those of several beams")
    heads = int(node.attribute("num_heads"))
    narrow = in_float32(new, new.input(0))[1]
    if not new.has(1) or not new.has(2):
        raise NotApplicable("keys and values are packed into the query")
    query, key, value = _biased(new, 10, heads)
    mask = new.input(3) if new.has(3) else None
    bias = _optional(new, 4)
    is_self = new.input(1).rank == _PACKED
    past = _pair(new, 5) if is_self else None
    scores: Value | None
    if past is not None and node.attribute("past_present_share_buffer"):
        return _into_buffer(node, new, _Operands(query, key, value, past, mask, bias), narrow, 7)
    found = _attended(node, new, _Operands(query, key, value, past, mask, bias))
    scores = narrow(found.scores) if new.is_output_used(3) else None
    return [narrow(found.result), narrow(found.key), narrow(found.value), scores]


def _into_buffer(
    node: NodeFacts, new: SubgraphBuilder, given: _Operands, narrow: Callable[[Value], Value], position: int
) -> list[Value | None]:
    """A cache of a fixed length: the new keys and values are written to the place that operand `position` states."""
    if given.past is None:
        raise NotApplicable("there is no cache")
    place = new.reshape(new.cast(new.input(position), TensorProto.INT64), (1,))
    if given.query.dims[2] == 1:
        return _one_into_buffer(node, new, given, narrow, place)
    zero, far, axis = (new.constant([number]) for number in (0, (1 << 31) - 1, 2))
    past = [new.op("Slice", each, zero, place, axis) for each in given.past]
    begun = _Operands(given.query, given.key, given.value, (past[0], past[1]), given.mask, given.bias)
    found = _attended(node, new, begun._replace(size=given.value.dim(3)))
    end = place + length_of(new, given.query, 2)
    rest = [new.op("Slice", each, end, far, axis) for each in given.past]
    key, value = (new.concat([seen, each], 2) for seen, each in zip((found.key, found.value), rest, strict=True))
    return [narrow(found.result), narrow(key), narrow(value), narrow(found.scores)]


def _one_into_buffer(
    node: NodeFacts, new: SubgraphBuilder, given: _Operands, narrow: Callable[[Value], Value], place: Value
) -> list[Value | None]:
    """The same for one new key, of which no part of the cache is empty."""
    if given.past is None:
        raise NotApplicable("there is no cache")
    columns = numbers_below(new, length_of(new, given.past[0], 2))
    written = new.unsqueeze(new.op("Equal", columns, place), (1,))
    key, value = (
        new.op("Where", written, each, past) for each, past in zip((given.key, given.value), given.past, strict=True)
    )
    zero, one, axis = (new.constant([number]) for number in (0, 1, 2))
    seen = [new.op("Slice", each, zero, place + one, axis) for each in (key, value)]
    size = given.value.dim(3)
    found = _attended(node, new, _Operands(given.query, seen[0], seen[1], None, given.mask, given.bias, size))
    return [narrow(found.result), narrow(key), narrow(value), narrow(found.scores)]


# ---- rotation -------------------------------------------------------------------------------------------------------


def _rotary(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """RotaryEmbedding, whose heads are packed, or split along axis 1."""
    given, half = new.input(0), new.input(2).dim(1)
    is_split = given.rank == _SPLIT
    turned = 2 * half
    if is_split:
        value = given
    else:
        width = given.dim(2)
        count = int(node.attribute("num_heads") or 0) if node.attribute("rotary_embedding_dim") else width // turned
        if not count or width % count:
            raise NotApplicable(f"{width} columns are not {count} heads")
        value = new.reshape(given, (0, 0, count, width // count))
    tables = (_angles(new, new.input(position), value, 2 if is_split else 1) for position in (2, 3))
    cosine, sine = (new.unsqueeze(each, (1 if is_split else 2,)) for each in tables)
    turn = Turn(cosine, sine, turned, interleaved=bool(node.attribute("interleaved")))
    result = turn.apply(new, value)
    return [result if is_split else new.reshape(result, (0, 0, given.dim(2)))]


def _angles(new: SubgraphBuilder, table: Value, value: Value, axis: int) -> Value:
    """Cosines or sines as (batch or 1, length, half)."""
    positions = new.input(1)
    if positions.rank == 1:  # of the first step
        steps = numbers_below(new, length_of(new, value, axis))
        positions = new.unsqueeze(steps + positions, (0,))
    return new.op("Gather", table, positions, axis=0)


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "Attention": _attention,
    "DecoderMaskedMultiHeadAttention": _decoder_masked,
    "MultiHeadAttention": _multi_head,
    "QAttention": _quantized_attention,
    "RotaryEmbedding": _rotary,
}
"""How each is emitted, by op type."""
