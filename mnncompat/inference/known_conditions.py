"""Conditions that are known before the model runs, though not all that they are computed from is.

Exporters ask for one size of a shape whose other sizes are open, or for two things of which one decides. MNN's
converter computes neither: see `mnncompat.inference.constant_folding` for what it does compute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx import NodeProto, TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import constant_value
from mnncompat.inference.evaluation import evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST_CONE = 64
_DEEPEST = 6
_DECIDES = {"And": False, "Or": True}
"""The truth of one operand that decides the result."""
_PASSES = ("Identity", "Reshape", "Squeeze", "Unsqueeze")
"""They leave the truth of a single element as it is."""


def known_condition(view: GraphView, name: str, depth: int = _DEEPEST) -> bool | None:
    """The truth of a condition of one element; None if it is not known, or cannot be evaluated.

    Args:
        view: The graph that reads it.
        name: The value.
        depth: How many logical operators are looked through.

    Raises:
        ModelError: A tensor is stored externally and cannot be read.
    """
    node = view.producer(name)
    if node is not None and is_onnx(node) and depth:
        if node.op_type in _DECIDES:
            found = [known_condition(view, each, depth - 1) for each in node.input]
            decides = _DECIDES[node.op_type]
            return decides if decides in found else None if None in found else not decides
        if node.op_type == "Not":
            inner = known_condition(view, node.input[0], depth - 1)
            return None if inner is None else not inner
        if node.op_type in _PASSES:
            return known_condition(view, node.input[0], depth - 1)
    value = constant_value(view, name)
    if value is None:
        value = _from_sizes(view, name)
    return bool(value.reshape(-1)[0]) if value is not None and value.size == 1 else None


def _from_sizes(view: GraphView, name: str) -> NDArray[Any] | None:
    """A value computed from constants and from single sizes of shapes whose other sizes may be open."""
    stored: dict[str, TensorProto] = {}
    nodes: dict[int, NodeProto] = {}
    pending = [name]
    while pending:
        wanted = pending.pop()
        index = view.producers.get(wanted)
        if wanted in stored or index in nodes:
            continue
        value = constant_value(view, wanted)
        node = None if index is None else view.nodes[index]
        if value is None and node is not None:
            value = _selected(view, node)
        if value is not None:
            stored[wanted] = array_tensor(value, wanted)
        elif node is None or index is None or not is_onnx(node) or any(subgraphs(node)) or len(nodes) == _LARGEST_CONE:
            return None
        else:
            nodes[index] = node
            pending.extend(filter(None, node.input))
            if not node.input:
                return None
    return evaluate([nodes[index] for index in sorted(nodes)], stored, view.opset, name)


def _selected(view: GraphView, node: NodeProto) -> NDArray[Any] | None:
    """The sizes that a Gather or a Slice takes from a shape, if they are known; the others may be open."""
    source = view.producer(node.input[0]) if node.op_type in ("Gather", "Slice") and node.input else None
    if source is None or source.op_type != "Shape" or not is_onnx(source):
        return None
    shape = view.shape(source.input[0])
    if shape is None:
        return None
    places = np.arange(len(shape))[slice(attribute(source, "start", 0), attribute(source, "end"))]
    kept = _taken(view, node, places)
    if kept is None:
        return None
    sizes = [shape[place] for place in kept.reshape(-1)]
    return np.array(sizes, np.int64).reshape(kept.shape) if all(isinstance(each, int) for each in sizes) else None


def _taken(view: GraphView, node: NodeProto, places: NDArray[Any]) -> NDArray[Any] | None:
    """What a Gather or a Slice takes of a list."""
    operands: dict[str, TensorProto] = {node.input[0]: array_tensor(places, node.input[0])}
    for each in filter(None, node.input[1:]):
        value = constant_value(view, each)
        if value is None:
            return None
        operands[each] = array_tensor(value, each)
    taken = evaluate([node], operands, view.opset, node.output[0])
    return taken if taken is not None and taken.dtype.kind in "iu" else None
