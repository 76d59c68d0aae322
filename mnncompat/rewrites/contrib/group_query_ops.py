"""Attention of queries that share keys, with a cache and rotation; `contrib-op-to-onnx` calls it.

Every sequence of the batch has a length of its own: ``seqlens_k + 1`` keys count, the queries are the last of them, and
what a sequence does not fill of the cache is zero. Lengths, and whether this is the first call (``prompt``), are known
at run time, and computed at once where they are constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.attention.grouped_heads import Heads
from mnncompat.rewrites.attention.rotation import Turn
from mnncompat.rewrites.contrib.attention_parts import Products, length_of, merge_heads, numbers_below, split_heads
from mnncompat.rewrites.contrib.precision import in_float32
from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_KEY, _VALUE, _PAST, _LENGTHS, _TOTAL, _COSINE, _SINE, _POSITIONS, _BIAS, _SINK = 1, 2, 3, 5, 6, 7, 8, 9, 10, 11
_QUERY_NORM, _QUERY_LENGTHS = 14, 16
_SHOWN, _BEFORE, _AFTER = 3, 1, 2
"""The output of scores, and the values of ``qk_output``."""


def examples() -> tuple[Example, ...]:
    """One of each kind."""
    ms = '"": 17, "com.microsoft": 1'
    return (
        rewritten(
            "first call",
            """(float[1,3,32] q, float[1,3,16] k, float[1,3,16] v) => (float[1,3,32] y, float[1,1,3,16] pk,
            float[1,1,3,16] pv)
            <int32[1] l = {2}, int32[1] t = {3}> {
            y, pk, pv = com.microsoft.GroupQueryAttention<num_heads=2, kv_num_heads=1>(q, k, v, , , l, t) }""",
            imports=ms,
            becomes="2 MatMul, Mul, 8 Reshape, Softmax, 5 Transpose, Where",
        ),
        refused(
            "quantised cache",
            "quantised",
            """(float[1,1,8] q, float[1,1,4] k, float[1,1,4] v, int8[1,1,2,4] a, int8[1,1,2,4] b) => (float[1,1,8] y,
            int8[1,1,3,4] pk, int8[1,1,3,4] pv) <int32[1] l = {2}, int32[1] t = {3}, float s = {0.1}> {
            y, pk, pv = com.microsoft.GroupQueryAttention<num_heads=2, kv_num_heads=1, k_quant_type="PER_TENSOR",
            v_quant_type="PER_TENSOR", kv_cache_bit_width=8>(q, k, v, a, b, l, t, , , , , , s, s) }""",
            imports=ms,
        ),
    )


class _Lengths:
    """Lengths of the sequences of a batch, as int64.

    Args:
        new: Where to emit nodes.
        query: (batch, heads, length, size).

    Attributes:
        steps: Number of queries, (1,).
        total: Number of keys that the cache has afterwards, (1,).
        keys: Number of keys of each sequence, (batch or 1, 1, 1, 1).
        past: Of these, the number of keys of earlier calls, likewise.
        columns: 0, 1, ... below `total`.
        is_prompt: Whether this is the first call, of one element or a number; only where there is a cache.
    """

    def __init__(self, new: SubgraphBuilder, query: Value) -> None:
        self._new = new
        self.steps = length_of(new, query, 2)
        lengths = shaped(new, self._wide(new.input(_LENGTHS)), (-1, 1, 1, 1))
        self.keys = self._do("Add", lengths, new.constant([1]))
        total = shaped(new, self._wide(new.input(_TOTAL)), (1,))
        self.has_past = new.has(_PAST)
        self.is_prompt: Value | None = None
        zero = new.constant(np.zeros((1, 1, 1, 1), np.int64))
        self.total, self.past, self._stated = total, zero, total
        if self.has_past:
            self.total = self._do("Max", total, length_of(new, new.input(_PAST), 2))
            self.is_prompt = self._do("Equal", self.steps, total)
            self.past = self._do("Where", self.is_prompt, zero, self._do("Sub", self.keys, self.steps))
        self.columns = numbers_below(new, self.total)

    def counted(self, value: Value) -> Value:
        """Keys or values without those that no sequence fills: a bias of the scores has no columns for them."""
        if self.are_counted:
            return value
        self.columns = numbers_below(self._new, self._stated)
        return self.cut(value, 2)

    def cut(self, value: Value, axis: int) -> Value:
        """A value without what stands for keys that no sequence fills."""
        if self.are_counted:
            return value
        return self._new.op("Slice", value, self._new.constant([0]), self._stated, self._new.constant([axis]))

    @property
    def are_counted(self) -> bool:
        """Whether the cache holds as many keys as the longest sequence, as far as is known beforehand."""
        known = self._stated.constant
        return not self.has_past or (known is not None and known == self.total.constant)

    def _wide(self, value: Value) -> Value:
        constant = value.constant
        new = self._new
        return new.cast(value, TensorProto.INT64) if constant is None else new.constant(constant.astype(np.int64))

    def _do(self, op: str, *values: Value) -> Value:
        return computed(self._new, op, *values)


_FORMULAS: dict[str, Callable[..., np.ndarray]] = {
    "Add": np.add,
    "Equal": np.equal,
    "LessOrEqual": np.less_equal,
    "Less": np.less,
    "Max": np.maximum,
    "Min": np.minimum,
    "Sub": np.subtract,
    "Where": np.where,
    "And": np.logical_and,
}


def computed(new: SubgraphBuilder, op: str, *values: Value) -> Value:
    """A result of integers, at once if all of them are constant."""
    constants = [each.constant for each in values]
    if any(each is None for each in constants):
        return new.op(op, *values)
    return new.constant(np.asarray(_FORMULAS[op](*constants)))


def shaped(new: SubgraphBuilder, value: Value, shape: Sequence[int]) -> Value:
    """A value in another shape, at once if it is constant."""
    constant = value.constant
    return new.reshape(value, shape) if constant is None else new.constant(constant.reshape(shape))


def _group_query(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """GroupQueryAttention."""
    _refuse(node, new)
    heads, keys = int(node.attribute("num_heads")), int(node.attribute("kv_num_heads"))
    query, key, value, narrow = _operands(new, heads, keys)
    lengths = _Lengths(new, query)
    if node.attribute("do_rotary"):
        query, key = _rotated(node, new, lengths, (query, key))
    key, value = (_cached(new, lengths, each, position) for position, each in ((_PAST, key), (_PAST + 1, value)))
    counted = [lengths.counted(each) for each in (key, value)] if new.has(_BIAS) else [key, value]
    products = Products(Heads(query, counted[0], counted[1], heads, keys), _stated(node, "scale"))
    scores = products.scores(new)
    cap = _stated(node, "softcap")
    if cap:
        scores = new.op("Tanh", scores / cap) * cap
    if new.has(_BIAS):
        scores = scores + in_float32(new, new.input(_BIAS))[0]
    allowed = _allowed(node, new, lengths)
    weights = _weights(node, new, new.op("Where", allowed, scores, np.asarray(-np.inf, scores.element)), heads)
    size = query.dim(3)
    merged = merge_heads(new, products.result(new, weights, size), heads * size)
    results: list[Value | None] = [narrow(merged), narrow(key), narrow(value)]
    if not new.is_output_used(_SHOWN):
        return results
    shown = weights
    if node.attribute("qk_output") == _BEFORE:
        shown = new.op("Where", allowed, scores, np.zeros((), scores.element))
    return [*results, narrow(shown if new.has(_BIAS) else lengths.cut(shown, 3))]


def _refuse(node: NodeFacts, new: SubgraphBuilder) -> None:
    if node.attribute("k_quant_type") not in (None, "NONE") or node.attribute("v_quant_type") not in (None, "NONE"):
        raise NotApplicable("the cache is quantised")
    if node.attribute("sliding_window_cache"):
        raise NotApplicable("the cache holds a window only")
    if new.has(_QUERY_NORM):
        raise NotApplicable(
            "queries and keys are normalised, for which ONNX Runtime's CPU has no kernel to compare with"
        )
    if new.has(_QUERY_LENGTHS):
        raise NotApplicable("the numbers of queries differ within the batch")
    if new.is_output_used(_SHOWN) and node.attribute("qk_output") not in (_BEFORE, _AFTER):
        raise NotApplicable("the scores are used, and qk_output does not say which: ONNX Runtime writes none")


def _stated(node: NodeFacts, name: str) -> float | None:
    number = node.attribute(name)
    return None if number is None else float(number)


def _operands(new: SubgraphBuilder, heads: int, keys: int) -> tuple[Value, Value, Value, Callable[[Value], Value]]:
    """Queries, keys and values with their heads along axis 1, and what brings a result back to their type."""
    query, narrow = in_float32(new, new.input(0))
    if new.has(_KEY) != new.has(_VALUE):
        raise NotApplicable("keys without values")
    if not new.has(_KEY):
        size = query.dim(2) // (heads + 2 * keys)
        query, key, value = new.split(query, [heads * size, keys * size, keys * size], 2)
    else:
        key, value = (in_float32(new, new.input(position))[0] for position in (_KEY, _VALUE))
        if key.rank != query.rank or key.dims[1] == 0:
            raise NotApplicable("the keys are those of another layer's cache")
    return split_heads(new, query, heads), split_heads(new, key, keys), split_heads(new, value, keys), narrow


def _rotated(
    node: NodeFacts, new: SubgraphBuilder, lengths: _Lengths, pair: tuple[Value, Value]
) -> tuple[Value, Value]:
    """Queries and keys, turned by the angles of their positions."""
    half = new.input(_COSINE).dim(1)
    positions = _positions(new, lengths)
    cosine, sine = (
        new.unsqueeze(new.op("Gather", in_float32(new, new.input(each))[0], positions, axis=0), (1,))
        for each in (_COSINE, _SINE)
    )
    turn = Turn(cosine, sine, 2 * half, interleaved=bool(node.attribute("rotary_interleaved")))
    return turn.apply(new, pair[0]), turn.apply(new, pair[1])


def _positions(new: SubgraphBuilder, lengths: _Lengths) -> Value:
    """Positions of the queries, (batch or 1, length)."""
    rows = shaped(new, numbers_below(new, lengths.steps), (1, -1))
    if new.has(_POSITIONS):
        given = new.input(_POSITIONS)
        first = computed(new, "Add", rows, new.slice(shaped(new, given, (1, -1)), [0], [1], [1]))
        if lengths.is_prompt is None:
            return first
        return new.op("Where", shaped(new, lengths.is_prompt, (1, 1)), first, given)
    return computed(new, "Add", rows, shaped(new, lengths.past, (-1, 1)))


def _cached(new: SubgraphBuilder, lengths: _Lengths, added: Value, position: int) -> Value:
    """The cache afterwards: what each sequence had, the new keys or values behind it, then zeros."""
    fresh = _placed(new, lengths, added)
    if not lengths.has_past:
        return fresh
    past = in_float32(new, new.input(position))[0]
    known, total = lengths.past.constant, lengths.total.constant
    if known is not None and total is not None and isinstance(past.dims[2], int):
        steps = added.dims[2]
        if (known == past.dims[2]).all() and past.dims[2] + (steps if isinstance(steps, int) else -1) == total[0]:
            return new.concat([past, added], 2)
    longer = new.op("Slice", new.concat([past, added], 2), new.constant([0]), lengths.total, new.constant([2]))
    column = shaped(new, lengths.columns, (-1, 1))
    return new.op("Where", computed(new, "Less", column, lengths.past), longer, fresh)


def _placed(new: SubgraphBuilder, lengths: _Lengths, added: Value) -> Value:
    """New keys or values, shifted by the past of the sequence, zeros elsewhere: products with 0 and 1 are exact."""
    column = shaped(new, lengths.columns, (-1, 1))
    steps, past, total = added.dims[2], lengths.past.constant, lengths.total.constant
    if past is not None and not past.any() and total is not None and isinstance(steps, int):
        missing = int(total[0]) - steps
        return new.pad(added, [0] * 6 + [missing, 0]) if missing else added
    if steps == 1:
        here = computed(new, "Equal", column, lengths.past)
        return new.op("Where", here, added, np.zeros((), added.element))
    rows = shaped(new, numbers_below(new, lengths.steps), (1, -1))
    here = computed(new, "Equal", column, computed(new, "Add", rows, lengths.past))
    return new.cast(here, added.dtype) @ added


def _allowed(node: NodeFacts, new: SubgraphBuilder, lengths: _Lengths) -> Value:
    """The keys that each query may see, broadcastable to the scores."""
    one = new.constant([1])
    rows = shaped(new, numbers_below(new, lengths.steps), (-1, 1))
    ends = computed(new, "Add", computed(new, "Add", rows, lengths.past), one)
    ends = computed(new, "Min", ends, lengths.keys)
    causal = node.attribute("causal")
    if causal is not None and not causal:
        return computed(new, "Less", lengths.columns, lengths.keys)
    seen = computed(new, "Less", lengths.columns, ends)
    window = node.attribute("local_window_size")
    if window is not None and window >= 0:
        starts = computed(new, "Sub", ends, new.constant([int(window)]))
        seen = computed(new, "And", seen, computed(new, "LessOrEqual", starts, lengths.columns))
    return seen


def _weights(node: NodeFacts, new: SubgraphBuilder, scores: Value, heads: int) -> Value:
    """Softmax; with one more score in the sum that belongs to no key, if there is a sink."""
    if not new.has(_SINK) and node.attribute("smooth_softmax") != 1:
        return new.op("Softmax", scores, axis=-1)
    sink = new.constant(np.zeros((1, 1, 1, 1), scores.element))
    if new.has(_SINK):
        sink = shaped(new, in_float32(new, new.input(_SINK))[0], (1, heads, 1, 1))
    best = new.op("Max", new.reduce("ReduceMax", scores, (-1,)), sink)
    powers = new.op("Exp", scores - best)
    return powers / (new.reduce("ReduceSum", powers, (-1,)) + new.op("Exp", sink - best))


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "GroupQueryAttention": _group_query,
}
"""How each is emitted, by op type."""
