"""Linear models and support vectors of ai.onnx.ml; `contrib-op-to-onnx` calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.ml.coupled_probabilities import probabilities
from mnncompat.rewrites.ml.scores import (
    chosen,
    classes_of,
    floats,
    matrix_of,
    probit,
    second_column,
    transform_of,
    transformed,
    whole,
)

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_BINARY = 2


def examples() -> tuple[Example, ...]:
    """One of each kind."""
    ml = '"": 17, "ai.onnx.ml": 3'
    return (
        rewritten(
            "linear classifier",
            """(float[N,2] x) => (int64[N] y, float[N,3] z) {
            y, z = ai.onnx.ml.LinearClassifier<classlabels_ints=[4,5,9], intercepts=[0.1,0.2,-0.3],
            coefficients=[0.5,-0.25,1.0,0.125,-0.5,0.75], post_transform="SOFTMAX">(x) }""",
            becomes="ArgMax, Gather, Gemm, Softmax",
            imports=ml,
        ),
        rewritten(
            "support vectors of a regression",
            """(float[N,2] x) => (float[N,1] y) { y = ai.onnx.ml.SVMRegressor<coefficients=[0.5,-0.25], n_supports=2,
            support_vectors=[0.1,0.2,0.3,-0.4], kernel_type="RBF", kernel_params=[0.5,0.0,3.0], rho=[0.25]>(x) }""",
            becomes="2 Add, Exp, 2 MatMul, 3 Mul, ReduceSum, Sub",
            imports=ml,
        ),
        refused(
            "labels that are strings",
            "labels are strings",
            """(float[N,2] x) => (string[N] y, float[N,2] z) { y, z = ai.onnx.ml.LinearClassifier<
            classlabels_strings=["a","b"], coefficients=[0.5,-0.25,1.0,0.125], intercepts=[0.1,0.2]>(x) }""",
            imports=ml,
        ),
    )


def _affine(new: SubgraphBuilder, value: Value, weights: np.ndarray, bias: np.ndarray) -> Value:
    """Rows times the transposed weights, (results, columns), and the bias."""
    return new.op("Gemm", value, np.ascontiguousarray(weights.T), bias)


def _classifier(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """LinearClassifier."""
    labels = classes_of(node, "classlabels_ints")
    bias, weights = floats(node, "intercepts"), floats(node, "coefficients")
    scores = _affine(new, matrix_of(new), weights.reshape(len(bias), -1), bias)
    kind = transform_of(node)
    if len(bias) > 1:
        return [chosen(new, labels, scores), transformed(new, scores, kind)]
    second = len(labels) == _BINARY
    pair = labels if second else np.asarray([0, 1])
    row = new.squeeze(scores, (1,))
    label = new.op("Where", new.op("Greater", row, np.zeros((), np.float32)), pair[1], pair[0])
    if kind == "PROBIT":
        if second:
            raise NotApplicable("PROBIT of a single score with two classes")
        return [label, probit(new, scores)]
    return [label, second_column(new, scores, kind, (1.0 - scores, scores)) if second else scores]


def _regressor(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """LinearRegressor."""
    count = int(node.attribute("targets") or 1)
    bias = floats(node, "intercepts")
    bias = bias if len(bias) else np.zeros(count, np.float32)
    scores = _affine(new, matrix_of(new), floats(node, "coefficients").reshape(count, -1), bias)
    return [_of_one(new, scores, transform_of(node)) if count == 1 else transformed(new, scores, transform_of(node))]


def _of_one(new: SubgraphBuilder, scores: Value, kind: str) -> Value:
    """Of a single score ONNX Runtime takes no other transformation than PROBIT."""
    return probit(new, scores) if kind == "PROBIT" else scores


# ---- support vectors -------------------------------------------------------------------------------------------------


def _kernel(node: NodeFacts, new: SubgraphBuilder, value: Value, vectors: np.ndarray) -> Value:
    """Of every row with every support vector, (rows, vectors)."""
    kind = str(node.attribute("kernel_type") or "LINEAR")
    gamma, shift, degree = (*map(float, floats(node, "kernel_params")), 0.0, 0.0, 3.0)[:3]
    if kind == "RBF":
        squares = new.reduce("ReduceSum", value * value, [1])
        own = np.sum(vectors.astype(np.float64) ** 2, axis=1).astype(np.float32)
        products = new.op("MatMul", value, np.ascontiguousarray(vectors.T))
        return new.op("Exp", (squares - products * 2.0 + own) * -gamma)
    products = new.op("MatMul", value, np.ascontiguousarray(vectors.T))
    if kind == "LINEAR":
        return products
    scaled = products * gamma + shift
    if kind == "POLY":
        return new.op("Pow", scaled, degree)
    if kind == "SIGMOID":
        return new.op("Tanh", scaled)
    raise NotApplicable(f"the kernel is {kind}")


def _machine_regressor(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """SVMRegressor."""
    weights, rho = floats(node, "coefficients"), floats(node, "rho")
    value, count = matrix_of(new), int(node.attribute("n_supports") or 0)
    if count:
        vectors = floats(node, "support_vectors").reshape(count, -1)
        scores = new.op("MatMul", _kernel(node, new, value, vectors), weights[:, None]) + rho[:1]
    else:
        scores = _affine(new, value, weights.reshape(1, -1), rho[:1])
    if node.attribute("one_class"):
        positive = new.op("Greater", scores, np.zeros((), np.float32))
        return [new.op("Where", positive, np.ones((), np.float32), -np.ones((), np.float32))]
    return [_of_one(new, scores, transform_of(node))]


def _machine_classifier(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """SVMClassifier."""
    labels = classes_of(node, "classlabels_ints")
    value, weights, rho = matrix_of(new), floats(node, "coefficients"), floats(node, "rho")
    sizes = whole(node, "vectors_per_class")
    if not sizes.any():
        return _linear_machine(node, new, labels, value)
    if len(labels) != len(sizes):
        raise NotApplicable(f"{len(labels)} labels for {len(sizes)} classes")
    total, count = int(sizes.sum()), len(sizes)
    kernel = _kernel(node, new, value, floats(node, "support_vectors").reshape(total, -1))
    combined, pairs = _pairs(weights.reshape(count - 1, total), sizes)
    scores = _affine(new, kernel, combined, rho[: len(pairs)])
    votes = _votes(new, scores, pairs, count)
    if len(floats(node, "prob_a")):
        found = probabilities(new, (scores, pairs), (floats(node, "prob_a"), floats(node, "prob_b")), count)
        return [chosen(new, labels, votes), transformed(new, found, transform_of(node))]
    if count > _BINARY:
        return [chosen(new, labels, votes), transformed(new, scores, transform_of(node))]
    kind = transform_of(node)
    if kind == "PROBIT":
        raise NotApplicable("PROBIT of two classes")
    columns = (-scores, scores) if kind == "NONE" else (1.0 - scores, scores)
    return [chosen(new, labels, votes), second_column(new, scores, kind, columns)]


def _pairs(weights: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """The weights of the vectors in the score of each pair of classes, (pairs, vectors), and the pairs."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    pairs = [(one, two) for one in range(len(sizes)) for two in range(one + 1, len(sizes))]
    combined = np.zeros((len(pairs), weights.shape[1]), np.float32)
    for row, (one, two) in enumerate(pairs):
        own, other = slice(starts[one], starts[one + 1]), slice(starts[two], starts[two + 1])
        combined[row, own] = weights[two - 1, own]
        combined[row, other] = weights[one, other]
    return combined, pairs


def _votes(new: SubgraphBuilder, scores: Value, pairs: list[tuple[int, int]], count: int) -> Value:
    """How many pairs each class wins, (rows, classes): a product with 0, 1 and -1 is exact."""
    wins = new.cast(new.op("Greater", scores, np.zeros((), np.float32)), 1)
    table, base = np.zeros((len(pairs), count), np.float32), np.zeros(count, np.float32)
    for row, (one, two) in enumerate(pairs):
        table[row, one], table[row, two] = 1, -1
        base[two] += 1
    return new.op("MatMul", wins, table) + base


def _linear_machine(node: NodeFacts, new: SubgraphBuilder, labels: np.ndarray, value: Value) -> list[Value | None]:
    """A linear classifier: one shift for all classes."""
    weights, rho = floats(node, "coefficients"), floats(node, "rho")
    count = len(labels)
    scores = _affine(new, value, weights.reshape(count, -1), np.repeat(rho[:1], count))
    if count == _BINARY:
        raise NotApplicable("a linear classifier of two classes")
    return [chosen(new, labels, scores), transformed(new, scores, transform_of(node))]


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "LinearClassifier": _classifier,
    "LinearRegressor": _regressor,
    "SVMClassifier": _machine_classifier,
    "SVMRegressor": _machine_regressor,
}
"""How each is emitted, by op type."""
