"""What the attention operators of ONNX Runtime's own domain have in common: heads, masks and the products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.attention.grouped_heads import GroupedHeads, Heads
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.graph.protos import Dim
    from mnncompat.support.node_facts import NodeFacts

_FILTER = -10000.0
_OF_LENGTHS, _OF_KEYS, _OF_PAIRS = 1, 2, 3


def split_heads(new: SubgraphBuilder, value: Value, count: int) -> Value:
    """(batch, length, heads * size) as (batch, heads, length, size)."""
    size = value.dim(2)
    if size % count:
        raise NotApplicable(f"{size} columns are not {count} heads")
    return new.transpose(new.reshape(value, (0, 0, count, size // count)), (0, 2, 1, 3))


def merge_heads(new: SubgraphBuilder, value: Value, columns: int) -> Value:
    """(batch, heads, length, size) as (batch, length, heads * size)."""
    return new.reshape(new.transpose(value, (0, 2, 1, 3)), (0, 0, columns))


def length_of(new: SubgraphBuilder, value: Value, axis: int) -> Value:
    """A dimension as int64 of shape [1]; a constant if it is static."""
    size = value.dims[axis]
    if isinstance(size, int):
        return new.constant([size])
    return new.slice(new.op("Shape", value), [axis], [axis + 1], [0])


def numbers_below(new: SubgraphBuilder, count: Value) -> Value:
    """0, 1, ... below a number of shape [1], as int64."""
    if count.constant is not None:
        return new.constant(np.arange(int(count.constant[0])))
    zero, one = new.constant(np.asarray(0)), new.constant(np.asarray(1))
    return new.op("Range", zero, new.squeeze(count, (0,)), one)


class Masks:
    """What is added to the scores of (batch, heads, queries, keys) before they go into Softmax.

    Args:
        node: The node, whose attributes state the number for masked keys and causality.
        new: Where to emit nodes.
        query: Queries, (batch, heads, length, size).
        key: All keys, past ones included, (batch, heads, length, size).
        new_keys: Number of keys that are not past ones.
        past: Past keys; None if there are none.
    """

    def __init__(
        self, node: NodeFacts, new: SubgraphBuilder, query: Value, key: Value, new_keys: Dim, past: Value | None
    ) -> None:
        self._new = new
        self._query, self._key, self._new_keys, self._past = query, key, new_keys, past
        stated = node.attribute("mask_filter_value")
        self._filter = _FILTER if stated is None else float(stated)
        self._is_causal = bool(node.attribute("unidirectional"))

    def added(self, mask: Value | None) -> list[Value]:
        """The biases that stand for a mask of integers and for causality.

        Raises:
            NotApplicable: The form of the mask is not known, or ONNX Runtime's CPU does not have it.
        """
        found = [] if mask is None else self._of_integers(mask)
        return [*found, *(self._causal() if self._is_causal else [])]

    def _of_integers(self, mask: Value) -> list[Value]:
        rank = mask.rank
        if rank == _OF_LENGTHS:
            return [self._of_lengths(mask)]
        if rank == _OF_KEYS and mask.dims[1] == 1:
            if self._key.dims[2] == 1:
                raise NotApplicable("a mask of one column for one key")
            return []  # the same for all keys, which changes nothing
        if rank == _OF_KEYS:
            return [self._hidden(self._new.unsqueeze(mask, (1, 2)))]
        if rank == _OF_PAIRS:
            return [self._hidden(self._new.unsqueeze(mask, (1,)))]
        raise NotApplicable(f"a mask of rank {rank}")

    def _hidden(self, mask: Value) -> Value:
        """0 where an integer is positive, the number for masked keys elsewhere."""
        new = self._new
        is_seen = new.op("Greater", mask, new.constant(np.zeros((), mask.element)))
        return self._chosen(is_seen, 0.0, self._filter)

    def _chosen(self, condition: Value, yes: float, no: float) -> Value:
        element = self._query.element
        return self._new.op("Where", condition, np.asarray(yes, element), np.asarray(no, element))

    def _of_lengths(self, mask: Value) -> Value:
        """Numbers of keys by sequence; behind them where the keys begin, or sums of lengths that nothing reads."""
        new, batch, count = self._new, self._query.dims[0], mask.dims[0]
        columns = numbers_below(new, length_of(new, self._key, 2))
        element = np.dtype(np.int64)
        lengths = mask if mask.element == element else new.cast(mask, TensorProto.INT64)
        if count == batch and batch is not None:
            ends, starts = lengths, None
        elif isinstance(batch, int) and count == 2 * batch:
            ends, starts = new.split(lengths, [batch, batch], 0)
        elif isinstance(batch, int) and count == 3 * batch + 2:
            ends, starts = new.slice(lengths, [0], [batch], [0]), None
        else:
            raise NotApplicable(f"a mask of {count} numbers for a batch of {batch}")
        seen = new.op("Less", columns, new.unsqueeze(ends, (1, 2, 3)))
        if starts is not None:
            begun = new.op("Not", new.op("Less", columns, new.unsqueeze(starts, (1, 2, 3))))
            seen = new.op("And", seen, begun)
        return self._chosen(seen, 0.0, self._filter)

    def _causal(self) -> list[Value]:
        """Minus infinity for keys behind the query, which follows the past ones; the last query sees all of them."""
        new, steps, total = self._new, self._query.dims[2], self._key.dims[2]
        if steps == 1:
            return []
        past = new.constant([0]) if self._past is None else length_of(new, self._past, 2)
        if isinstance(steps, int) and isinstance(total, int) and past.constant is not None:
            row = np.arange(steps)[:, None]
            allowed = (np.arange(total) <= row + past.constant) | (row == steps - 1)
            nothing = np.asarray(-np.inf, self._query.element)
            return [new.constant(np.where(allowed, np.zeros_like(nothing), nothing))]
        count = length_of(new, self._query, 2)
        rows = new.unsqueeze(numbers_below(new, count), (1,))
        columns = numbers_below(new, length_of(new, self._key, 2))
        seen = new.op("LessOrEqual", columns, rows + past)
        if self._new_keys != steps:
            seen = new.op("Or", seen, new.op("Equal", rows, count - 1))
        return [self._chosen(seen, 0.0, -np.inf)]


class Products:
    """The products of attention.

    Args:
        heads: Queries, and all keys and values, past ones included.
        scale: Of the scores; None for one over the root of the size of a head.
    """

    def __init__(self, heads: Heads, scale: float | None) -> None:
        self._heads = heads
        self._scale = scale or heads.query.dim(3) ** -0.5
        self._groups = GroupedHeads(heads, heads.key.dims[2])

    def scores(self, new: SubgraphBuilder) -> Value:
        """(batch, heads of queries, queries, keys)."""
        heads, groups = self._heads, self._groups
        keys = new.transpose(heads.key, (0, 1, 3, 2))
        return groups.split(new, groups.stack(new, heads.query * self._scale) @ keys)

    def result(self, new: SubgraphBuilder, weights: Value, size: int) -> Value:
        """(batch, heads of queries, queries, size of values)."""
        groups = self._groups
        return groups.split(new, groups.stack(new, weights) @ self._heads.value, size)


def summed(scores: Value, biases: Sequence[Value]) -> Value:
    """The scores with every bias added, these first."""
    if not biases:
        return scores
    total = biases[0]
    for each in biases[1:]:
        total = total + each
    return scores + total
