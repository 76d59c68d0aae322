"""Scalers, encoders and selections of ai.onnx.ml; `contrib-op-to-onnx` calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from mnncompat.graph.tensor_values import tensor_array
from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.ml.scores import equal, floats, whole

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_MATRIX = 2


def examples() -> tuple[Example, ...]:
    """One of each kind."""
    ml = '"": 17, "ai.onnx.ml": 3'
    return (
        rewritten(
            "scaled and normalised",
            """(float[N,3] x) => (float[N,3] y) {
            a = ai.onnx.ml.Scaler<offset=[1.0,2.0,3.0], scale=[0.5,0.25,2.0]>(x)
            y = ai.onnx.ml.Normalizer<norm="L1">(a) }""",
            becomes="Abs, Div, Equal, Mul, ReduceSum, Sub, Where",
            imports=ml,
        ),
        rewritten(
            "labels of numbers",
            """(int64[N] x) => (float[N] y) { y = ai.onnx.ml.LabelEncoder<keys_int64s=[3,5,8],
            values_floats=[0.5,1.5,2.5], default_float=-1.0>(x) }""",
            becomes="ArgMax, Cast, Equal, Gather, Greater, ReduceMax, Unsqueeze, Where",
            imports=ml,
        ),
        refused(
            "labels of strings",
            "strings",
            """(int64[N] x) => (string[N] y) { y = ai.onnx.ml.LabelEncoder<keys_int64s=[3,5],
            values_strings=["a","b"]>(x) }""",
            imports=ml,
        ),
    )


def _scaler(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    value = new.cast(new.input(0), TensorProto.FLOAT)
    for name, op in (("offset", "Sub"), ("scale", "Mul")):
        number = floats(node, name)
        if not len(number):
            continue
        _require_columns(value, len(number))
        value = new.op(op, value, number if len(number) > 1 else number.reshape(()))
    return [value]


def _require_columns(value: Value, count: int) -> None:
    """Reject as many numbers as the last axis does not have."""
    if count == 1:
        return
    if value.rank > _MATRIX or value.dim(-1) != count:
        raise NotApplicable(f"{count} numbers for an operand of shape {value.dims}")


def _normalizer(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """Normalizer: each row over its norm; a row of zeros stays one."""
    value, kind = new.cast(new.input(0), TensorProto.FLOAT), str(node.attribute("norm") or "MAX")
    if value.rank > _MATRIX:
        raise NotApplicable(f"an operand of rank {value.rank}")
    axes = [value.rank - 1]
    if kind == "MAX":
        size = new.reduce("ReduceMax", value, axes)
    elif kind == "L1":
        size = new.reduce("ReduceSum", new.op("Abs", value), axes)
    elif kind == "L2":
        size = new.op("Sqrt", new.reduce("ReduceSum", value * value, axes))
    else:
        raise NotApplicable(f"norm is {kind}")
    one = np.ones((), np.float32)
    return [value / new.op("Where", new.op("Equal", size, np.zeros((), np.float32)), one, size)]


def _binarizer(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    value, threshold = new.input(0), node.attribute("threshold") or 0.0
    return [new.cast(new.op("Greater", value, float(threshold)), value.dtype)]


def _imputer(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """Imputer: one number, NaN perhaps, is replaced."""
    value = new.input(0)
    if value.is_float:
        stated, given = node.attribute("replaced_value_float"), floats(node, "imputed_value_floats")
        number = 0.0 if stated is None else float(stated)
        hit = new.op("IsNaN", value) if np.isnan(number) else equal(new, value, np.asarray(number, value.element))
    else:
        given = whole(node, "imputed_value_int64s")
        hit = new.op("Equal", value, np.asarray(node.attribute("replaced_value_int64") or 0, value.element))
    if not len(given):
        raise NotApplicable("no value to put in is stated")
    _require_columns(value, len(given))
    replacement = given.astype(value.element)
    return [new.op("Where", hit, replacement if len(given) > 1 else replacement.reshape(()), value)]


def _extractor(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """ArrayFeatureExtractor: columns by number."""
    value, indices = new.input(0), new.input(1)
    indices = indices if indices.rank == 1 else new.reshape(indices, (-1,))
    found = new.op("Gather", value, indices, axis=value.rank - 1)
    return [new.reshape(found, (1, -1)) if value.rank == 1 else found]


def _vectorizer(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """FeatureVectorizer: columns side by side, cut or filled with zeros to what is stated."""
    sizes, parts = whole(node, "inputdimensions"), []
    values = list(new.inputs())
    if len(sizes) != len(values):
        raise NotApplicable(f"inputdimensions states {len(sizes)} sizes, and there are {len(values)} operands")
    for position, value in enumerate(values):
        if value.rank != _MATRIX:
            raise NotApplicable(f"an operand of rank {value.rank}")
        part, size = new.cast(value, TensorProto.FLOAT), int(sizes[position])
        if value.dim(1) > size:
            part = new.slice(part, [0], [size], [1])
        elif value.dim(1) < size:
            part = new.pad(part, [0, 0, 0, size - value.dim(1)])
        parts.append(part)
    return [new.concat(parts, 1)]


def _one_hot(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """OneHotEncoder of numbers: what is no category is a row of zeros."""
    categories = whole(node, "cats_int64s")
    if not len(categories):
        raise NotApplicable("the categories are strings, and MNN has no tensors of strings")
    value = new.unsqueeze(new.cast(new.input(0), TensorProto.INT64), (new.input(0).rank,))
    return [new.cast(new.op("Equal", value, categories), TensorProto.FLOAT)]


_KINDS = ("int64s", "floats", "tensor")


def _table(node: NodeFacts, name: str) -> np.ndarray:
    for kind in _KINDS:
        found: Any = node.attribute(f"{name}_{kind}")
        if found is not None and kind == "tensor":
            values = tensor_array(found)
            if values.dtype.kind in "iuf":
                return values.reshape(-1)
        elif found:
            return np.asarray(found, np.int64 if kind == "int64s" else np.float32)
    raise NotApplicable(f"the {name} are strings, and MNN has no tensors of strings")


def _labels(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """LabelEncoder of numbers: the value of the first key that is equal."""
    keys, values = _table(node, "keys"), _table(node, "values")
    default: Any = node.attribute("default_tensor")
    if default is not None:
        other = tensor_array(default).reshape(())
    elif values.dtype.kind == "f":
        stated = node.attribute("default_float")
        other = np.asarray(-0.0 if stated is None else stated, values.dtype)
    else:
        stated = node.attribute("default_int64")
        other = np.asarray(-1 if stated is None else stated, values.dtype)
    value = new.input(0)
    wider = new.unsqueeze(value, (value.rank,))
    same = equal(new, wider, keys.astype(value.element))
    if keys.dtype.kind == "f" and np.isnan(keys).any():
        both = new.op("And", new.op("IsNaN", wider), np.isnan(keys))
        same = new.op("Or", same, both)
    hits = new.cast(same, TensorProto.FLOAT)
    found = new.op("Gather", values, new.op("ArgMax", hits, axis=-1, keepdims=0), axis=0)
    best = new.reduce("ReduceMax", hits, [-1], keepdims=False)
    return [new.op("Where", new.op("Greater", best, np.zeros((), np.float32)), found, other)]


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "ArrayFeatureExtractor": _extractor,
    "Binarizer": _binarizer,
    "FeatureVectorizer": _vectorizer,
    "Imputer": _imputer,
    "LabelEncoder": _labels,
    "Normalizer": _normalizer,
    "OneHotEncoder": _one_hot,
    "Scaler": _scaler,
}
"""How each is emitted, by op type."""
