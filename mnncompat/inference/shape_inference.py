"""ONNX shape inference without the weights, past computed sizes, Reshape targets and ONNX Runtime's own operators."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto

from mnncompat.graph.protos import dims_of, is_onnx, onnx_opset
from mnncompat.inference.computed_sizes import evaluate_shape_operands
from mnncompat.inference.contrib_op_types import CONTRIB_DOMAIN, known_type_nodes, without_extras
from mnncompat.inference.reshape_targets import resolve_targets

# Shape inference needs the values of shape operands, never those of weights: larger tensors are passed as types only.
_INFERENCE_ELEMENTS = 1024
# Each round follows computed sizes one further down a chain of them.
_INFERENCE_ROUNDS = 8
_TARGETS = {"Reshape": 1, "ConstantOfShape": 0}


def infer(proto: ModelProto) -> ModelProto | None:
    """A copy of a model without its weights, after shape inference; None if inference failed.

    Args:
        proto: The model; it is not changed, and its weights need not be loaded.
    """
    skeleton = _skeleton(proto)
    inferred = _infer(skeleton)
    for _ in range(_INFERENCE_ROUNDS):
        if inferred is None or not _resolve(skeleton, inferred):
            break
        inferred = _infer(skeleton) or inferred
    if inferred is not None and len(inferred.graph.node) > len(proto.graph.node):
        nodes = without_extras(inferred.graph.node)
        del inferred.graph.node[:]
        inferred.graph.node.extend(nodes)
    return inferred


def _resolve(skeleton: ModelProto, inferred: ModelProto) -> bool:
    """Replace computed sizes by their values; True if there were any that inference had not followed."""
    evaluated = evaluate_shape_operands(skeleton.graph, inferred.graph, onnx_opset(skeleton.opset_import) or 0)
    resolved = resolve_targets(skeleton.graph, inferred.graph)
    stated = _state_ranks(skeleton.graph, inferred.graph)
    return evaluated or resolved or stated


def _state_ranks(graph: GraphProto, inferred: GraphProto) -> bool:
    """State the rank of a reshaped value whose sizes remain unknown: the number of entries of its target."""
    known = {value.name: value for value in (*inferred.input, *inferred.value_info, *inferred.output)}
    given = {value.name: value for value in graph.value_info}
    stated = False
    for node in graph.node:
        position = _TARGETS.get(node.op_type)
        if position is None or len(node.input) <= position or not is_onnx(node):
            continue
        result, target = known.get(node.output[0]), known.get(node.input[position])
        entries = dims_of(target) if target is not None else None
        kind = result.type.tensor_type.elem_type if result is not None else 0
        if result is None or not kind or dims_of(result) is not None or not entries or not isinstance(entries[0], int):
            continue
        info = onnx.helper.make_tensor_value_info(node.output[0], kind, [None] * entries[0])
        if node.output[0] in given:
            given[node.output[0]].CopyFrom(info)
        else:
            graph.value_info.append(info)
        stated = True
    return stated


def _infer(skeleton: ModelProto) -> ModelProto | None:
    try:
        return onnx.shape_inference.infer_shapes(skeleton, check_type=False, data_prop=True)
    except (RuntimeError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return None


def _skeleton(proto: ModelProto) -> ModelProto:
    """Copy a model without its large initializers: they become inputs of the same type, which inference needs."""
    bare = ModelProto(ir_version=max(proto.ir_version, 4))
    bare.opset_import.extend(proto.opset_import)
    bare.functions.extend(proto.functions)
    graph = bare.graph
    graph.name = proto.graph.name or "graph"
    own = {function.name for function in proto.functions if function.domain == CONTRIB_DOMAIN}
    graph.node.extend(known_type_nodes(proto.graph.node, own))
    graph.output.extend(proto.graph.output)
    graph.value_info.extend(proto.graph.value_info)
    large = [t for t in proto.graph.initializer if _is_large(t)]
    small = [t for t in proto.graph.initializer if not _is_large(t)]
    stored = {t.name for t in proto.graph.initializer}
    graph.input.extend(value for value in proto.graph.input if value.name not in stored)
    graph.input.extend(onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in large)
    graph.initializer.extend(small)
    return bare


def _is_large(tensor: TensorProto) -> bool:
    return (
        tensor.data_location == TensorProto.EXTERNAL or int(np.prod(tensor.dims, dtype=np.int64)) > _INFERENCE_ELEMENTS
    )
