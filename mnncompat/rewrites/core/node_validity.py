"""Whether ONNX itself refuses a node, or cannot compute it, for what the model says about its operands."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.tensor_values import array_tensor, element_dtype
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import captured
from mnncompat.inference import evaluation
from mnncompat.inference.foreign_domains import ML_DOMAIN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.graph.view import GraphView
    from mnncompat.support.node_facts import NodeFacts

_MOST_READ = 1024
"""Elements of a constant that inference is shown."""
_MOST_DRAWN = 1 << 16
"""Elements of an operand that a node is tried on."""
_UNKNOWN = 2
_OTHER_AXES = frozenset(("Unsqueeze", "OneHot", "Flatten", "ConcatFromSequence"))
"""Operators whose axes are not those of their first operand alone."""
_SWITCHES = frozenset(
    (
        *("align_corners", "allowzero", "center_point_box", "ceil_mode", "count_include_pad", "exclude_outside"),
        *("exclusive", "inverse", "is_causal", "keepdims", "largest", "linear_before_reset", "noop_with_empty_axes"),
        *("onesided", "reverse", "select_last_index", "sorted", "transA", "transB", "unidirectional", "upper"),
    )
)
"""Attributes that are 0 or 1: what anything else means, implementations do not agree about."""


def why_invalid(node: NodeFacts) -> str | None:
    """What ONNX's strict inference objects to, in one line.

    Args:
        node: A node; nothing is said about operators that are not ONNX's.

    Returns:
        The objection, also to what is declared of its results; None if there is none, or if nothing is known of the
        type of a value that it reads and those of the others are as the operator's schema has them.
    """
    proto = node.node
    if is_onnx(proto) and not onnx.defs.has(proto.op_type, node.opset, ""):
        return f"opset {node.opset} has no operator {proto.op_type}"
    return why_disallowed(node) or (_objection(node) if is_onnx(proto) else None)


def why_disallowed(node: NodeFacts) -> str | None:
    """What in a node is not as the schema of its operator has it, in one line: no inference is asked."""
    proto = node.node
    if proto.domain == ML_DOMAIN:
        return _unknown_to_ml(node)
    if not is_onnx(proto) or not onnx.defs.has(proto.op_type, node.opset, ""):
        return None  # ONNX Runtime has operators of its own in that domain
    schema = onnx.defs.get_schema(proto.op_type, node.opset, "")
    return _wrong_attribute(proto, schema) or _axis_beyond(node) or _wrong_type(node, schema)


def _wrong_attribute(proto: NodeProto, schema: onnx.defs.OpSchema) -> str | None:
    """An attribute that the operator does not have, or has and is not given, or a switch that is neither 0 nor 1."""
    known, required = _attribute_names(schema.name, schema.since_version)
    given = {each.name: each for each in proto.attribute}
    foreign, missing = given.keys() - known, required - given.keys()
    if foreign:
        return f"{proto.op_type} of opset {schema.since_version} has no attribute '{min(foreign)}'"
    if missing:
        return f"attribute '{min(missing)}' is not given"
    odd = next((each for name, each in given.items() if name in _SWITCHES and each.i not in (0, 1)), None)
    return None if odd is None else f"attribute '{odd.name}' is {odd.i}, which is neither 0 nor 1"


@cache
def _attribute_names(op: str, version: int) -> tuple[frozenset[str], frozenset[str]]:
    """All attributes of an operator, and those that must be given."""
    known = onnx.defs.get_schema(op, version, "").attributes
    return frozenset(known), frozenset(name for name, each in known.items() if each.required)


def _axis_beyond(node: NodeFacts) -> str | None:
    """An attribute that names an axis that the first operand does not have; inference says so of known types alone."""
    proto = node.node
    shape = node.view.shape(proto.input[0]) if proto.input and proto.op_type not in _OTHER_AXES else None
    if shape is None:
        return None
    for attribute in proto.attribute:
        named = {"axis": [attribute.i], "axes": attribute.ints}.get(attribute.name, [])
        beyond = next((axis for axis in named if not -len(shape) <= axis < len(shape)), None)
        if beyond is not None and not attribute.ref_attr_name:
            return f"attribute '{attribute.name}' names axis {beyond} of '{proto.input[0]}', which has {len(shape)}"
    return None


def _unknown_to_ml(node: NodeFacts) -> str | None:
    """Nothing but schemas is known of these operators, which are checked when the model is read if there is one."""
    imported = node.view.scope.proto.opset_import
    opset = next((each.version for each in imported if each.domain == ML_DOMAIN), None)
    if opset is None:
        return f"the model imports no opset of {ML_DOMAIN}"
    try:
        onnx.defs.get_schema(node.node.op_type, opset, ML_DOMAIN)
    except onnx.defs.SchemaError:
        return f"opset {opset} of {ML_DOMAIN} has no operator {node.node.op_type}"
    return None


def _wrong_type(node: NodeFacts, schema: onnx.defs.OpSchema) -> str | None:
    """The first operand of an element type that the operator does not take there, or not beside the others."""
    variables: dict[str, tuple[int, str]] = {}
    if len(node.node.input) > schema.max_input:
        return f"it has {len(node.node.input)} operands, and may have {schema.max_input}"
    for position, name in enumerate(node.node.input):
        formal = schema.inputs[min(position, len(schema.inputs) - 1)]
        dtype = node.view.dtype(name) if name else None
        if dtype is None:
            continue
        stated = TensorProto.DataType.Name(dtype).lower()
        if not any(f"tensor({stated})" in each for each in formal.types):
            return f"operand {position} '{name}' is of type {stated}, which '{formal.name}' cannot be"
        first, other = variables.setdefault(formal.type_str, (position, stated))
        if other != stated and formal.is_homogeneous:
            return f"operand {position} '{name}' is of type {stated}, and operand {first} of type {other}"
    return None


def _objection(node: NodeFacts) -> str | None:
    proto, view = node.node, node.view
    inner = [name for _, graph in subgraphs(proto) for name in captured(graph)]
    graph = onnx.GraphProto(name="node", node=[proto])
    for name in dict.fromkeys(filter(None, (*proto.input, *inner))):
        try:
            constant = view.stored_value(name)
        except ValueError as error:  # data in a file beside the model, of another size
            return f"operand '{name}': {error}"
        if constant is not None and constant.size <= _MOST_READ:
            graph.initializer.append(array_tensor(np.asarray(constant), name))
        elif (declared := _declared(view, name)) is not None:
            graph.input.append(declared)
        else:
            return None
    graph.output.extend(filter(None, (_declared(view, name) for name in filter(None, proto.output))))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", node.opset)])
    try:
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (RuntimeError, ValueError, onnx.shape_inference.InferenceError) as error:
        return " ".join(str(error).split())
    return None


def why_not_computed(node: NodeFacts) -> str | None:
    """What ONNX's reference evaluator objects to, in one line: stored operands as they are, and ones for the others.

    Returns:
        The objection; None if there is none, or if it cannot be asked: where types, ranks or large sizes are unknown.
    """
    proto = node.node
    if not is_onnx(proto) or subgraphs(proto):
        return None
    operands = [_example(node.view, name) if name else None for name in proto.input]
    if any(value is None and name for value, name in zip(operands, proto.input, strict=True)):
        return None
    return evaluation.why_not_computed(proto, operands, node.opset)


def _example(view: GraphView, name: str) -> NDArray[Any] | None:
    """A small value: the stored one, or ones, with two elements along axes of unknown size."""
    stored = view.stored_value(name)
    dtype, shape = view.typed(name)
    if stored is not None or dtype is None or shape is None:
        return stored if stored is None or stored.size <= _MOST_DRAWN else None
    sizes = [dim if isinstance(dim, int) else _UNKNOWN for dim in shape]
    if prod(sizes) > _MOST_DRAWN or any(size < 0 for size in sizes):
        return None
    return np.full(sizes, "a", object) if dtype == TensorProto.STRING else np.ones(sizes, element_dtype(dtype))


def _declared(view: GraphView, name: str) -> ValueInfoProto | None:
    """What is known of a value: a tensor, or a sequence, an optional or a map as it is declared."""
    dtype, shape = view.typed(name)
    if dtype is not None:
        return helper.make_tensor_value_info(name, dtype, shape)
    scope: GraphView | None = view
    while scope is not None and name not in scope.values:
        scope = scope.parent
    declared = None if scope is None else scope.values[name]
    stated = None if declared is None else declared.type.WhichOneof("value")
    return declared if stated not in (None, "tensor_type") else None
