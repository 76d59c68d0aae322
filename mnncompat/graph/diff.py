"""Node-level difference between two versions of a model: removed, added and changed nodes with their shapes."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import NodeProto, TensorProto

from mnncompat.graph.protos import qualified_op
from mnncompat.graph.view import GraphView, ModelView
from mnncompat.results.outcomes import ChangeKind, NodeChange

_LONG = 60


def diff(before: ModelView, after: ModelView) -> tuple[NodeChange, ...]:
    """Compare two versions of a model.

    Nodes are the same if they compute the same first output in the same graph with the same operator.

    Returns:
        Changes graph by graph; in each graph the removed nodes first, then changed and added ones in graph order.
    """
    old = {view.path: view for view in before.graphs()}
    new = {view.path: view for view in after.graphs()}
    changes: list[NodeChange] = []
    for path in sorted(old.keys() | new.keys(), key=lambda p: (len(p), p)):
        changes.extend(_graph_changes(old.get(path), new.get(path)))
    return tuple(changes)


def _graph_changes(old: GraphView | None, new: GraphView | None) -> Iterator[NodeChange]:
    before = {_key(node): node for node in old.nodes} if old is not None else {}
    after = {_key(node): node for node in new.nodes} if new is not None else {}
    if old is not None:
        for key, node in before.items():
            if key not in after:
                yield _change(ChangeKind.REMOVED, old, node)
    if new is not None:
        for key, node in after.items():
            if key not in before:
                yield _change(ChangeKind.ADDED, new, node)
            elif old is not None and _text(new, node) != _text(old, before[key]):
                yield _change(ChangeKind.CHANGED, new, node, before=_text(old, before[key]))


def _key(node: NodeProto) -> tuple[str, str, str]:
    return (node.domain, node.op_type, next(filter(None, node.output), node.name))


def _change(kind: ChangeKind, view: GraphView, node: NodeProto, *, before: str = "") -> NodeChange:
    return NodeChange(
        kind=kind,
        graph=view.path,
        op_type=qualified_op(node),
        name=node.name or next(filter(None, node.output), ""),
        inputs=tuple(typed(view, name) for name in node.input),
        outputs=tuple(typed(view, name) for name in node.output if name),
        attributes=_attributes(node),
        before=before,
    )


def _text(view: GraphView, node: NodeProto) -> str:
    inputs = ", ".join(typed(view, name) for name in node.input)
    attributes = ", ".join(f"{name}={value}" for name, value in _attributes(node))
    return f"{qualified_op(node)}({inputs})" + (f" [{attributes}]" if attributes else "")


def typed(view: GraphView, name: str) -> str:
    """A value with its type: ``x: float32[N, 800]``; ``-`` for an omitted operand."""
    if not name:
        return "-"
    element, shape = view.dtype(name), view.shape(name)
    kind = TensorProto.DataType.Name(element).lower() if element else ""
    kind = "float32" if element == TensorProto.FLOAT else kind
    dims = "" if shape is None else "[" + ", ".join("?" if dim is None else str(dim) for dim in shape) + "]"
    return f"{name}: {kind}{dims}" if kind or dims else name


def _attributes(node: NodeProto) -> tuple[tuple[str, str], ...]:
    return tuple((item.name, _shorten(item)) for item in node.attribute)


def _shorten(item: onnx.AttributeProto) -> str:
    if item.type == onnx.AttributeProto.TENSOR:
        return f"tensor{list(item.t.dims)}"
    if item.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
        return "graph"
    if item.ref_attr_name:
        return f"@{item.ref_attr_name}"
    value = onnx.helper.get_attribute_value(item)
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."
