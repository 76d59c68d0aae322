"""Types and shapes of the operators of ai.onnx.ml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.protos import Dim
from mnncompat.inference.foreign_calls import Call, Result, ShapeFunction, like


def _floats(call: Call) -> Sequence[Result]:
    return [(TensorProto.FLOAT, call.shape(0))]


def _extracted(call: Call) -> Sequence[Result]:
    shape, indices = call.shape(0), call.shape(1)
    if shape is None or indices is None:
        return [(call.dtype(0), None)]
    count = _product(indices)
    return [(call.dtype(0), (1, count) if len(shape) == 1 else (*shape[:-1], count))]


def _product(dims: Sequence[Dim]) -> Dim:
    numbers = [each for each in dims if isinstance(each, int)]
    return int(np.prod(numbers, dtype=np.int64)) if len(numbers) == len(dims) else None


def _vector(call: Call) -> Sequence[Result]:
    shape, sizes = call.shape(0), call.attribute("inputdimensions")
    batch: Dim = None if shape is None else 1 if len(shape) == 1 else shape[0]
    return [(TensorProto.FLOAT, (batch, sum(sizes) if sizes else None))]


def _one_hot(call: Call) -> Sequence[Result]:
    shape = call.shape(0)
    categories = call.attribute("cats_int64s") or call.attribute("cats_strings") or ()
    return [(TensorProto.FLOAT, None if shape is None else (*shape, len(categories)))]


def _labels(call: Call) -> Sequence[Result]:
    tensor = call.attribute("values_tensor")
    element = 0 if tensor is None else int(tensor.data_type)
    if call.attribute("values_int64s"):
        element = TensorProto.INT64
    elif call.attribute("values_floats"):
        element = TensorProto.FLOAT
    elif call.attribute("values_strings"):
        element = TensorProto.STRING
    return [(element, call.shape(0))]


def _batch(call: Call) -> Dim:
    shape = call.shape(0)
    return None if shape is None else 1 if len(shape) <= 1 else shape[0]


def _classes(call: Call) -> Sequence[Result]:
    """Labels, and a score for each class: two for one that is stated as binary."""
    numbers = call.attribute("classlabels_ints") or call.attribute("classlabels_int64s")
    count = len(numbers or call.attribute("classlabels_strings") or ())
    element = TensorProto.INT64 if numbers else TensorProto.STRING
    return [(element, (_batch(call),)), (TensorProto.FLOAT, (_batch(call), max(count, 2) or None))]


def _machines(call: Call) -> Sequence[Result]:
    """Labels; scores are those of pairs, unless there are probabilities."""
    label, scores = _classes(call)
    sizes = call.attribute("vectors_per_class") or ()
    count = len(sizes)
    if count > 2 and not call.attribute("prob_a"):  # noqa: PLR2004 - more than a pair
        return [label, (TensorProto.FLOAT, (_batch(call), count * (count - 1) // 2))]
    return [label, scores]


def _linear(call: Call) -> Sequence[Result]:
    return [(TensorProto.FLOAT, (_batch(call), int(call.attribute("targets", 1))))]


def _machine(call: Call) -> Sequence[Result]:
    return [(TensorProto.FLOAT, (_batch(call), 1))]


def _trees(call: Call) -> Sequence[Result]:
    element = TensorProto.FLOAT if call.attribute("nodes_splits") is None else call.dtype(0)
    return [(element, (_batch(call), int(call.attribute("n_targets", 1))))]


ML_SHAPES: Mapping[str, ShapeFunction] = {
    "ArrayFeatureExtractor": _extracted,
    "Binarizer": like(),
    "FeatureVectorizer": _vector,
    "Imputer": like(),
    "LabelEncoder": _labels,
    "LinearClassifier": _classes,
    "LinearRegressor": _linear,
    "Normalizer": _floats,
    "OneHotEncoder": _one_hot,
    "SVMClassifier": _machines,
    "SVMRegressor": _machine,
    "Scaler": _floats,
    "TreeEnsemble": _trees,
    "TreeEnsembleClassifier": _classes,
    "TreeEnsembleRegressor": _trees,
}
"""By op type."""
