"""What a file states more than once, or where nobody reads it: what ONNX Runtime takes is kept, the rest is dropped.

ONNX Runtime takes the last of several initializers of one name, and makes initializers of `Constant` nodes first, of
which it reads the value alone. It drops initializers that nothing reads, and looks at no segments of tensors. Where
there is no function, attributes refer to none: it takes their values. MNN takes the first of several initializers or
constants: where they differ, `Model.restated` names the value.

Of a `Constant` ONNX Runtime takes what the type of its attribute says, whatever the attribute is called, and whatever
else it holds; MNN goes by the name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from mnncompat.errors import ModelError
from mnncompat.graph.overloads import has_overloads, name_overloads
from mnncompat.graph.payloads import inlined
from mnncompat.graph.protos import ATTRIBUTE_FIELDS, ONNX_DOMAINS
from mnncompat.graph.stored_tensors import tensors
from mnncompat.graph.validation import all_graphs, all_nodes, subgraphs
from mnncompat.graph.value_names import captured
from mnncompat.graph.wellformed import require_tensor


def is_settled(proto: ModelProto) -> bool:
    """Whether `settle` would leave a model as it is."""
    return not (
        has_overloads(proto)
        or any(_repeated(graph) for graph in all_graphs(proto.graph))
        or any(node.input or not states_once(node) for node in _constants(proto))
        or any(_references(proto))
        or any(tensor.HasField("segment") for tensor in tensors(proto))
        or any(_is_malformed(tensor) for graph in all_graphs(proto.graph) for tensor in graph.initializer)
    )


def settle(proto: ModelProto) -> tuple[str, ...]:
    """Keep what ONNX Runtime takes, in place: see above.

    Args:
        proto: The model.

    Returns:
        The names of values that were stated differently.
    """
    name_overloads(proto)
    for attribute in _references(proto):
        attribute.ClearField("ref_attr_name")
    for tensor in tensors(proto):
        tensor.ClearField("segment")
    otherwise = [name for node in _constants(proto) for name in _settle_constant(node)]
    for graph in all_graphs(proto.graph):
        _drop_unread(graph)
    repeated = (name for graph in all_graphs(proto.graph) for name in _keep_last(graph, _repeated(graph)))
    return tuple(dict.fromkeys((*otherwise, *repeated)))


def _references(proto: ModelProto) -> Iterator[AttributeProto]:
    """Attributes that name one of the function that they are in, but are in none."""
    for node in all_nodes(proto.graph.node):
        yield from (attribute for attribute in node.attribute if attribute.ref_attr_name)


def _constants(proto: ModelProto) -> Iterator[NodeProto]:
    for nodes in (proto.graph.node, *(function.node for function in proto.functions)):
        yield from filter(_is_constant, all_nodes(nodes))


def _is_constant(node: NodeProto) -> bool:
    return node.op_type == "Constant" and node.domain in ONNX_DOMAINS


def states_once(node: NodeProto) -> bool:
    """Whether each attribute of a Constant holds no value beside that of its type, and is called after it."""
    return not any(_others(node)) and _right_name(node) is None


_NAMES: dict[int, str] = {
    AttributeProto.FLOAT: "value_float",
    AttributeProto.INT: "value_int",
    AttributeProto.STRING: "value_string",
    AttributeProto.FLOATS: "value_floats",
    AttributeProto.INTS: "value_ints",
    AttributeProto.STRINGS: "value_strings",
}
"""What the attribute of a Constant is called whose value is no tensor."""


def _right_name(node: NodeProto) -> str | None:
    """What the only attribute of a Constant has to be called; None if it is called that."""
    stated = node.attribute[0] if len(node.attribute) == 1 and not node.attribute[0].ref_attr_name else None
    name = None if stated is None else _NAMES.get(stated.type)
    return name if stated is not None and name != stated.name else None


def _settle_constant(node: NodeProto) -> list[str]:
    """Keep what the type of a Constant's attribute says, in place; the name of the value if it was not called that."""
    del node.input[:]
    for attribute, field in list(_others(node)):
        attribute.ClearField(field)
    name = _right_name(node)
    if name is None:
        return []
    node.attribute[0].name = name
    return [_name(node)] if _name(node) else []


def _others(node: NodeProto) -> Iterator[tuple[AttributeProto, Any]]:
    """Fields of a node's attributes that hold a value beside that of the attribute's type."""
    for attribute in node.attribute:
        own = ATTRIBUTE_FIELDS.get(attribute.type)
        held = [field.name for field, _ in attribute.ListFields() if field.name in ATTRIBUTE_FIELDS.values()]
        if (own in held or attribute.type in _NAMES) and not attribute.ref_attr_name:
            yield from ((attribute, name) for name in held if name != own)


def _drop_unread(graph: GraphProto) -> None:
    """Drop initializers that nothing reads, if their data do not fill their dimensions."""
    malformed = {tensor.name for tensor in graph.initializer if _is_malformed(tensor)}
    if malformed:
        inner = (each for node in graph.node for _, body in subgraphs(node) for each in captured(body))
        malformed.difference_update(inner, *(node.input for node in graph.node))
        malformed.difference_update(value.name for value in graph.output)
        _keep(graph.initializer, [tensor for tensor in graph.initializer if tensor.name not in malformed])


def _is_malformed(tensor: TensorProto) -> bool:
    try:
        require_tensor(tensor, "")
    except ModelError:
        return True
    return False


def _stated(graph: GraphProto) -> Iterator[tuple[str, TensorProto | NodeProto]]:
    """Initializers and constants with their names, in the order in which ONNX Runtime takes them."""
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    yield from ((name, node) for node in graph.node if (name := _name(node)))


def _repeated(graph: GraphProto) -> frozenset[str]:
    """Names that several initializers and constants of a graph have."""
    names = [name for name, _ in _stated(graph)]
    if len(set(names)) == len(names):
        return frozenset()
    return frozenset(name for name, count in Counter(names).items() if count > 1)


def _keep_last(graph: GraphProto, repeated: frozenset[str]) -> list[str]:
    """Drop what is stated before the last time; the names of what was different there."""
    if not repeated:
        return []
    contents: dict[str, set[bytes]] = {name: set() for name in repeated}
    last: dict[str, TensorProto | NodeProto] = {}
    for name, each in _stated(graph):
        if name in repeated:
            if not isinstance(each, type(last.get(name, each))):
                contents[name].clear()  # MNN, too, takes a Constant rather than an initializer
            last[name] = each
            contents[name].add(_content(each))
    _keep(graph.initializer, [each for each in graph.initializer if last.get(each.name, each) is each])
    _keep(graph.node, [node for node in graph.node if last.get(_name(node), node) is node])
    return [name for name, found in contents.items() if len(found) > 1]


def _name(node: NodeProto) -> str:
    """The name of the value that a Constant states, empty of other nodes."""
    return node.output[0] if _is_constant(node) and len(node.output) == 1 else ""


def _keep(field: Any, kept: list[Any]) -> None:
    if len(kept) < len(field):
        copies = [type(each).FromString(each.SerializeToString()) for each in kept]
        del field[:]
        field.extend(copies)


def _content(stated: TensorProto | NodeProto) -> bytes:
    held = next((each.t for each in stated.attribute), None) if isinstance(stated, NodeProto) else stated
    if held is None:
        return b""
    tensor = TensorProto()
    tensor.CopyFrom(inlined(held))
    tensor.ClearField("name")
    return tensor.SerializeToString(deterministic=True)
