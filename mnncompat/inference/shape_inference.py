"""ONNX shape inference without the weights, past computed sizes, Reshape targets and ONNX Runtime's own operators."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from mnncompat.graph.payloads import fill_tensor, held_tensors, is_external
from mnncompat.graph.protos import attribute, constant_array, dims_of, is_onnx, onnx_opset
from mnncompat.graph.small_tensors import small_tensor
from mnncompat.graph.tensor_values import tensor_value_info
from mnncompat.graph.validation import all_nodes, subgraphs
from mnncompat.inference.computed_sizes import SHAPE_OPERANDS, evaluate_shape_operands
from mnncompat.inference.contrib_op_types import known_type_nodes, without_extras
from mnncompat.inference.evaluation import stored_array
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN, IN_ONNX_DOMAIN, ML_DOMAIN, STAND_IN_DOMAIN
from mnncompat.inference.inferred_values import InferredValues
from mnncompat.inference.reshape_targets import resolve_targets

# Shape inference needs the values of shape operands, never those of weights: larger tensors are passed as types only.
_INFERENCE_ELEMENTS = 1024
# Each round follows computed sizes one further down a chain of them.
_INFERENCE_ROUNDS = 8
_LONGEST_VALUE = 100_000
_MOST_FOLLOWED = 4_000_000
"""Elements of all values together that inference lists; each takes 50 bytes."""
_MOST_COPIED = 20_000_000
"""Nested graphs times nodes around them: inference takes 0.1 us for each."""
_MOST_AXES = 64
# Operators whose results ONNX's inference computes, where it knows the operands.
_PROPAGATES = frozenset(
    ("Add", "Cast", "Concat", "Constant", "Gather", "Mul", "Shape", "Size", "Slice", "Squeeze", "Sub", "Unsqueeze")
)
_SIZE_TYPES = (TensorProto.INT32, TensorProto.INT64)
_TARGETS = {"Reshape": 1, "ConstantOfShape": 0}
# Operators that make many elements of few, and the operands that say how many.
_GROWS = {"ConstantOfShape": (0,), "Expand": (1,), "Range": (0, 1, 2), "Tile": (1,)}
_LENGTHENS = frozenset(("Concat", *_GROWS))


def infer(proto: ModelProto) -> ModelProto | None:
    """A copy of a model without its weights, after shape inference; None if inference failed.

    The latest answers are kept: check, fix and comparisons ask for the same model. They are not to be changed.

    Args:
        proto: The model; it is not changed, and its weights need not be loaded.
    """
    skeleton = _skeleton(proto)
    asked = skeleton.SerializeToString()
    if asked not in _ANSWERS:
        found = _inferred(proto, skeleton)
        while len(_ANSWERS) >= _KEPT:
            del _ANSWERS[next(iter(_ANSWERS))]
        _ANSWERS[asked] = found
    return _ANSWERS[asked]


_KEPT = 4
_ANSWERS: dict[bytes, ModelProto | None] = {}


def _inferred(proto: ModelProto, skeleton: ModelProto) -> ModelProto | None:
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
    if SHAPE_OPERANDS.keys().isdisjoint(node.op_type for node in skeleton.graph.node):
        return False
    values = InferredValues(skeleton.graph, inferred.graph)
    evaluated = evaluate_shape_operands(skeleton.graph, values, onnx_opset(skeleton.opset_import) or 0)
    resolved = resolve_targets(skeleton.graph, values)
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
        if entries[0] > _MOST_AXES:
            continue
        info = tensor_value_info(node.output[0], kind, [None] * entries[0])
        if node.output[0] in given:
            given[node.output[0]].CopyFrom(info)
        else:
            graph.value_info.append(info)
        stated = True
    return stated


def _infer(skeleton: ModelProto) -> ModelProto | None:
    """Infer; without following values where they may be long, or turn out to be."""
    if _has_many_scopes(skeleton.graph):
        return None
    for follow in (True, False):
        if follow and _has_long_values(skeleton.graph):
            continue
        try:
            return onnx.shape_inference.infer_shapes(skeleton, check_type=False, data_prop=follow)
        except MemoryError:
            continue
        except (RuntimeError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
            return None
    return None


def _has_many_scopes(graph: GraphProto) -> bool:
    """True if inference would copy what it knows of a long graph for very many nested ones."""
    nested = sum(len(subgraphs(node)) for node in graph.node)
    return nested * len(graph.node) > _MOST_COPIED


def _has_long_values(graph: GraphProto) -> bool:
    """True if values that inference computes may become long: a chain of Concat doubles one in every step."""
    given = _given_lengths(graph)
    if _LENGTHENS.isdisjoint([node.op_type for node in all_nodes(graph.node)]):
        return max(given.values(), default=0) * len(graph.node) > _MOST_FOLLOWED and _are_many(graph, given)
    if _are_many(graph, given):
        return True
    stored = {tensor.name: tensor for tensor in graph.initializer}
    lengths = {name: prod(tensor.dims) for name, tensor in stored.items()}
    constants = {node.output[0]: node for node in all_nodes(graph.node) if node.op_type == "Constant" and node.output}
    for node in all_nodes(graph.node):
        if node.op_type in _GROWS and _is_enormous(node, stored, constants):
            return True
        if not is_onnx(node) or node.op_type not in _PROPAGATES:
            continue
        operands = [lengths.get(name, 0) for name in node.input]
        length = sum(operands) if node.op_type == "Concat" else max((_MOST_AXES, *operands))
        if length > _LONGEST_VALUE:
            return True
        lengths |= dict.fromkeys(node.output, length)
    return False


def _given_lengths(graph: GraphProto) -> dict[str, int]:
    """Lengths of vectors and numbers that are stored, or are inputs of a static length: inference lists both."""
    found = {tensor.name: prod(tensor.dims) for tensor in graph.initializer}
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        if len(dims) <= 1 and all(dim.dim_value > 0 for dim in dims):
            found[value.name] = prod(dim.dim_value for dim in dims)
    return found


def _are_many(graph: GraphProto, given: Mapping[str, int]) -> bool:
    """True if the values that are computed from given ones alone have too many elements together."""
    lengths, total = dict(given), 0
    for node in graph.node:
        if node.op_type not in _PROPAGATES or not node.input or not lengths.keys() >= {*node.input}:
            continue
        operands = [lengths[name] for name in node.input]
        length = sum(operands) if node.op_type == "Concat" else max(operands)
        total += length
        if total > _MOST_FOLLOWED:
            return True
        lengths |= dict.fromkeys(node.output, length)
    return False


def _is_enormous(node: NodeProto, stored: Mapping[str, TensorProto], constants: Mapping[str, NodeProto]) -> bool:
    """True if a node makes more elements of constants than inference should list: it lists them."""
    operands = []
    for position in _GROWS[node.op_type]:
        name = node.input[position] if position < len(node.input) else ""
        numbers = _numbers(constants[name] if name in constants else stored.get(name))
        if numbers is None:
            return False
        operands.append(numbers)
    if node.op_type != "Range":
        return abs(prod(operands[0])) > _LONGEST_VALUE
    if any(len(each) != 1 for each in operands):
        return False
    start, limit, step = (each[0] for each in operands)
    return abs(limit - start) > _LONGEST_VALUE * abs(step)


def _numbers(stated: NodeProto | TensorProto | None) -> list[float] | None:
    """The numbers that a Constant or an initializer states; None of others, and of values that are no numbers."""
    tensor = attribute(stated, "value") if isinstance(stated, NodeProto) else stated
    if isinstance(tensor, TensorProto):
        small = small_tensor(tensor) if tensor.data_type != TensorProto.BOOL else None
        if small is not None:
            return [float(each) for each in small.values]
    if stated is None:
        return None
    value = constant_array(stated) if isinstance(stated, NodeProto) else stored_array(stated)
    return [float(each) for each in value.reshape(-1)] if value is not None and value.dtype.kind in "iuf" else None


def _skeleton(proto: ModelProto) -> ModelProto:
    """Copy a model without its large initializers: they become inputs of the same type, which inference needs."""
    bare = ModelProto(ir_version=max(proto.ir_version, 4))
    bare.opset_import.extend(proto.opset_import)
    bare.functions.extend(proto.functions)
    graph = bare.graph
    graph.name = proto.graph.name or "graph"
    own = {function.name for function in proto.functions if function.domain == CONTRIB_DOMAIN}
    graph.node.extend(map(_light, known_type_nodes(proto.graph.node, own)))
    _stand_in(bare)
    graph.output.extend(proto.graph.output)
    graph.value_info.extend(proto.graph.value_info)
    large = [t for t in proto.graph.initializer if _is_large(t)]
    small = [t for t in proto.graph.initializer if not _is_large(t)]
    stored = {t.name for t in proto.graph.initializer}
    graph.input.extend(value for value in proto.graph.input if value.name not in stored)
    graph.input.extend(tensor_value_info(t.name, t.data_type, t.dims) for t in large)
    graph.initializer.extend(small)
    for tensor, payload in held_tensors(bare):
        if not _is_weight(tensor):
            fill_tensor(tensor, payload)
    return bare


def _stand_in(skeleton: ModelProto) -> None:
    """Move the operators that `mnncompat.inference.foreign_op_shapes` knows to the domain that inference asks about."""
    own = {(function.domain, function.name) for function in skeleton.functions}
    foreign = [node for node in all_nodes(skeleton.graph.node) if _may_be_foreign(node)]
    if not foreign:
        return
    from mnncompat.inference.foreign_op_shapes import SHAPE_FUNCTIONS, stand_in

    known = [node for node in foreign if (node.domain, node.op_type) in SHAPE_FUNCTIONS.keys() - own]
    for node in known:
        node.op_type = stand_in(node.domain, node.op_type)
        node.domain = STAND_IN_DOMAIN
    if known:
        skeleton.opset_import.add(domain=STAND_IN_DOMAIN, version=1)


def _may_be_foreign(node: NodeProto) -> bool:
    return node.domain in (CONTRIB_DOMAIN, ML_DOMAIN) or node.op_type in IN_ONNX_DOMAIN


def _light(node: NodeProto) -> NodeProto:
    """A node as it is, or a Constant with a weight without its data."""
    held = node.attribute[0] if node.op_type == "Constant" and len(node.attribute) == 1 else None
    if held is None or held.type != AttributeProto.TENSOR or not _is_weight(held.t) or not is_onnx(node):
        return node
    bare = NodeProto(op_type=node.op_type, domain=node.domain, name=node.name, output=node.output)
    stated = bare.attribute.add(name=held.name, type=AttributeProto.TENSOR)
    stated.t.CopyFrom(TensorProto(dims=held.t.dims, data_type=held.t.data_type, data_location=TensorProto.EXTERNAL))
    return bare


def _is_weight(tensor: TensorProto) -> bool:
    """Whether a tensor is too large to be what inference asks for the value of."""
    return prod(tensor.dims) > (_LONGEST_VALUE if tensor.data_type in _SIZE_TYPES else _INFERENCE_ELEMENTS)


def _is_large(tensor: TensorProto) -> bool:
    return is_external(tensor) or prod(tensor.dims) > _INFERENCE_ELEMENTS
