"""Models of bfloat16, computed in float32: ONNX Runtime's CPU has almost no kernel for them, and numpy no numbers.

MNN holds bfloat16 in float32 as well, and rounds nothing. Numbers that are drawn or given are rounded to it, which
float32 holds exactly, and so is what the graph casts to it; what it computes is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.tensor_values import array_tensor, tensor_array
from mnncompat.graph.validation import all_graphs
from mnncompat.parity.model_copies import inlined_copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TYPES = ("to", "dtype", "softmax_precision", "stash_type")
"""Attributes that name an element type."""


def rounded(values: np.ndarray) -> np.ndarray:
    """Numbers rounded to bfloat16, as float32."""
    from ml_dtypes import bfloat16

    return np.asarray(values, np.float32).astype(bfloat16).astype(np.float32)


def has_bfloat16_interface(model: ModelProto) -> bool:
    """Whether an input or output of a model is bfloat16."""
    values = (*model.graph.input, *model.graph.output)
    return any(value.type.tensor_type.elem_type == TensorProto.BFLOAT16 for value in values)


def in_float32(model: Path | str | bytes | ModelProto) -> ModelProto | None:
    """A copy of a model with float32 in place of bfloat16; None if it has no bfloat16.

    Args:
        model: A file, a serialised model or a model in memory; external data is not read.
    """
    if isinstance(model, bytes):
        proto = onnx.load_model_from_string(model)
    else:
        proto = model if isinstance(model, ModelProto) else onnx.load(model, load_external_data=False)
    copy = inlined_copy(proto)
    return copy if sum([_widen(graph) for graph in all_graphs(copy.graph)]) else None


def _widen(graph: GraphProto) -> int:
    """Change a graph, its subgraphs left out; how many places were changed."""
    changed = 0
    for value in (*graph.input, *graph.output, *graph.value_info):
        changed += _retype(value.type.tensor_type)
    for tensor in graph.initializer:
        changed += _store(tensor)
    nodes: list[NodeProto] = []
    for node in graph.node:
        is_rounding = is_onnx(node) and node.op_type == "Cast" and attribute(node, "to", 0) == TensorProto.BFLOAT16
        changed += sum(_state(item) for item in node.attribute)
        if is_rounding:
            narrow = f"{node.output[0]}/bfloat16"
            nodes.append(helper.make_node("Cast", node.input[:1], [narrow], to=TensorProto.BFLOAT16))
            node.input[0] = narrow
        nodes.append(node)
    if len(nodes) > len(graph.node):
        copies = [_copy(node) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
    return changed


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy


def _retype(tensor: onnx.TypeProto.Tensor) -> int:
    if tensor.elem_type != TensorProto.BFLOAT16:
        return 0
    tensor.elem_type = TensorProto.FLOAT
    return 1


def _state(item: AttributeProto) -> int:
    """Change an attribute that names the type, or holds tensors of it."""
    if item.name in _TYPES and item.i == TensorProto.BFLOAT16:
        item.i = TensorProto.FLOAT
        return 1
    return sum(_store(tensor) for tensor in _tensors(item))


def _tensors(item: AttributeProto) -> Iterator[TensorProto]:
    if item.HasField("t"):
        yield item.t
    yield from item.tensors


def _store(tensor: TensorProto) -> int:
    if tensor.data_type != TensorProto.BFLOAT16:
        return 0
    values = tensor_array(tensor).astype(np.float32)
    tensor.CopyFrom(array_tensor(values, tensor.name))
    return 1
