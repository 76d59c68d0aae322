r"""Names that are text: one that is no UTF-8, which ONNX Runtime takes, is spelled with escapes (``fc\xff``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message
from onnx import GraphProto, ModelProto, NodeProto

from mnncompat.graph.validation import all_graphs, all_nodes


def require_text(proto: ModelProto) -> None:
    """Have every name be text: one that is no UTF-8 is replaced by one with escapes, in place."""
    if not _is_text(proto):
        _spell(proto)


def _is_text(proto: ModelProto) -> bool:
    """False if a name is no UTF-8: protobuf gives it as bytes then."""
    try:
        "".join(entry.domain for entry in proto.opset_import)
        for graph in all_graphs(proto.graph):
            _join_values(graph)
            _join_nodes(graph.node)
        for function in proto.functions:
            "".join((function.name, function.domain, *function.input, *function.output, *function.attribute))
            "".join(entry.domain for entry in function.opset_import)
            _join_nodes(all_nodes(function.node))
    except (TypeError, UnicodeDecodeError):
        return False
    return True


def _join_values(graph: GraphProto) -> None:
    "".join((graph.name, *(tensor.name for tensor in graph.initializer)))
    for value in (*graph.input, *graph.output, *graph.value_info):
        "".join((value.name, *(dim.dim_param for dim in value.type.tensor_type.shape.dim)))
    for tensor in graph.initializer:
        "".join(part for entry in tensor.external_data for part in (entry.key, entry.value))


def _join_nodes(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        "".join((node.name, node.op_type, node.domain, *node.input, *node.output))
        attributes = node.attribute
        if attributes:
            "".join([part for attribute in attributes for part in (attribute.name, attribute.ref_attr_name)])


def _spell(message: Message) -> None:
    """Replace every string that is no UTF-8 by one with escapes, in place."""
    for field in message.DESCRIPTOR.fields:
        repeated = field.is_repeated
        if field.type == field.TYPE_STRING:
            value = getattr(message, field.name)
            if repeated and any(isinstance(each, bytes) for each in value):
                value[:] = [_spelled(each) for each in value]
            elif isinstance(value, bytes):
                setattr(message, field.name, _spelled(value))
        elif field.type == field.TYPE_MESSAGE:
            held: Any = getattr(message, field.name)
            for each in held if repeated else (held,) if message.HasField(field.name) else ():
                _spell(each)


def _spelled(value: str | bytes) -> str:
    return value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else value
