"""Queries that share heads of keys: stacked along the length, so that no key is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.graph.protos import Dim


class Heads(NamedTuple):
    """Operands as (batch, heads, length, size), and the numbers of heads."""

    query: Value
    key: Value
    value: Value
    queries: int
    keys: int


class GroupedHeads:
    """Stacks queries that share a head of keys, and splits the results again.

    Args:
        heads: The operands.
        total: Number of keys, past ones included.

    Raises:
        NotApplicable: The heads of queries do not share those of keys evenly.
    """

    def __init__(self, heads: Heads, total: Dim) -> None:
        if heads.queries % heads.keys:
            raise NotApplicable(f"{heads.queries} heads of queries do not share {heads.keys} of keys evenly")
        self._heads = heads
        self._group = heads.queries // heads.keys
        self._total = total

    def stack(self, new: SubgraphBuilder, value: Value) -> Value:
        """(batch, queries, length, n) as (batch, keys, group * length, n)."""
        if self._group == 1:
            return value
        shape = value.dims
        last = shape[3] if isinstance(shape[3], int) else self._total
        if isinstance(last, int):
            return new.reshape(value, (0, self._heads.keys, -1, last))
        if isinstance(shape[2], int):
            return new.reshape(value, (0, self._heads.keys, self._group * shape[2], -1))
        sizes = new.op("Shape", value)
        batch, tail = (new.slice(sizes, [start], [start + 1], [0]) for start in (0, 3))
        stacked = new.concat([batch, new.constant([self._heads.keys, -1]), tail], 0)
        return new.op("Reshape", value, stacked)

    def split(self, new: SubgraphBuilder, value: Value, last: int | None = None) -> Value:
        """(batch, keys, group * length, n) as (batch, queries, length, n)."""
        if self._group == 1:
            return value
        length = self._heads.query.dims[2]
        size = last if last is not None else self._total
        if isinstance(size, int):
            return new.reshape(value, (0, self._heads.queries, -1, size))
        if isinstance(length, int):
            return new.reshape(value, (0, self._heads.queries, length, -1))
        sizes = new.op("Shape", value)
        batch, tail = (new.slice(sizes, [start], [start + 1], [0]) for start in (0, 3))
        return new.op("Reshape", value, new.concat([batch, new.constant([self._heads.queries, -1]), tail], 0))
