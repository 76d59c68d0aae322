"""Overloads of local functions (IR version 10), as functions of names of their own.

ONNX Runtime tells functions apart by domain, name and overload; whatever else looks for a function goes by domain and
name. The overload becomes part of the name where a model is read: ``F`` with the overload ``of_two`` is ``F.of_two``.
"""

from __future__ import annotations

from onnx import ModelProto

from mnncompat.graph.protos import ONNX_DOMAINS
from mnncompat.graph.validation import all_nodes


def has_overloads(proto: ModelProto) -> bool:
    """Whether a function of a model is an overload."""
    return any(function.overload for function in proto.functions)


def name_overloads(proto: ModelProto) -> None:
    """Give each overload, and the nodes that call it, a name that says which one it is, in place."""
    if not has_overloads(proto):
        return
    taken = {(_plain(each.domain), each.name) for each in proto.functions if not each.overload}
    names: dict[tuple[str, str, str], str] = {}
    for function in proto.functions:
        domain = _plain(function.domain)
        if not function.overload or (domain, function.name, function.overload) in names:
            continue  # two that are the same are refused later
        name = f"{function.name}.{function.overload}"
        while (domain, name) in taken:
            name += "_"
        taken.add((domain, name))
        names[domain, function.name, function.overload] = name
    for nodes in (proto.graph.node, *(function.node for function in proto.functions)):
        for node in all_nodes(nodes):
            called = names.get((_plain(node.domain), node.op_type, node.overload)) if node.overload else None
            if called is not None:
                node.op_type, node.overload = called, ""
    for function in proto.functions:
        if function.overload:
            function.name = names[_plain(function.domain), function.name, function.overload]
            function.overload = ""


def _plain(domain: str) -> str:
    return "" if domain in ONNX_DOMAINS else domain
