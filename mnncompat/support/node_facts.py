"""Facts that the table may ask for about one node: its attributes, operands and results as far as the model tells.

A fact that the model does not tell (an unknown rank, a symbolic dimension) is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from onnx import NodeProto, TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.operator_traits import CASTS
from mnncompat.graph.protos import Dim, attribute, is_onnx
from mnncompat.graph.tensor_values import element_dtype
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import constant_value, is_constant

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NodeFacts:
    """One node, seen by the conditions of the table.

    Args:
        view: The graph that holds the node.
        index: Position of the node in it.
        defaults: Defaults of the op type's attributes.

    Attributes:
        view: The graph that holds the node.
        index: Position of the node in it.
        node: The node.
        opset: Version of ONNX's own domain in force here.
    """

    def __init__(self, view: GraphView, index: int, defaults: Mapping[str, Any]) -> None:
        self.view = view
        self.index = index
        self.node: NodeProto = view.nodes[index]
        self.opset = view.opset
        self._defaults = defaults
        self._attributes: dict[str, Any] = {}

    def operand(self, position: int) -> str | None:
        """Name of the input at `position` (negative: from the end); None if it is left out or empty."""
        return _at(self.view.operands[self.index], position)

    def result(self, position: int) -> str | None:
        """Name of the output at `position`; None if it is left out or empty."""
        return _at(self.view.results[self.index], position)

    @cached_property
    def ops_before(self) -> frozenset[str]:
        """Op types of the nodes of this graph that compute the operands."""
        producers, nodes = self.view.producers, self.view.nodes
        return frozenset(nodes[producers[name]].op_type for name in self.view.operands[self.index] if name in producers)

    def lacks(self, ops: Container[str]) -> bool:
        """True if no node of this graph has one of these op types."""
        return all(op not in ops for _, op in self.view.kinds)

    def given(self, name: str) -> bool:
        """True if the node states the attribute."""
        return any(item.name == name for item in self.node.attribute)

    def attribute(self, name: str) -> Any:
        """Value of an attribute in effect: as stated, else its default, else None. Strings are `str`."""
        if name not in self._attributes:
            value = attribute(self.node, name) if self.given(name) else self._defaults.get(name)
            self._attributes[name] = _text(value)
        return self._attributes[name]

    def shape(self, name: str) -> tuple[Dim, ...] | None:
        """Shape of a value, None if its rank is unknown."""
        return self.view.shape(name)

    def rank(self, name: str) -> int | None:
        """Rank of a value, None if unknown."""
        shape = self.view.shape(name)
        return None if shape is None else len(shape)

    def elements(self, name: str) -> int | None:
        """Number of elements of a value, None if unknown."""
        shape = self.view.shape(name)
        if shape is None:
            return None
        sizes = [dim for dim in shape if isinstance(dim, int)]
        if 0 in sizes:
            return 0
        return prod(sizes) if len(sizes) == len(shape) else None

    def dtype(self, name: str) -> str | None:
        """Element type of a value by ONNX's name, such as ``FLOAT`` or ``INT64``; None if unknown."""
        dtype = self.view.dtype(name)
        return None if not dtype else TensorProto.DataType.Name(dtype)

    def value_through_casts(self, name: str) -> NDArray[Any] | None:
        """The value if it is stored, or is Cast, CastLike or Neg of a stored value; else None."""
        passed: list[NodeProto] = []
        value = self.view.stored_value(name)
        while value is None:
            node = self.view.producer(name)
            if node is None or not is_onnx(node) or node.op_type not in ("Neg", *CASTS):
                return None
            passed.append(node)
            name = node.input[0]
            value = self.view.stored_value(name)
        for node in reversed(passed):
            dtype = self.view.dtype(node.output[0])
            if node.op_type == "Neg":
                value = np.asarray(-value)
            elif dtype in _NUMBERS:
                value = value.astype(element_dtype(dtype))
            else:
                return None
        return value

    def numbers_through_casts(self, name: str) -> Iterable[Any] | None:
        """The elements of `value_through_casts`; those of a small stored value without numpy."""
        stored = self.view.stored_numbers(name)
        if stored is not None:
            return stored.values
        value = self.value_through_casts(name)
        return None if value is None else value.flat

    def constant_value(self, name: str) -> NDArray[Any] | None:
        """The value of a constant, evaluated if need be; None if it is no constant, or cannot be evaluated."""
        value = self.value_through_casts(name)
        return constant_value(self.view, name) if value is None else value

    def is_constant(self, name: str) -> bool:
        """True if a value is known before the model runs: stored, or computed from nothing but such values.

        The converter computes those itself. Their data is not read here.
        """
        return is_constant(self.view, name)

    def producer(self, name: str) -> str:
        """Op type that computes a value here, looking through Identity.

        ``input`` stands for a graph input, ``initializer`` for an initializer, ``outer`` for a captured value.
        """
        node = self.view.producer(name)
        while node is not None and node.op_type == "Identity":
            name = node.input[0]
            node = self.view.producer(name)
        if node is not None:
            return str(node.op_type)
        if name in self.view.initializers:
            return "initializer"
        return "input" if any(value == name for value in self._input_names) else "outer"

    @cached_property
    def _input_names(self) -> tuple[str, ...]:
        return tuple(value if isinstance(value, str) else value.name for value in self.view.graph.input)


_NUMBERS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64)


def _at(names: Any, position: int) -> str | None:
    if not -len(names) <= position < len(names):
        return None
    return str(names[position]) or None


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], bytes):
        return [item.decode("utf-8", errors="replace") for item in value]
    return value
