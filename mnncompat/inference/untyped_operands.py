"""Operators whose inference in ONNX ends the process where the type of an operand is not known.

EyeLike and RegexFullMatch read `getInputType(0)->tensor_type()` before they ask whether there is a type (ONNX 1.19 to
1.22, onnx/defs/generator/defs.cc and onnx/defs/text/defs.cc). Of all operators these two do it: each was inferred with
operands without types. Such a node is hidden from inference, unless the rest of the model tells the type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from onnx import GraphProto, ModelProto, NodeProto

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.validation import all_nodes

_OPS = frozenset(("EyeLike", "RegexFullMatch"))
_HIDDEN = "mnncompat.hidden."
"""In front of the op type of a hidden node: ONNX has no such operator, and infers nothing."""


def needs_types(kinds: Iterable[tuple[str, str]]) -> bool:
    """True if a model with nodes of these domains and op types has such operators."""
    return any(op in _OPS for _, op in kinds)


def infer_with_types(skeleton: ModelProto, infer: Callable[[], ModelProto | None]) -> ModelProto | None:
    """Infer, where inference is safe.

    Args:
        skeleton: The model that is inferred; it is the same afterwards.
        infer: Infers it, as it is then.
    """
    hidden = [node for node in all_nodes(skeleton.graph.node) if node.op_type in _OPS and is_onnx(node)]
    for node in hidden:
        node.op_type = _HIDDEN + node.op_type
    inferred = infer()
    while inferred is not None:
        known = _typed(inferred.graph)
        safe = [node for node in hidden if node.input and node.input[0] in known]
        if not safe:
            break
        _reveal(safe)
        hidden = [node for node in hidden if node.op_type.startswith(_HIDDEN)]
        inferred = infer()
    _reveal(hidden)
    if inferred is not None:
        _reveal(all_nodes(inferred.graph.node))
    return inferred


def _typed(graph: GraphProto) -> set[str]:
    """Names of the main graph's values whose type is known."""
    values = {each.name for each in (*graph.input, *graph.value_info) if each.type.WhichOneof("value")}
    return values | {each.name for each in graph.initializer}


def _reveal(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        node.op_type = node.op_type.removeprefix(_HIDDEN)
