"""Models of double and half numbers as models of float32: that is what MNN makes of both, and what is simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, TypeProto

from mnncompat.graph.model_file import Model
from mnncompat.graph.tensor_values import array_tensor, tensor_array
from mnncompat.graph.validation import all_graphs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OTHERS = (TensorProto.DOUBLE, TensorProto.FLOAT16)
_NAMING = ("to", "dtype", "stash_type")
"""Attributes that name an element type."""


def in_float32(model: Model) -> Model:
    """A copy of a model with float32 in place of double and float16; the model itself if it has neither.

    Args:
        model: With its weights at hand.
    """
    if not any(_changes(model.skeleton)):
        return model
    copy = ModelProto()
    copy.CopyFrom(model.proto)
    for change in _changes(copy):
        if isinstance(change, TensorProto):
            change.CopyFrom(array_tensor(tensor_array(change).astype(np.float32), change.name))
        elif isinstance(change, AttributeProto):
            change.i = TensorProto.FLOAT
        else:
            change.elem_type = TensorProto.FLOAT
    return Model(proto=copy)


def fed(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same inputs in float32."""
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in feeds.items()}


def _changes(proto: ModelProto) -> Iterator[TensorProto | AttributeProto | TypeProto.Tensor]:
    """What states another width, and what holds numbers of it."""
    for graph in all_graphs(proto.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.tensor_type.elem_type in _OTHERS:
                yield value.type.tensor_type
        yield from (tensor for tensor in graph.initializer if tensor.data_type in _OTHERS)
        for node in graph.node:
            for item in node.attribute:
                if item.type == AttributeProto.INT and item.name in _NAMING and item.i in _OTHERS:
                    yield item
                if item.type == AttributeProto.TENSOR and item.t.data_type in _OTHERS:
                    yield item.t
