"""Outputs that no number reaches: they are of one value, whatever a model is fed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.model_file import Model
from mnncompat.graph.protos import is_onnx
from mnncompat.graph.validation import subgraphs
from mnncompat.inference.model_view import view_model
from mnncompat.inference.random_nodes import random_nodes

if TYPE_CHECKING:
    import onnx
    from onnx import NodeProto

    from mnncompat.graph.view import GraphView

_OF_SHAPES = frozenset(("Shape", "Size"))
"""Operators that read no elements of their operand."""


def is_settled(model: onnx.ModelProto, name: str) -> bool:
    """Whether an output depends on no element of an input: what it is made of has no elements, or is stored.

    The largest element of nothing is minus infinity in every draw. A comparison of such outputs proves all that there
    is to prove, without a finite number in it.

    Args:
        model: The model; weights need not be loaded.
        name: One of its outputs.
    """
    models = view_model(Model(proto=model))
    if random_nodes(models):
        return False
    view, pending, seen = models.main, [name], {name}
    while pending:
        value = pending.pop()
        if value in view.initializers or 0 in (view.shape(value) or ()):
            continue
        node = view.producer(value)
        if node is None or any(True for _ in subgraphs(node)):
            return False
        operands = [each for each in _read(view, node) if each and each not in seen]
        pending += operands
        seen.update(operands)
    return True


def _read(view: GraphView, node: NodeProto) -> list[str]:
    """The operands whose elements a result is made of; axes of nothing decide its shape alone."""
    if is_onnx(node) and node.op_type in _OF_SHAPES:
        return []
    if is_onnx(node) and node.op_type.startswith("Reduce") and 0 in (view.shape(node.input[0]) or ()):
        return []
    return list(node.input)
