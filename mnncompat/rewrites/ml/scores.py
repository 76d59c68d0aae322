"""What linear models, support vectors and trees make of their scores: transformations, labels, and a second class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.support.node_facts import NodeFacts

_NEARLY_ZERO = 1e-7
_ERF = 0.147
_PI = 3.14159


def matrix_of(new: SubgraphBuilder, position: int = 0) -> Value:
    """An operand as rows of float32; a vector is one row."""
    value = new.input(position)
    if value.rank > 2:  # noqa: PLR2004 - rows and columns
        raise NotApplicable(f"an operand of rank {value.rank}")
    value = new.cast(value, TensorProto.FLOAT)
    return value if value.rank == 2 else new.reshape(value, (1, -1))  # noqa: PLR2004 - rows and columns


def floats(node: NodeFacts, name: str) -> np.ndarray:
    """An attribute of floats; empty if it is not stated."""
    return np.asarray(node.attribute(name) or (), np.float32)


def whole(node: NodeFacts, name: str) -> np.ndarray:
    """An attribute of integers; empty if it is not stated."""
    return np.asarray(node.attribute(name) or (), np.int64)


def classes_of(node: NodeFacts, name: str) -> np.ndarray:
    """The labels of a classifier.

    Raises:
        NotApplicable: They are strings, which MNN has no tensors of.
    """
    if node.attribute("classlabels_strings"):
        raise NotApplicable("the labels are strings, and MNN has no tensors of strings")
    return whole(node, name)


def chosen(new: SubgraphBuilder, labels: np.ndarray, scores: Value) -> Value:
    """The label of the highest score of each row, the first one of equal ones."""
    best = new.op("ArgMax", scores, axis=1, keepdims=0)
    return new.op("Gather", new.constant(labels), best, axis=0)


def transformed(new: SubgraphBuilder, scores: Value, kind: str) -> Value:
    """Scores, one row for each sample, after ``post_transform``.

    Raises:
        NotApplicable: The transformation is not known.
    """
    if kind == "LOGISTIC":
        return new.op("Sigmoid", scores)
    if kind == "SOFTMAX":
        return new.op("Softmax", scores, axis=1)
    if kind == "SOFTMAX_ZERO":
        return _softmax_without_zeros(new, scores)
    if kind == "PROBIT":
        return probit(new, scores)
    if kind != "NONE":
        raise NotApplicable(f"post_transform is {kind}")
    return scores


def transform_of(node: NodeFacts) -> str:
    """The attribute ``post_transform``."""
    return str(node.attribute("post_transform") or "NONE")


def _softmax_without_zeros(new: SubgraphBuilder, scores: Value) -> Value:
    """Softmax of the scores that are not zero."""
    best = new.reduce("ReduceMax", scores, [1])
    counts = new.op("Greater", new.op("Abs", scores), np.asarray(_NEARLY_ZERO, scores.element))
    powers = new.op("Exp", scores - best)
    shrunk = scores * new.op("Exp", -best)
    total = new.reduce("ReduceSum", new.op("Where", counts, powers, np.zeros((), scores.element)), [1])
    return new.op("Where", counts, powers, shrunk) / total


def probit(new: SubgraphBuilder, scores: Value) -> Value:
    """The inverse of the normal distribution, by the approximation that ONNX Runtime has."""
    x = scores * 2.0 - 1.0
    log = new.op("Log", (1.0 - x) * (x + 1.0))
    first = log * 0.5 + 2.0 / (_PI * _ERF)
    root = new.op("Sqrt", new.op("Sqrt", first * first - log * (1.0 / _ERF)) - first)
    return new.op("Sign", x) * root * 1.41421356


def second_column(new: SubgraphBuilder, score: Value, kind: str, columns: Sequence[Value]) -> Value:
    """Two scores of a single one: logistic functions of both signs, or else the given columns."""
    if kind == "LOGISTIC":
        return new.op("Sigmoid", two_columns(new, (-score, score)))
    return two_columns(new, columns)


def two_columns(new: SubgraphBuilder, columns: Sequence[Value]) -> Value:
    """Columns side by side."""
    return new.op("Concat", *columns, axis=1)


def equal(new: SubgraphBuilder, value: Value, numbers: np.ndarray) -> Value:
    """Whether values are equal to numbers; MNN's Equal does not take -0 for 0."""
    if numbers.dtype.kind != "f" or numbers.all():
        return new.op("Equal", value, numbers)
    return new.op("And", new.op("LessOrEqual", value, numbers), new.op("GreaterOrEqual", value, numbers))
