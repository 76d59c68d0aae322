"""ONNX shape inference without the weights, past computed sizes, Reshape targets and ONNX Runtime's own operators."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from mnncompat.graph.payloads import fill_tensor, held_tensors, is_external
from mnncompat.graph.protos import is_onnx, onnx_opset
from mnncompat.graph.tensor_values import tensor_value_info
from mnncompat.graph.validation import all_nodes, subgraphs
from mnncompat.inference.computed_sizes import SHAPE_OPERANDS, evaluate_shape_operands
from mnncompat.inference.contrib_op_types import known_type_nodes, without_extras
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN, IN_ONNX_DOMAIN, ML_DOMAIN, STAND_IN_DOMAIN
from mnncompat.inference.inferred_values import InferredValues
from mnncompat.inference.long_values import LONGEST_VALUE, MOST_AXES, has_long_values, may_lengthen
from mnncompat.inference.negative_sizes import forget_declared, guard_slices, unguard_slices
from mnncompat.inference.reshape_targets import resolve_targets
from mnncompat.inference.untyped_operands import infer_with_types, needs_types

# Shape inference needs the values of shape operands, never those of weights: larger tensors are passed as types only.
_INFERENCE_ELEMENTS = 1024
# Each round follows computed sizes one further down a chain of them.
_INFERENCE_ROUNDS = 8
_MOST_COPIED = 20_000_000
"""Nested graphs times nodes around them: inference takes 0.1 us for each."""
_MOST_BYTES_COPIED = 1 << 24
"""Bytes of a graph that is copied with its weights, to drop them from the copy."""
_SIZE_TYPES = (TensorProto.INT32, TensorProto.INT64)
_TARGETS = {"Reshape": 1, "ConstantOfShape": 0}


def infer(proto: ModelProto, kinds: Kinds | None = None) -> ModelProto | None:
    """A copy of a model without its weights, after shape inference; None if inference failed.

    The latest answers are kept: check, fix and comparisons ask for the same model. They are not to be changed.

    Args:
        proto: The model; it is not changed, and its weights need not be loaded.
        kinds: Of its nodes, if they are known.

    Raises:
        ModelError: A Slice reads a value of which a negative number of elements was inferred.
    """
    kinds = _kinds(proto) if kinds is None else kinds
    skeleton = _skeleton(proto, kinds)
    asked = skeleton.SerializeToString()
    if asked not in _ANSWERS:
        is_guarded = _has_slices(proto, kinds) and guard_slices(skeleton)
        if forget_declared(skeleton, asked) or is_guarded or needs_types(kinds):

            def again() -> ModelProto | None:
                return _inferred(proto, skeleton, kinds, skeleton.SerializeToString())

            found = infer_with_types(skeleton, again) if needs_types(kinds) else again()
        else:
            found = _inferred(proto, skeleton, kinds, asked)
        while len(_ANSWERS) >= _KEPT:
            del _ANSWERS[next(iter(_ANSWERS))]
        _ANSWERS[asked] = found
    return _ANSWERS[asked]


Kinds = set[tuple[str, str]]
"""Domain and op type of the nodes of a model, those of nested graphs included."""
_KEPT = 4
_ANSWERS: dict[bytes, ModelProto | None] = {}


def _kinds(proto: ModelProto) -> Kinds:
    return {(node.domain, node.op_type) for node in all_nodes(proto.graph.node)}


def _has_slices(proto: ModelProto, kinds: Kinds) -> bool:
    return any(op == "Slice" for _, op in kinds) or bool(proto.functions)


def _inferred(proto: ModelProto, skeleton: ModelProto, kinds: Kinds, asked: bytes) -> ModelProto | None:
    if any(domain == CONTRIB_DOMAIN for domain, _ in kinds):  # others stand in for its operators
        kinds = _kinds(skeleton)
    lengthens = may_lengthen(kinds)
    inferred = _infer(skeleton, asked, lengthens=lengthens)
    is_shaped = any(op in SHAPE_OPERANDS for _, op in kinds)
    for _ in range(_INFERENCE_ROUNDS if is_shaped else 0):
        if inferred is None or not _resolve(skeleton, inferred):
            break
        inferred = _infer(skeleton, skeleton.SerializeToString(), lengthens=lengthens) or inferred
    if inferred is not None and _has_slices(proto, kinds):
        unguard_slices(inferred)
    if inferred is not None and len(inferred.graph.node) > len(proto.graph.node):
        nodes = without_extras(inferred.graph.node)
        del inferred.graph.node[:]
        inferred.graph.node.extend(nodes)
    return inferred


def _resolve(skeleton: ModelProto, inferred: ModelProto) -> bool:
    """Replace computed sizes by their values; True if there were any that inference had not followed."""
    shaped = [node for node in skeleton.graph.node if node.op_type in SHAPE_OPERANDS]
    if not shaped:
        return False
    values = InferredValues(skeleton.graph, inferred.graph)
    evaluated = evaluate_shape_operands(skeleton.graph, shaped, values, onnx_opset(skeleton.opset_import) or 0)
    resolved = resolve_targets(skeleton.graph, values)
    stated = _state_ranks(skeleton.graph, shaped, values)
    return evaluated or resolved or stated


def _state_ranks(graph: GraphProto, nodes: Sequence[NodeProto], values: InferredValues) -> bool:
    """State the rank of a reshaped value whose sizes remain unknown: the number of entries of its target."""
    given: dict[str, ValueInfoProto] | None = None
    stated = False
    for node in nodes:
        position = _TARGETS.get(node.op_type)
        if position is None or len(node.input) <= position or not is_onnx(node):
            continue
        if values.dims(node.output[0]) is not None:
            continue
        kind, entries = values.element_type(node.output[0]), values.dims(node.input[position])
        if not kind or not entries or not isinstance(entries[0], int) or entries[0] > MOST_AXES:
            continue
        given = {value.name: value for value in graph.value_info} if given is None else given
        info = tensor_value_info(node.output[0], kind, [None] * entries[0])
        if node.output[0] in given:
            given[node.output[0]].CopyFrom(info)
        else:
            graph.value_info.append(info)
        stated = True
    return stated


def _infer(skeleton: ModelProto, asked: bytes, *, lengthens: bool) -> ModelProto | None:
    """Infer; without following values where they may be long, or turn out to be.

    Args:
        skeleton: The model without its weights.
        asked: The same, serialised.
        lengthens: Whether it has operators that make values longer: without them none is longer than the stored ones.
    """
    if _has_many_scopes(skeleton.graph):
        return None
    for follow in (True, False):
        if follow and has_long_values(skeleton.graph, lengthens=lengthens):
            continue
        try:
            return onnx.shape_inference.infer_shapes(asked, check_type=False, data_prop=follow)
        except MemoryError:
            continue
        except (
            RuntimeError,
            ValueError,
            IndexError,
            onnx.checker.ValidationError,
            onnx.shape_inference.InferenceError,
        ):
            return None
    return None


def _has_many_scopes(graph: GraphProto) -> bool:
    """True if inference would copy what it knows of a long graph for very many nested ones."""
    nested = sum(len(subgraphs(node)) for node in graph.node if node.attribute)
    return nested * len(graph.node) > _MOST_COPIED


def _skeleton(proto: ModelProto, kinds: Kinds) -> ModelProto:
    """Copy a model without its large initializers: they become inputs of the same type, which inference needs."""
    bare = ModelProto(ir_version=max(proto.ir_version, 4))
    bare.opset_import.extend(proto.opset_import)
    bare.functions.extend(proto.functions)
    own = {function.name for function in proto.functions if function.domain == CONTRIB_DOMAIN}
    is_contrib = any(domain == CONTRIB_DOMAIN for domain, _ in kinds)
    others = known_type_nodes(proto.graph.node, own) if is_contrib else None
    _copy_nodes(proto.graph, others, bare.graph, has_constants=any(op == "Constant" for _, op in kinds))
    graph = bare.graph
    graph.name = proto.graph.name or "graph"
    _stand_in(bare, kinds)
    tensors = [(t, _is_large(t)) for t in proto.graph.initializer]
    large, small = [t for t, is_large in tensors if is_large], [t for t, is_large in tensors if not is_large]
    stored = {t.name for t, _ in tensors}
    graph.input.extend(value for value in proto.graph.input if value.name not in stored)
    graph.input.extend(tensor_value_info(t.name, t.data_type, t.dims) for t in large)
    graph.initializer.extend(small)
    for tensor, payload in held_tensors(bare):
        if not _is_weight(tensor):
            fill_tensor(tensor, payload)
    return bare


def _copy_nodes(graph: GraphProto, nodes: Sequence[NodeProto] | None, copy: GraphProto, *, has_constants: bool) -> None:
    """Copy the nodes of a graph, or others in their place, and what is declared of their values, without weights."""
    if nodes is None and graph.ByteSize() <= _MOST_BYTES_COPIED:
        copy.CopyFrom(graph)  # several times as quick as node by node
        for field in _NOT_COPIED:
            copy.ClearField(field)
        for node in copy.node if has_constants else ():
            if node.op_type == "Constant":
                _drop_weight(node)
        return
    for node in graph.node if nodes is None else nodes:
        copy.node.append(_without_weight(node) if node.op_type == "Constant" else node)
    copy.output.extend(graph.output)
    copy.value_info.extend(graph.value_info)


_NOT_COPIED = ("doc_string", "initializer", "input", "metadata_props", "quantization_annotation", "sparse_initializer")


def _stand_in(skeleton: ModelProto, kinds: Kinds) -> None:
    """Move the operators that `mnncompat.inference.foreign_op_shapes` knows to the domain that inference asks about."""
    if not any(map(_may_be_foreign, kinds)):
        return
    from mnncompat.inference.foreign_op_shapes import SHAPE_FUNCTIONS, stand_in

    own = {(function.domain, function.name) for function in skeleton.functions}
    foreign = kinds & (SHAPE_FUNCTIONS.keys() - own)
    known = [node for node in all_nodes(skeleton.graph.node) if (node.domain, node.op_type) in foreign]
    for node in known:
        node.op_type = stand_in(node.domain, node.op_type)
        node.domain = STAND_IN_DOMAIN
    if known:
        skeleton.opset_import.add(domain=STAND_IN_DOMAIN, version=1)


def _may_be_foreign(kind: tuple[str, str]) -> bool:
    domain, op = kind
    return domain in (CONTRIB_DOMAIN, ML_DOMAIN) or op in IN_ONNX_DOMAIN


def _weight_of(node: NodeProto) -> AttributeProto | None:
    """The attribute of a Constant that holds a weight."""
    held = node.attribute[0] if len(node.attribute) == 1 and is_onnx(node) else None
    return held if held is not None and held.type == AttributeProto.TENSOR and _is_weight(held.t) else None


def _drop_weight(node: NodeProto) -> None:
    held = _weight_of(node)
    if held is not None:
        bare = TensorProto(dims=held.t.dims, data_type=held.t.data_type, data_location=TensorProto.EXTERNAL)
        held.t.CopyFrom(bare)


def _without_weight(node: NodeProto) -> NodeProto:
    """A Constant as it is, or a copy without its weight, which is not copied."""
    held = _weight_of(node)
    if held is None:
        return node
    bare = NodeProto(op_type=node.op_type, domain=node.domain, name=node.name, output=node.output)
    bare.attribute.add(name=held.name, type=held.type).t.dims.extend(held.t.dims)
    bare.attribute[0].t.data_type, bare.attribute[0].t.data_location = held.t.data_type, TensorProto.EXTERNAL
    return bare


def _is_weight(tensor: TensorProto) -> bool:
    """Whether a tensor is too large to be what inference asks for the value of."""
    return prod(tensor.dims) > (LONGEST_VALUE if tensor.data_type in _SIZE_TYPES else _INFERENCE_ELEMENTS)


def _is_large(tensor: TensorProto) -> bool:
    return is_external(tensor) or prod(tensor.dims) > _INFERENCE_ELEMENTS
