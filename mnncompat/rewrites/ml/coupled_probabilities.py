"""Probabilities of classes from those of pairs of them, as libsvm couples them.

The vector of probabilities is improved element by element until it settles; ONNX Runtime stops after the sweep that
brings all errors below 0.005 / classes. The sweeps are written out, and a vector that has settled is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 1e-7
_MOST_CLASSES = 8
_TOLERANCE = 0.005
_BINARY = 2


def _sweeps(count: int) -> int:
    """How many are written out: twice what 20,000 (two classes) and 3,000 (more) random vectors took at most."""
    return 4 if count == _BINARY else 8


def probabilities(
    new: SubgraphBuilder,
    scores: tuple[Value, Sequence[tuple[int, int]]],
    fits: tuple[np.ndarray, np.ndarray],
    count: int,
) -> Value:
    """Probabilities of the classes, (rows, classes).

    Args:
        new: Where to emit nodes.
        scores: Of pairs, (rows, pairs), and the classes of each pair.
        fits: Slopes and shifts of the logistic functions that make probabilities of the scores.
        count: Number of classes.

    Raises:
        NotApplicable: There are too many classes.
    """
    if count > _MOST_CLASSES:
        raise NotApplicable(f"probabilities of {count} classes, more than {_MOST_CLASSES}")
    values, pairs = scores
    slopes, shifts = (each[: len(pairs)] for each in fits)
    wins = new.clip(1.0 - new.op("Sigmoid", values * slopes + shifts), _LEAST, 1 - _LEAST)
    table, base = np.zeros((len(pairs), count, count), np.float32), np.zeros((count, count), np.float32)
    for row, (one, two) in enumerate(pairs):
        table[row, one, two], table[row, two, one] = 1, -1
        base[two, one] = 1
    flat = new.op("MatMul", wins, table.reshape(len(pairs), -1)) + base.reshape(-1)
    ratios = new.reshape(flat, (-1, count, count))
    own = new.reduce("ReduceSum", ratios * ratios, [1])
    matrix = own * np.eye(count, dtype=np.float32) - ratios * new.transpose(ratios, (0, 2, 1))
    diagonal = new.squeeze(own, (1,))
    columns = [new.squeeze(new.slice(matrix, [each], [each + 1], [2]), (2,)) for each in range(count)]
    parts = [new.slice(diagonal, [each], [each + 1], [1]) for each in range(count)]
    vector = new.slice(diagonal, [0], [count], [1]) * 0.0 + 1.0 / count
    for _ in range(_sweeps(count)):
        vector = _swept(new, vector, matrix, (columns, parts))
    return vector


def _swept(new: SubgraphBuilder, vector: Value, matrix: Value, given: tuple[list[Value], list[Value]]) -> Value:
    """The vector after one sweep, or as it is where all errors are small."""
    columns, parts = given
    count = len(parts)
    products = new.squeeze(new.op("MatMul", matrix, new.unsqueeze(vector, (2,))), (2,))
    form = new.reduce("ReduceSum", vector * products, [1])
    error = new.reduce("ReduceMax", new.op("Abs", products - form), [1])
    is_settled = new.op("Less", error, np.asarray(_TOLERANCE / count, np.float32))
    moved = vector
    for each in range(count):
        product = new.slice(products, [each], [each + 1], [1])
        step = (form - product) / parts[each]
        rest = step + 1.0
        unit = np.eye(count, dtype=np.float32)[each]
        moved = (moved + step * unit) / rest
        form = (form + step * (step * parts[each] + product * 2.0)) / rest / rest
        products = (products + step * columns[each]) / rest
    return new.op("Where", is_settled, vector, moved)
