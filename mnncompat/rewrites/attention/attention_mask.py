"""The keys that Attention may attend to: masks, causality, windows and padded caches as one condition and one bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.graph.protos import Dim
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

LOWEST = float(np.finfo(np.float32).min)
"""Scores that are not above it belong to masked keys."""


class Mask:
    """The mask of the scores of an Attention node.

    Args:
        node: The node.
        new: Where to emit nodes.
        query: Queries, (batch, heads, length, size).
        key: All keys, past ones included, (batch, heads, length, size).

    Attributes:
        may_be_empty: True if all keys of a query may be masked.

    Raises:
        NotApplicable: The mask is of integers.
    """

    def __init__(self, node: NodeFacts, new: SubgraphBuilder, query: Value, key: Value) -> None:
        self._new = new
        self._query, self._key = query, key
        self._element = query.element
        self._known: list[np.ndarray] = []
        self._computed: list[Value] = []
        self._bias: Value | None = None
        self._draw_positions(node)
        if new.has(3):
            self._draw_mask(new.input(3))
        known = np.logical_and.reduce(np.broadcast_arrays(*self._known)) if self._known else None
        self._constant = None if known is None or known.all() else known
        empty = self._constant is not None and not bool(self._constant.any(axis=-1).all())
        self.may_be_empty = empty or bool(self._computed) or self._bias is not None

    def apply(self, scores: Value) -> Value:
        """The scores with minus infinity for masked keys, and with the bias added."""
        new, nothing = self._new, np.asarray(-np.inf, self._element)
        if self._bias is not None:
            scores = scores + self._bias
        if self._computed:
            allowed = self._computed[0]
            for each in self._computed[1:]:
                allowed = new.op("And", allowed, each)
            if self._constant is not None:
                allowed = new.op("And", allowed, new.constant(self._constant))
            return new.op("Where", allowed, scores, nothing)
        if self._constant is not None:
            return scores + np.where(self._constant, np.zeros_like(nothing), nothing)
        return scores

    def _draw_mask(self, mask: Value) -> None:
        """The mask operand; keys beyond its last column are masked."""
        new = self._new
        if not mask.is_float and mask.dtype != TensorProto.BOOL:
            raise NotApplicable(f"the mask is {TensorProto.DataType.Name(mask.dtype)}")
        if mask.dims[-1] == 1 and self._key.dims[2] != 1:
            raise NotApplicable("the mask has one column, which may mean every key or the first alone")
        missing, constant = self._missing(mask), mask.constant
        if constant is not None and mask.dtype == TensorProto.BOOL and isinstance(missing, np.integer):
            self._known.append(np.pad(constant, [(0, 0)] * (constant.ndim - 1) + [(0, int(missing))]))
        elif mask.dtype == TensorProto.BOOL:
            if not isinstance(missing, np.integer) or missing:
                mask = new.op("Greater", self._filled(new.cast(mask, TensorProto.FLOAT), missing, 0.0), 0.5)
            self._computed.append(mask)
        else:
            self._bias = self._filled(new.cast(mask, self._query.dtype), missing, -np.inf)

    def _missing(self, mask: Value) -> Any:
        """The number of keys minus the number of columns of the mask: a number, or a value of shape [1]."""
        total, length = self._key.dims[2], mask.dims[-1]
        if total is not None and total == length:
            return np.int64(0)
        return self._difference(self._size(self._key), self._size(mask, mask.rank - 1))

    def _filled(self, mask: Value, missing: Any, number: float) -> Value:
        """The mask with further columns of one number at its end."""
        if isinstance(missing, np.integer):
            return self._new.pad(mask, [0] * (2 * mask.rank - 1) + [int(missing)], number)
        widths = self._new.concat([self._new.constant([0] * (2 * mask.rank - 1)), missing], 0)
        return self._new.op("Pad", mask, widths, number)

    def _draw_positions(self, node: NodeFacts) -> None:
        """Causality, windows, and the end of padded caches."""
        before, after = ([node.attribute(name)] for name in ("left_window_size", "right_window_size"))
        low = before[0] if before[0] is not None and before[0] >= 0 else None
        high = after[0] if after[0] is not None and after[0] >= 0 else None
        if node.attribute("is_causal"):
            high = 0
        padded = self._new.has(6)
        if low is None and high is None and not padded:
            return
        columns, length = self._range(self._key), self._size(self._query)
        ends = self._lengths_by_batch(self._new.input(6)) if padded else None
        if padded:
            self._allow("Less", columns, ends)
        if low is None and high is None:
            return
        offset = self._difference(ends, length) if padded else self._past()
        rows = self._sum(self._column(self._range(self._query)), offset)
        if high is not None:
            self._allow("LessOrEqual", columns, self._sum(rows, np.int64(high)))
        if low is not None:
            self._allow("LessOrEqual", self._difference(rows, np.int64(low)), columns)

    # ---- numbers that are known, or computed ---------------------------------------------------------------------

    def _size(self, value: Value, axis: int = 2) -> Any:
        """A dimension that is the length of a sequence: a number, or a value of shape [1]."""
        size: Dim = value.dims[axis]
        if isinstance(size, int):
            return np.int64(size)
        return self._new.slice(self._new.op("Shape", value), [axis], [axis + 1], [0])

    def _past(self) -> Any:
        return self._size(self._new.input(4)) if self._new.has(4) else np.int64(0)

    def _range(self, value: Value) -> Any:
        """0, 1, ... up to the length of a sequence."""
        size, new = self._size(value), self._new
        if isinstance(size, np.integer):
            return np.arange(size)
        zero, one = new.constant(np.asarray(0)), new.constant(np.asarray(1))
        return new.op("Range", zero, new.squeeze(size, (0,)), one)

    def _column(self, row: Any) -> Any:
        return row[:, np.newaxis] if isinstance(row, np.ndarray) else self._new.unsqueeze(row, (1,))

    def _lengths_by_batch(self, lengths: Value) -> Any:
        """Lengths of the batch's caches, (batch,), as (batch, 1, 1, 1)."""
        constant = lengths.constant
        return self._new.unsqueeze(lengths, (1, 2, 3)) if constant is None else constant.reshape(-1, 1, 1, 1)

    def _sum(self, one: Any, two: Any) -> Any:
        if isinstance(two, np.integer) and two == 0:
            return one
        return one + two if self._is_known(one, two) else self._new.op("Add", *self._values(one, two))

    def _difference(self, one: Any, two: Any) -> Any:
        if isinstance(two, np.integer) and two == 0:
            return one
        return one - two if self._is_known(one, two) else self._new.op("Sub", *self._values(one, two))

    def _allow(self, op: str, one: Any, two: Any) -> None:
        if self._is_known(one, two):
            self._known.append({"Less": np.less, "LessOrEqual": np.less_equal}[op](one, two))
        else:
            self._computed.append(self._new.op(op, *self._values(one, two)))

    def _values(self, *numbers: Any) -> list[Value]:
        return [
            self._new.constant(np.asarray(each, np.int64)) if isinstance(each, (np.ndarray, np.integer)) else each
            for each in numbers
        ]

    @staticmethod
    def _is_known(*numbers: Any) -> bool:
        return all(isinstance(each, (np.ndarray, np.integer)) for each in numbers)
