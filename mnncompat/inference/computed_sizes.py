"""Operands that state a shape, evaluated where they are arithmetic on known sizes.

Exporters compute sizes in the graph, ``int(positions ** 0.5)`` as Pow and Cast. ONNX shape inference follows additions
and products only: it loses the shape of the result of such a node, and all shapes downstream. An operand that depends
on known sizes and numbers alone is replaced by its value. Only the weightless copy that inference works on is changed,
never the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from onnx import GraphProto, NodeProto, TensorProto

from mnncompat.graph.payloads import is_external
from mnncompat.graph.protos import attribute, constant_array, is_onnx
from mnncompat.graph.small_tensors import integers_tensor, small_tensor
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.inference.evaluation import evaluate
from mnncompat.inference.inferred_values import InferredValues

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE_OPERANDS = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Tile": (1,),
    "Upsample": (1,),
}
"""Op type -> the operands that state a shape."""
# No operator whose result could be large: only a few numbers are computed here.
_ARITHMETIC = frozenset(
    (
        *("Abs", "Add", "And", "Cast", "Ceil", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Floor"),
        *("Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Log", "Max", "Min", "Mod", "Mul"),
        *("Neg", "Not", "Or", "Pow", "Reciprocal", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape"),
        *("Round", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"),
    )
)
_LARGEST_CONE = 256
_INDEX_TYPES = (TensorProto.INT32, TensorProto.INT64)
_MOST_ELEMENTS = 64


def evaluate_shape_operands(graph: GraphProto, nodes: Iterable[NodeProto], values: InferredValues, opset: int) -> bool:
    """Replace computed operands that state a shape by their values, where the shape is not known yet.

    Args:
        graph: The graph to change.
        nodes: Those of its nodes that are in `SHAPE_OPERANDS`.
        values: What inference says about its values.
        opset: Of ONNX's own operators.

    Returns:
        True if anything was replaced, so that inference may find more now.
    """
    arithmetic = _Arithmetic(graph, values, opset)
    replaced = False
    for node in nodes:
        if not is_onnx(node) or arithmetic.sizes(node.output[0]) is not None:
            continue
        for position in SHAPE_OPERANDS[node.op_type]:
            name = node.input[position] if position < len(node.input) else ""
            value = arithmetic.stored_as(name)
            if value is not None:
                node.input[position] = value
                replaced = True
    return replaced


class _Arithmetic:
    """Evaluates small values of a graph that depend on known sizes and numbers alone."""

    def __init__(self, graph: GraphProto, values: InferredValues, opset: int) -> None:
        self._graph = graph
        self._opset = opset
        self._values = values
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._names: dict[str, str | None] = {}
        self._open: set[str] = set()

    def sizes(self, name: str) -> list[int] | None:
        """The shape of a value; None if it is not known in full."""
        dims = self._values.dims(name)
        sizes = [dim for dim in dims or () if isinstance(dim, int)]
        return sizes if dims is not None and len(sizes) == len(dims) else None

    def stored_as(self, name: str) -> str | None:
        """Name of the initializer that holds the value of a computed operand; None if the value is not certain."""
        node = None if name in self._stored or not name else self._values.producers.get(name)
        if node is None or node.op_type == "Constant":
            return None
        if name not in self._names:
            value = self._value(name)
            self._names[name] = None if value is None else f"{name} evaluated"
            if value is not None:
                self._graph.initializer.append(array_tensor(value, f"{name} evaluated"))
        return self._names[name]

    def _value(self, name: str) -> NDArray[Any] | None:
        leaves: dict[str, TensorProto] = {}
        nodes: dict[str, NodeProto] = {}
        pending = [name]
        while pending:
            wanted = pending.pop()
            if wanted in leaves or wanted in nodes:
                continue
            node, leaf = self._values.producers.get(wanted), self._leaf(wanted)
            if leaf is not None:
                leaves[wanted] = leaf
            elif wanted in self._open or node is None or not self._is_arithmetic(node) or len(nodes) == _LARGEST_CONE:
                self._open.update((name, wanted))  # many operands depend on the same unknown size
                return None
            else:
                nodes[wanted] = node
                pending.extend(filter(None, node.input))
        ordered = sorted(nodes, key=self._values.positions.__getitem__)
        value = evaluate([nodes[each] for each in ordered], leaves, self._opset, name)
        is_small_number = value is not None and value.dtype.kind in "iuf" and value.size <= _MOST_ELEMENTS
        return value if is_small_number else None

    def _leaf(self, name: str) -> TensorProto | None:
        """The value of an initializer, a constant, or a known size."""
        if name in self._stored:
            return self._stored[name]
        node = self._values.producers.get(name)
        if name in self._open or node is None or not is_onnx(node):
            return None
        if node.input:
            return self._size(name, node)
        if node.op_type != "Constant":
            return None
        tensor = attribute(node, "value")
        if isinstance(tensor, TensorProto):
            return None if is_external(tensor) else tensor
        value = constant_array(node)
        return None if value is None else array_tensor(value, name)

    def _size(self, name: str, node: NodeProto) -> TensorProto | None:
        sizes = self.sizes(node.input[0])
        if node.op_type == "Size" and sizes is not None:
            return integers_tensor([prod(sizes)], (), name)
        if node.op_type == "Shape":
            dims = self._values.dims(node.input[0]) or ()
            taken = range(len(dims))[slice(attribute(node, "start", 0), attribute(node, "end"))]
            return self._selected_sizes(name, node, taken, (len(taken),))
        producer = self._values.producers.get(node.input[0])
        if node.op_type != "Gather" or producer is None or producer.op_type != "Shape" or producer.attribute:
            return None
        index = self._leaf(node.input[1])
        places = small_tensor(index) if index is not None and index.data_type in _INDEX_TYPES else None
        return None if places is None else self._selected_sizes(name, producer, places.values, places.shape)

    def _selected_sizes(
        self, name: str, shape: NodeProto, places: Sequence[float], result: Sequence[int]
    ) -> TensorProto | None:
        """The sizes at some places of a shape, as a tensor of a shape; other sizes may be unknown."""
        dims = self._values.dims(shape.input[0])
        if dims is None or any(not -len(dims) <= place < len(dims) for place in places):
            return None
        found = [dims[int(place)] for place in places]
        sizes = [size for size in found if isinstance(size, int)]
        return integers_tensor(sizes, result, name) if len(sizes) == len(found) else None

    def _is_arithmetic(self, node: NodeProto) -> bool:
        if not is_onnx(node) or node.op_type not in _ARITHMETIC or len(node.output) != 1:
            return False
        sizes = self.sizes(node.output[0])
        if sizes is None:
            return node.op_type != "ConstantOfShape"
        return prod(sizes) <= _MOST_ELEMENTS
