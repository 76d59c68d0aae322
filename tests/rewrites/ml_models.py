"""Configurations of the operators of ai.onnx.ml."""

from __future__ import annotations

from typing import Any

import numpy as np
from foreign_models import DOUBLE, FLOAT, INT64, ML, Array, Configuration, Draw, normal, pick
from onnx import numpy_helper

from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.results.failures import Failure


def _chance(rng: np.random.Generator, share: float = 0.5) -> bool:
    return bool(rng.random() < share)


def _rows(rng: np.random.Generator, columns: int, element: Any = np.float32) -> Array:
    """Samples; numbers are multiples of a quarter, so that they meet thresholds."""
    value = np.round(normal(rng, int(rng.integers(1, 7)), columns) * 4) / 4
    return value.astype(element)


def _of(
    op: str,
    inputs: dict[str, Array | None],
    attributes: dict[str, Any],
    outputs: tuple[int, ...] = (FLOAT,),
    **others: Any,
) -> Configuration:
    return Configuration(op, inputs, attributes, outputs, domain=ML, **{"version": 3, **others})


def _dynamic(rng: np.random.Generator) -> dict[tuple[str, int], str]:
    return {("x", 0): "n"} if _chance(rng) else {}


def _numbers(rng: np.random.Generator, count: int) -> list[float]:
    return [float(each) for each in np.round(rng.normal(0, 1, count), 3)]


def scaler(rng: np.random.Generator) -> Configuration:
    columns, element = int(rng.integers(1, 6)), pick(rng, np.float32, np.float32, np.float64, np.int64, np.int32)
    count = 1 if _chance(rng, 0.2) else columns
    attributes = {"offset": _numbers(rng, count), "scale": _numbers(rng, count)}
    return _of("Scaler", {"x": _rows(rng, columns, element)}, attributes, dynamic=_dynamic(rng))


def normalizer(rng: np.random.Generator) -> Configuration:
    value = _rows(rng, int(rng.integers(1, 6)), pick(rng, np.float32, np.float32, np.float64, np.int64))
    if _chance(rng):
        value[0] = 0
    kind = pick(rng, "MAX", "L1", "L2")
    return _of("Normalizer", {"x": np.abs(value) if kind == "MAX" else value}, {"norm": kind}, dynamic=_dynamic(rng))


def binarizer(rng: np.random.Generator) -> Configuration:
    attributes = {"threshold": float(rng.integers(-4, 4) / 4) if _chance(rng) else None}
    return _of("Binarizer", {"x": _rows(rng, int(rng.integers(1, 6)))}, attributes, dynamic=_dynamic(rng))


def imputer(rng: np.random.Generator) -> Configuration:
    columns, whole = int(rng.integers(1, 6)), _chance(rng, 0.3)
    count = 1 if _chance(rng) else columns
    if whole:
        value = rng.integers(0, 4, (3, columns))
        attributes: dict[str, Any] = {"replaced_value_int64": 2, "imputed_value_int64s": [7] * count}
        return _of("Imputer", {"x": np.asarray(value, np.int64)}, attributes, (INT64,))
    value = _rows(rng, columns)
    number = float("nan") if _chance(rng) else 0.25
    value[rng.random(value.shape) < 0.3] = number
    attributes = {"replaced_value_float": number, "imputed_value_floats": _numbers(rng, count)}
    return _of("Imputer", {"x": value}, attributes, dynamic=_dynamic(rng))


def extractor(rng: np.random.Generator) -> Configuration:
    columns = int(rng.integers(1, 6))
    indices = np.asarray(rng.integers(0, columns, (int(rng.integers(1, 5)),)), np.int64)
    value = _rows(rng, columns)
    constants = ("i",) if _chance(rng) else ()
    if _chance(rng, 0.2):
        return _of("ArrayFeatureExtractor", {"x": value[0], "i": indices}, {}, constants=constants)
    return _of("ArrayFeatureExtractor", {"x": value, "i": indices}, {}, constants=constants, dynamic=_dynamic(rng))


def vectorizer(rng: np.random.Generator) -> Configuration:
    rows, sizes = int(rng.integers(1, 5)), [int(each) for each in rng.integers(1, 4, int(rng.integers(1, 4)))]
    operands: dict[str, Array | None] = {f"x{p}": normal(rng, rows, size) for p, size in enumerate(sizes)}
    return _of("FeatureVectorizer", operands, {"inputdimensions": sizes})


def one_hot(rng: np.random.Generator) -> Configuration:
    categories = [int(each) for each in rng.permutation(9)[: int(rng.integers(1, 6))]]
    shape = [int(each) for each in rng.integers(1, 4, int(rng.integers(1, 3)))]
    value = np.asarray(rng.integers(0, 9, shape)).astype(pick(rng, np.int64, np.float32))
    return _of("OneHotEncoder", {"x": value}, {"cats_int64s": categories})


def labels(rng: np.random.Generator) -> Configuration:
    keys = [int(each) for each in rng.permutation(9)[: int(rng.integers(1, 6))]]
    from_floats, to_floats = _chance(rng), _chance(rng)
    values = [int(each) for each in rng.integers(0, 99, len(keys))]
    attributes: dict[str, Any] = {
        "keys_floats" if from_floats else "keys_int64s": [each / 2 for each in keys] if from_floats else keys,
        "values_floats" if to_floats else "values_int64s": [each / 4 for each in values] if to_floats else values,
    }
    if _chance(rng):
        attributes |= {"default_float": 0.5} if to_floats else {"default_int64": 77}
    value = np.asarray(rng.integers(0, 9, (int(rng.integers(1, 6)),)))
    fed = (value / 2).astype(np.float32) if from_floats else value.astype(np.int64)
    return _of("LabelEncoder", {"x": fed}, attributes, (FLOAT if to_floats else INT64,), dynamic=_dynamic(rng))


TRANSFORMS = ("NONE", "NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")


def linear_classifier(rng: np.random.Generator) -> Configuration:
    columns, count = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    numbers = [int(each) for each in rng.permutation(20)[: max(count, 2)]]
    attributes = {
        "classlabels_ints": numbers,
        "coefficients": _numbers(rng, columns * count),
        "intercepts": _numbers(rng, count),
        "post_transform": pick(rng, *TRANSFORMS),
    }
    element = pick(rng, np.float32, np.float32, np.int64, np.float64)
    return _of(
        "LinearClassifier", {"x": _rows(rng, columns, element)}, attributes, (INT64, FLOAT), dynamic=_dynamic(rng)
    )


def linear_regressor(rng: np.random.Generator) -> Configuration:
    columns, count = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    attributes = {
        "coefficients": _numbers(rng, columns * count),
        "intercepts": _numbers(rng, count) if _chance(rng, 0.8) else None,
        "targets": count,
        "post_transform": pick(rng, *TRANSFORMS) if count > 1 else "NONE",
    }
    return _of("LinearRegressor", {"x": _rows(rng, columns)}, attributes, dynamic=_dynamic(rng))


def _kernel(rng: np.random.Generator) -> dict[str, Any]:
    kind = pick(rng, "LINEAR", "POLY", "RBF", "SIGMOID")
    return {"kernel_type": kind, "kernel_params": [0.25, 0.5, float(pick(rng, 2.0, 3.0))]}


def svm_regressor(rng: np.random.Generator) -> Configuration:
    columns, count = int(rng.integers(1, 5)), int(rng.integers(0, 5))
    attributes: dict[str, Any] = {"rho": _numbers(rng, 1), "one_class": int(_chance(rng, 0.3))}
    if count:
        attributes |= {"n_supports": count, "support_vectors": _numbers(rng, columns * count), **_kernel(rng)}
        attributes["coefficients"] = _numbers(rng, count)
    else:
        attributes |= {"coefficients": _numbers(rng, columns), "kernel_type": "LINEAR"}
    return _of("SVMRegressor", {"x": _rows(rng, columns)}, attributes, dynamic=_dynamic(rng))


def svm_classifier(rng: np.random.Generator) -> Configuration:
    columns, count = int(rng.integers(1, 5)), int(rng.integers(2, 5))
    sizes = [int(each) for each in rng.integers(1, 4, count)]
    numbers = [int(each) for each in rng.permutation(20)[:count]]
    pairs = count * (count - 1) // 2
    has_probabilities = _chance(rng)
    attributes: dict[str, Any] = {
        "classlabels_ints": numbers,
        "vectors_per_class": sizes,
        "support_vectors": _numbers(rng, columns * sum(sizes)),
        "coefficients": _numbers(rng, (count - 1) * sum(sizes)),
        "rho": _numbers(rng, pairs),
        "post_transform": pick(rng, *TRANSFORMS),
        **_kernel(rng),
    }
    if has_probabilities:
        attributes |= {"prob_a": [-1.5] * pairs, "prob_b": [0.25] * pairs, "post_transform": "NONE"}
    return _of("SVMClassifier", {"x": _rows(rng, columns)}, attributes, (INT64, FLOAT), dynamic=_dynamic(rng))


MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


def _forest(rng: np.random.Generator, columns: int, modes: tuple[str, ...]) -> dict[str, list[Any]]:
    """Nodes of random trees; thresholds are multiples of a quarter."""
    names = (
        "treeids",
        "nodeids",
        "featureids",
        "values",
        "modes",
        "truenodeids",
        "falsenodeids",
        "missing_value_tracks_true",
    )
    found: dict[str, list[Any]] = {name: [] for name in names}
    missing = _chance(rng, 0.3)
    for tree in range(int(rng.integers(1, 5))):
        rows: list[list[Any]] = []

        def grow(depth: int, rows: list[list[Any]] = rows, tree: int = tree) -> int:
            place = len(rows)
            rows.append([tree, place, 0, 0.0, "LEAF", 0, 0, 0])
            if depth and (place == 0 or _chance(rng, 0.8)):
                yes, no = grow(depth - 1), grow(depth - 1)
                number = float(rng.integers(-4, 5) / 4)
                rows[place][2:] = [
                    int(rng.integers(0, columns)), number, pick(rng, *modes), yes, no, int(missing and _chance(rng))
                ]  # fmt: skip
            return place

        grow(int(rng.integers(1, 5)))
        for row in rows:
            for name, value in zip(names, row, strict=True):
                found[name].append(value)
    if not missing:
        del found["missing_value_tracks_true"]
    return found


def _samples(rng: np.random.Generator, columns: int, forest: dict[str, list[Any]]) -> Array:
    value = _rows(rng, columns)
    if "missing_value_tracks_true" in forest:
        value[rng.random(value.shape) < 0.2] = np.nan
    return value


def _modes(rng: np.random.Generator) -> tuple[str, ...]:
    return MODES if _chance(rng, 0.25) else (pick(rng, *MODES[:4], "BRANCH_LEQ"),)


def tree_regressor(rng: np.random.Generator) -> Configuration:
    columns, count = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    forest = _forest(rng, columns, _modes(rng))
    leaves = [place for place, mode in enumerate(forest["modes"]) if mode == "LEAF"]
    aggregate = pick(rng, "SUM", "SUM", "AVERAGE", "MIN", "MAX")
    attributes: dict[str, Any] = {f"nodes_{name}": values for name, values in forest.items()}
    attributes |= {
        "n_targets": count,
        "aggregate_function": aggregate,
        "target_treeids": [forest["treeids"][place] for place in leaves for _ in range(count)],
        "target_nodeids": [forest["nodeids"][place] for place in leaves for _ in range(count)],
        "target_ids": [target for _ in leaves for target in range(count)],
        "target_weights": _numbers(rng, len(leaves) * count),
        "base_values": _numbers(rng, count) if _chance(rng) else None,
        "post_transform": pick(rng, *TRANSFORMS) if count > 1 else "NONE",
    }
    return _of("TreeEnsembleRegressor", {"x": _samples(rng, columns, forest)}, attributes, dynamic=_dynamic(rng))


def tree_classifier(rng: np.random.Generator) -> Configuration:
    columns, count = int(rng.integers(1, 5)), int(rng.integers(2, 5))
    forest = _forest(rng, columns, _modes(rng))
    leaves = [place for place, mode in enumerate(forest["modes"]) if mode == "LEAF"]
    single = count == 2 and _chance(rng)
    positive = _chance(rng)
    targets = [0] if single else list(range(count))
    weights = _numbers(rng, len(leaves) * len(targets))
    if positive:
        weights = [abs(each) for each in weights]
    base_count = pick(rng, 0, 1) if single else pick(rng, 0, count) if count > 2 else 0
    attributes: dict[str, Any] = {f"nodes_{name}": values for name, values in forest.items()}
    attributes |= {
        "classlabels_int64s": [int(each) for each in rng.permutation(20)[:count]],
        "class_treeids": [forest["treeids"][place] for place in leaves for _ in targets],
        "class_nodeids": [forest["nodeids"][place] for place in leaves for _ in targets],
        "class_ids": [target for _ in leaves for target in targets],
        "class_weights": weights,
        "base_values": _numbers(rng, base_count) or None,
        "post_transform": pick(rng, *TRANSFORMS) if count > 2 else pick(rng, "NONE", "LOGISTIC"),
    }
    value = _samples(rng, columns, forest)
    return _of("TreeEnsembleClassifier", {"x": value}, attributes, (INT64, FLOAT), dynamic=_dynamic(rng))


def tree_ensemble(rng: np.random.Generator) -> Configuration:
    """Of version 5 of the domain; nodes may compare with sets, as far as ONNX Runtime loads such trees."""
    while True:
        found = _ensemble(rng)
        if not isinstance(OnnxRuntimeRunner(found.model()).run([]), Failure):
            return found


def _ensemble(rng: np.random.Generator) -> Configuration:
    """Inner nodes and leaves are numbered apart."""
    columns, count = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    element = np.float64 if _chance(rng, 0.25) else np.float32
    modes = (*MODES, "BRANCH_MEMBER") if _chance(rng) else _modes(rng)
    forest = _forest(rng, columns, modes)
    leaf = [mode == "LEAF" for mode in forest["modes"]]
    own: dict[tuple[int, int], int] = {}
    inner = leaves = 0
    for tree, node, is_leaf in zip(forest["treeids"], forest["nodeids"], leaf, strict=True):
        own[tree, node] = leaves if is_leaf else inner
        leaves, inner = leaves + is_leaf, inner + (not is_leaf)
    keyed = zip(forest["treeids"], forest["nodeids"], strict=True)
    is_leaf_at = dict(zip(keyed, leaf, strict=True))
    rows = [place for place, each in enumerate(leaf) if not each]
    attributes: dict[str, Any] = {"n_targets": count, "tree_roots": [], "leaf_targetids": []}
    for name, ends, leads in (("true", "truenodeids", "trueleafs"), ("false", "falsenodeids", "falseleafs")):
        keys = [(forest["treeids"][row], forest[f"{name}nodeids"][row]) for row in rows]
        attributes[f"nodes_{ends}"] = [own[key] for key in keys]
        attributes[f"nodes_{leads}"] = [int(is_leaf_at[key]) for key in keys]
    attributes["tree_roots"] = [own[tree, 0] for tree in dict.fromkeys(forest["treeids"])]
    attributes["leaf_targetids"] = [int(each) for each in rng.integers(0, count, leaves)]
    kinds = [[*MODES, "BRANCH_MEMBER"].index(forest["modes"][row]) for row in rows]
    members = [rng.choice(np.arange(-6, 7) / 4, int(rng.integers(1, 4)), replace=False) for _ in range(kinds.count(6))]
    tensors = {
        "nodes_splits": np.asarray([forest["values"][row] for row in rows], element),
        "nodes_modes": np.asarray(kinds, np.uint8),
        "leaf_weights": np.asarray(_numbers(rng, leaves), element),
    }
    if members:
        tensors["membership_values"] = np.concatenate([[*each, np.nan] for each in members]).astype(element)
    attributes |= {name: numpy_helper.from_array(value, name) for name, value in tensors.items()}
    attributes["nodes_featureids"] = [forest["featureids"][row] for row in rows]
    if "missing_value_tracks_true" in forest:
        attributes["nodes_missing_value_tracks_true"] = [forest["missing_value_tracks_true"][row] for row in rows]
    attributes["aggregate_function"] = int(rng.integers(0, 4))
    attributes["post_transform"] = 3 if count > 1 and element == np.float32 and _chance(rng) else 0
    value = _samples(rng, columns, forest).astype(element)
    kind = FLOAT if element == np.float32 else DOUBLE
    return _of("TreeEnsemble", {"x": value}, attributes, (kind,), dynamic=_dynamic(rng), version=5)


DRAWS: dict[str, Draw] = {
    "ArrayFeatureExtractor": extractor,
    "Binarizer": binarizer,
    "FeatureVectorizer": vectorizer,
    "Imputer": imputer,
    "LabelEncoder": labels,
    "LinearClassifier": linear_classifier,
    "LinearRegressor": linear_regressor,
    "Normalizer": normalizer,
    "OneHotEncoder": one_hot,
    "SVMClassifier": svm_classifier,
    "SVMRegressor": svm_regressor,
    "Scaler": scaler,
    "TreeEnsemble": tree_ensemble,
    "TreeEnsembleClassifier": tree_classifier,
    "TreeEnsembleRegressor": tree_regressor,
}
"""By op type."""
