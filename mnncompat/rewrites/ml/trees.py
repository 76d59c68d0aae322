"""Forests of ai.onnx.ml, walked level by level in all trees at once; `contrib-op-to-onnx` calls them.

A walk keeps the number of a node for every sample and tree. Each level looks up its column and number, compares, and
looks up the node that follows; leaves lead to themselves. Numbers are compared as they are stored, so that ties fall as
they do in ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.examples import rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.ml.scores import (
    chosen,
    classes_of,
    probit,
    second_column,
    transform_of,
    transformed,
)
from mnncompat.rewrites.ml.tree_tables import Forest, array_of, classic, newest

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_BINARY = 2
_OPS: dict[tuple[int, ...], str] = {
    (1, 1, 0): "LessOrEqual",
    (1, 0, 0): "Less",
    (0, 1, 1): "GreaterOrEqual",
    (0, 0, 1): "Greater",
    (0, 1, 0): "Equal",
}
_SUM, _AVERAGE, _MIN, _MAX = "SUM", "AVERAGE", "MIN", "MAX"
_AGGREGATES = {0: _AVERAGE, 1: _SUM, 2: _MIN, 3: _MAX}
_EXCHANGED = (1, 2)
_TRANSFORMS = {0: "NONE", 1: "SOFTMAX", 2: "LOGISTIC", 3: "SOFTMAX_ZERO", 4: "PROBIT"}


def examples() -> tuple[Example, ...]:
    """Two trees of a regression."""
    return (
        rewritten(
            "two trees",
            """(float[N,2] x) => (float[N,1] y) { y = ai.onnx.ml.TreeEnsembleRegressor<n_targets=1,
            nodes_treeids=[0,0,0,1,1,1], nodes_nodeids=[0,1,2,0,1,2], nodes_featureids=[0,0,0,1,0,0],
            nodes_modes=["BRANCH_LEQ","LEAF","LEAF","BRANCH_LEQ","LEAF","LEAF"],
            nodes_values=[0.5,0.0,0.0,-0.25,0.0,0.0], nodes_truenodeids=[1,0,0,1,0,0],
            nodes_falsenodeids=[2,0,0,2,0,0], target_treeids=[0,0,1,1], target_nodeids=[1,2,1,2],
            target_ids=[0,0,0,0], target_weights=[1.0,2.0,0.5,-0.5]>(x) }""",
            becomes="2 Gather, LessOrEqual, ReduceSum, Where",
            imports='"": 17, "ai.onnx.ml": 3',
        ),
    )


def _rows(new: SubgraphBuilder) -> Value:
    """The samples; integers as float32."""
    value = new.input(0)
    if value.dtype not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        value = new.cast(value, TensorProto.FLOAT)
    if value.rank > 2:  # noqa: PLR2004 - rows and columns
        raise NotApplicable(f"an operand of rank {value.rank}")
    return value if value.rank == 2 else new.reshape(value, (1, -1))  # noqa: PLR2004 - rows and columns


def _element(new: SubgraphBuilder) -> type:
    """Numbers of trees are double where the samples are."""
    return np.float64 if new.input(0).dtype == TensorProto.DOUBLE else np.float32


def _leaves(new: SubgraphBuilder, forest: Forest, value: Value) -> Value:
    """The number of the leaf that each sample reaches in each tree, (samples, trees)."""
    if not forest.depth:
        raise NotApplicable("trees without a comparison")
    roots = forest.roots
    numbers = forest.numbers.astype(value.element)
    columns = new.op("Gather", value, forest.features[roots], axis=1)
    kinds = forest.kinds[roots]
    place = new.op(
        "Where", _holds(new, columns, new.constant(numbers[roots]), kinds, None), forest.yes[roots], forest.no[roots]
    )
    for _ in range(forest.depth - 1):
        column = new.op("Gather", forest.features, place, axis=0)
        columns = new.op("GatherElements", value, column, axis=1)
        limits = new.op("Gather", numbers, place, axis=0)
        holds = _holds(new, columns, limits, forest.kinds, place)
        yes, no = (new.op("Gather", table, place, axis=0) for table in (forest.yes, forest.no))
        place = new.op("Where", holds, yes, no)
    return place


def _holds(new: SubgraphBuilder, values: Value, limits: Value, kinds: np.ndarray, place: Value | None) -> Value:
    """Whether the comparison of each node holds: at the roots, which are known, or at the nodes that were reached."""
    inner = kinds[kinds.any(axis=1)]
    single = {tuple(map(int, each)) for each in inner[:, :3]}
    is_nan = bool(inner[:, 3].any())
    found: Value | None = None
    if len(single) == 1 and next(iter(single)) in _OPS:
        found = _compared(new, _OPS[next(iter(single))], values, limits)
    else:
        for column, op in enumerate(("Less", "Equal", "Greater")):
            if kinds[:, column].any():
                part = new.op("And", _compared(new, op, values, limits), _flags(new, kinds[:, column], place))
                found = part if found is None else new.op("Or", found, part)
    if found is None:
        raise NotApplicable("nodes that never hold")
    if is_nan:
        strange = new.op("And", new.op("IsNaN", values), _flags(new, kinds[:, 3], place))
        found = new.op("Or", found, strange)
    return found


def _compared(new: SubgraphBuilder, op: str, values: Value, limits: Value) -> Value:
    """A comparison of numbers in which -0 is 0, as it is not in MNN's Equal and Less."""
    if op == "Less":
        return new.op("Greater", limits, values)
    if op != "Equal":
        return new.op(op, values, limits)
    return new.op("And", new.op("LessOrEqual", values, limits), new.op("GreaterOrEqual", values, limits))


def _flags(new: SubgraphBuilder, table: np.ndarray, place: Value | None) -> Value:
    """Truth values by node; they are looked up as numbers."""
    if place is None:
        return new.constant(table)
    found = new.op("Gather", table.astype(np.float32), place, axis=0)
    return new.op("Greater", found, np.asarray(0.5, np.float32))


def _summed(new: SubgraphBuilder, forest: Forest, place: Value, kind: str) -> Value:
    """What the leaves add up to, (samples, targets)."""
    weights = forest.weights
    if kind in (_SUM, _AVERAGE):
        total = new.reduce("ReduceSum", new.op("Gather", weights, place, axis=0), [1], keepdims=False)
        return total / float(len(forest.roots)) if kind == _AVERAGE else total
    far = np.asarray(np.inf if kind == _MIN else -np.inf, weights.dtype)
    reached = weights if weights.shape[1] == 1 else np.where(forest.has, weights, far)
    op = "ReduceMin" if kind == _MIN else "ReduceMax"
    best = new.reduce(op, new.op("Gather", reached, place, axis=0), [1], keepdims=False)
    if np.isfinite(reached[forest.yes == np.arange(len(weights))]).all():
        return best
    return new.op("Where", new.op("Equal", best, far), np.zeros((), weights.dtype), best)


def _regression(new: SubgraphBuilder, forest: Forest, base: np.ndarray, kind: str, transform: str) -> Value:
    value = _rows(new)
    scores = _summed(new, forest, _leaves(new, forest, value), kind)
    count = forest.weights.shape[1]
    if len(base) == count and base.any():
        scores = scores + base.astype(forest.weights.dtype)
    if count == 1:
        return probit(new, scores) if transform == "PROBIT" else scores
    return transformed(new, scores, transform)


def _regressor(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """TreeEnsembleRegressor."""
    forest = classic(node, "target", int(node.attribute("n_targets") or 1), _element(new))
    base = array_of(node, "base_values", _element(new))
    kind = str(node.attribute("aggregate_function") or _SUM)
    return [new.cast(_regression(new, forest, base, kind, transform_of(node)), TensorProto.FLOAT)]


def _ensemble(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """TreeEnsemble."""
    forest = newest(node, int(node.attribute("n_targets") or 1))
    stated = node.attribute("aggregate_function")
    kind, transform = _AGGREGATES[1 if stated is None else int(stated)], node.attribute("post_transform")
    if transform in _EXCHANGED and forest.weights.shape[1] > 1:
        other = _TRANSFORMS[3 - int(transform)]
        raise NotApplicable(
            f"post_transform {transform} is {_TRANSFORMS[transform]} for ONNX, and {other} for ONNX Runtime 1.32"
        )
    scores = _regression(new, forest, np.zeros(0), kind, _TRANSFORMS[int(transform or 0)])
    return [new.cast(scores, new.input(0).dtype)]


def _classifier(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """TreeEnsembleClassifier."""
    labels = classes_of(node, "classlabels_int64s")
    count = len(labels)
    forest = classic(node, "class", count, _element(new))
    base, kind = array_of(node, "base_values", _element(new)), transform_of(node)
    place = _leaves(new, forest, _rows(new))
    if count == 1:
        raise NotApplicable("a single class")
    leaves = forest.has[forest.yes == np.arange(len(forest.yes))]
    if count == _BINARY and leaves.any(axis=0).sum() == 1:
        return _one_score(new, forest, place, labels, (base, kind))
    if not leaves.all() and (count == _BINARY or not len(base)):
        raise NotApplicable("leaves that tell nothing of a class")
    scores = _summed(new, forest, place, _SUM)
    if len(base) == count and base.any():
        if count == _BINARY:
            raise NotApplicable("two classes with a number for each of them beforehand")
        scores = scores + base.astype(forest.weights.dtype)
    result = transformed(new, new.cast(scores, TensorProto.FLOAT), kind)
    if count > _BINARY:
        return [chosen(new, labels, scores), result]
    second = new.slice(scores, [1], [2], [1])  # ONNX Runtime tells 1 or 0 here, whatever the labels are
    is_second = new.op("Greater", new.squeeze(second, (1,)), np.zeros((), forest.weights.dtype))
    return [new.cast(is_second, TensorProto.INT64), result]


def _one_score(
    new: SubgraphBuilder, forest: Forest, place: Value, labels: np.ndarray, given: tuple[np.ndarray, str]
) -> list[Value | None]:
    """Two classes of which the leaves tell one: it is the second one, whatever its number."""
    base, kind = given
    column = int(forest.has.any(axis=0).argmax())
    weights = forest.weights[:, column : column + 1]
    score = new.reduce("ReduceSum", new.op("Gather", weights, place, axis=0), [1], keepdims=False)
    if len(base):
        score = score + base[-1:].astype(weights.dtype)
    positive = bool((forest.weights[forest.has] >= 0).all())
    row = new.squeeze(score, (1,))
    above = new.op("Greater", row, np.asarray(0.5 if positive else 0.0, weights.dtype))
    label = new.op("Where", above, labels[1], labels[0])
    single = new.cast(score, TensorProto.FLOAT)
    if kind == "PROBIT":
        raise NotApplicable("PROBIT of a single score with two classes")
    return [label, second_column(new, single, kind, (1.0 - single if positive else -single, single))]


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "TreeEnsemble": _ensemble,
    "TreeEnsembleClassifier": _classifier,
    "TreeEnsembleRegressor": _regressor,
}
"""How each is emitted, by op type."""
