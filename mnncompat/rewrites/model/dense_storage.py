"""Stored tensors as raw bytes, which MNN reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, helper

from mnncompat.graph.tensor_values import array_tensor, tensor_array
from mnncompat.graph.validation import all_graphs
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.model_rewrite import ModelRewrite, RewriteLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mnncompat.graph.view import ModelView
    from mnncompat.support.target import Target


class DenseStorage(ModelRewrite):
    """Store tensors densely and as bytes.

    **What.** Initializers and ``Constant`` nodes of types that MNN does not read from typed fields (int8, bool,
    float16, ... in ``int32_data``; uint32 in ``uint64_data``), and sparse ones.

    **Why.** MNN's converter reads ``raw_data`` of every type, but not every typed field: it reads zeros instead, or
    nothing, and crashes. Sparse tensors it does not read at all.

    **Before and after**::

        initializer w (int8) {int32_data: [1, 2, 3]}
        initializer w (int8) {raw_data: 01 02 03}

    **Algebra.** The elements are the same.

    **Source.** MNN 3.6.1, tools/converter/source/onnx/onnxOpConverter.cpp (``convertTensorToBlob``)
    """

    code = "MNN806"
    name = "dense-storage"
    summary = "stored as bytes"

    def search(self, model: ModelView, target: Target) -> list[RewriteLocation]:
        """The tensors to store in another form; not those without elements, which have nothing to store."""
        locations = super().search(model, target)
        return [spot for spot in locations if 0 not in (spot.view.shape(spot.tensor) or ())]

    def rewrite(self, model: ModelView, locations: Sequence[RewriteLocation]) -> ModelProto:
        """The model with the tensors of the given locations stored in another form."""
        result = ModelProto()
        result.CopyFrom(model.proto)
        named = {spot.tensor for spot in locations}
        for graph in all_graphs(result.graph):
            for tensor in graph.initializer:
                if tensor.name in named:
                    _repack(tensor)
            for sparse in [each for each in graph.sparse_initializer if each.values.name in named]:
                graph.initializer.append(array_tensor(_dense(sparse), sparse.values.name))
                graph.sparse_initializer.remove(sparse)
            for node in graph.node:
                if node.op_type == "Constant" and node.output[0] in named:
                    _repack_constant(node)
        return result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Typed fields, a sparse initializer, and tensors that MNN reads as they are."""
        bytes_text = "(float[2,3] x) => (float[2,3] y) { f = Cast<to = 1>(w) y = Mul(x, f) }"
        float_text = "(float[2,3] x) => (float[2,3] y) { y = Mul(x, w) }"
        constant = """(float[2,3] x) => (float[2,3] y) {
            w = Constant<value = int8[3] {1, -2, 3}>() f = Cast<to = 1>(w) y = Mul(x, f) }"""
        int8 = np.array([1, -2, 3], np.int8)
        typed = rewritten("int8 in int32_data", bytes_text, becomes="Cast, Mul", w=int8)
        sparse = rewritten("sparse Constant", float_text, becomes="Constant, Mul", w=(3,))
        return (
            typed._replace(build=_changed(typed, _in_int32_data)),
            rewritten("int8 Constant in int32_data", constant, becomes="Cast, Constant, Mul"),
            sparse._replace(build=_changed(sparse, _sparse)),
            unchanged("raw bytes", bytes_text, w=int8),
            unchanged("floats", float_text, w=(3,)),
        )


def _repack(tensor: TensorProto) -> None:
    tensor.CopyFrom(_packed(tensor_array(tensor), tensor))


def _packed(array: NDArray[Any], like: TensorProto) -> TensorProto:
    packed = array_tensor(np.ascontiguousarray(array).reshape(array.shape), like.name)
    packed.data_type = like.data_type
    packed.doc_string = like.doc_string
    return packed


def _repack_constant(node: NodeProto) -> None:
    for item in node.attribute:
        if item.name == "value":
            _repack(item.t)
        elif item.name == "sparse_value":
            value = array_tensor(_dense(item.sparse_tensor))
            item.CopyFrom(helper.make_attribute("value", value))


def _dense(sparse: SparseTensorProto) -> NDArray[Any]:
    values, indices = tensor_array(sparse.values), tensor_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense


def _changed(example: Example, change: Callable[[GraphProto], None]) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        model = example.build()
        change(model.graph)
        return model

    return build


def _in_int32_data(graph: GraphProto) -> None:
    (tensor,) = graph.initializer
    tensor.int32_data.extend(int(each) for each in tensor_array(tensor))
    tensor.ClearField("raw_data")


def _sparse(graph: GraphProto) -> None:
    (tensor,) = graph.initializer
    array = tensor_array(tensor)
    indices = array_tensor(np.array([0, 2], np.int64))
    values = array_tensor(array[[0, 2]], tensor.name)
    sparse = helper.make_sparse_tensor(values, indices, list(array.shape))
    graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], sparse_value=sparse))
    del graph.initializer[:]
