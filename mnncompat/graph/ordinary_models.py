"""Models about which there is nothing to settle, to sort or to refuse, told in one pass: nearly all are.

Each part of reading a model looks at all its nodes: `mnncompat.graph.text_names`, `mnncompat.graph.restated`,
`mnncompat.graph.wellformed`, `mnncompat.graph.ordering` and `mnncompat.graph.validation`. This pass reads every field
of a node once, and answers for all of them. Whatever is unusual, nested graphs and functions included, is left to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from mnncompat.errors import ModelError
from mnncompat.graph.node_columns import Look, NodeColumns, read_columns
from mnncompat.graph.protos import ONNX_DOMAINS, onnx_opset
from mnncompat.graph.restated import states_once
from mnncompat.graph.wellformed import ML_DOMAIN, require_imports, require_node, require_tensor, require_types

_HELD = (AttributeProto.GRAPH, AttributeProto.GRAPHS, AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS)


class _Unusual(Exception):  # noqa: N818 - an answer, not an error
    """The other modules have to look at the model."""


class Ordinary(NamedTuple):
    """What was read of an ordinary model.

    Attributes:
        stored: Its tensors: initializers, then those in attributes.
        columns: The nodes of its graph.
    """

    stored: list[TensorProto]
    columns: NodeColumns


def ordinary(proto: ModelProto) -> Ordinary | None:
    """What is read of a model that is taken as it is; None if the other modules have to look at it.

    What they would do to such a model: nothing, and they would not refuse it.
    """
    graph = proto.graph
    if proto.functions or proto.training_info or graph.sparse_initializer:
        return None
    if not graph.node or not graph.output or not proto.opset_import:
        return None
    try:
        stored = [*graph.initializer]
        for tensor in stored:
            require_tensor(tensor, "")
        defined = _given(graph, stored)
        columns = read_columns(graph.node)
        _require_order(columns, defined)
        stored += _checked(graph.node, columns, onnx_opset(proto.opset_import))
        require_imports(proto, {look.domain for look in columns.looks}, "")
        require_types(graph, "")
        _require_text(proto, stored)
        is_computed = all(output.name in defined for output in graph.output)
        is_whole = not any(each.HasField("segment") for each in stored)
        return Ordinary(stored, columns) if is_computed and is_whole else None
    except (_Unusual, ModelError, TypeError, UnicodeDecodeError):
        return None


def _given(graph: GraphProto, stored: Sequence[TensorProto]) -> set[str]:
    """Names of inputs and initializers."""
    inputs, tensors = [value.name for value in graph.input], [tensor.name for tensor in stored]
    if len(set(inputs)) < len(inputs) or len(set(tensors)) < len(tensors) or "" in inputs or "" in tensors:
        raise _Unusual
    "".join((*inputs, *tensors))
    return {*inputs, *tensors}


def _require_order(columns: NodeColumns, defined: set[str]) -> None:
    """Fail on a value that is read before it is computed, or computed twice; those of the nodes become defined."""
    computed = [(name, index) for index, names in enumerate(columns.results) for name in names if name]
    positions = dict(computed)
    if len(positions) < len(computed) or not defined.isdisjoint(positions):
        raise _Unusual
    defined.update(positions)
    "".join(defined)
    positions.update(dict.fromkeys(defined - positions.keys(), -1))
    positions[""] = -1
    for index, operands in enumerate(columns.operands):
        for name in operands:
            if positions.get(name, index) >= index:
                raise _Unusual


def _checked(nodes: Sequence[NodeProto], columns: NodeColumns, opset: int | None) -> list[TensorProto]:
    """Check nodes, those that state the same once; returns the tensors in their attributes.

    Raises:
        ModelError: A node is malformed.
        _Unusual: There is something that this module does not know.
    """
    names = [name for node in nodes if (name := node.name)]
    if len(set(names)) < len(names):
        raise _Unusual
    "".join((*names, *(text for look in columns.looks for text in (look.op, look.domain))))
    numbers = columns.numbers
    first = dict(zip(reversed(numbers), range(len(numbers) - 1, -1, -1), strict=True))
    chosen = {first[number] for number, look in enumerate(columns.looks) if (opset, look) not in _SOUND}
    for names_of in (columns.operands, columns.results):
        chosen.update(index for index, each in enumerate(names_of) if "" in each)
    differing = {number for number, look in enumerate(columns.looks) if look.stated is None}
    if differing:
        chosen.update(index for index, number in enumerate(numbers) if number in differing)
    found: list[TensorProto] = []
    for index in sorted(chosen):
        found += _tensors_of(nodes[index], opset, holds_messages=numbers[index] in differing)
    if len(_SOUND) > _MOST_SOUND:
        _SOUND.clear()
    _SOUND.update((opset, look) for number, look in enumerate(columns.looks) if number not in differing)
    return found


_SOUND: set[tuple[int | None, Look]] = set()
"""What nodes stated that were checked, with ONNX's opset: many models state the same."""
_MOST_SOUND = 4096


def _tensors_of(node: NodeProto, opset: int | None, *, holds_messages: bool) -> list[TensorProto]:
    """Check one node; returns the tensors in its attributes."""
    attributes = node.attribute
    if any(each.ref_attr_name or each.type in _HELD for each in attributes):
        raise _Unusual
    is_constant = node.op_type == "Constant" and node.domain in ONNX_DOMAINS
    if node.domain == ML_DOMAIN or (is_constant and (node.input or not states_once(node))):
        raise _Unusual
    require_node(node, opset, "")
    "".join(each.name for each in attributes)
    if not holds_messages:
        return []
    return [tensor for each in attributes for tensor in (*([each.t] if each.HasField("t") else ()), *each.tensors)]


def _require_text(proto: ModelProto, stored: Sequence[TensorProto]) -> None:
    """Fail on a name that is no UTF-8: protobuf gives it as bytes then."""
    graph = proto.graph
    "".join(entry.domain for entry in proto.opset_import)
    "".join(part for each in stored for entry in each.external_data for part in (entry.key, entry.value))
    "".join((graph.name, *(value.name for value in graph.output)))
    for value in (*graph.input, *graph.output, *graph.value_info):
        "".join((value.name, *(dim.dim_param for dim in value.type.tensor_type.shape.dim)))
