"""A node whose results ONNX's inference does not know, as the functions see it that tell their types and shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnx import TypeProto

from mnncompat.graph.protos import Dim, attribute_value
from mnncompat.graph.tensor_values import tensor_array

Shape = tuple[Dim, ...] | None
Result = tuple[int, Shape] | None
"""Element type and shape; None where nothing is known."""


class Call:
    """A node with what inference knows about its operands.

    Args:
        context: Of ONNX's inference (`onnx.shape_inference.InferenceContext`).
    """

    def __init__(self, context: Any) -> None:
        self._context = context

    def has(self, position: int) -> bool:
        """True unless the operand is left out."""
        return position < self._context.get_num_inputs() and bool(self._context.has_input(position))

    def dtype(self, position: int) -> int:
        """Element type of an operand; 0 if it is not known."""
        found = self._type(position)
        return 0 if found is None else int(found.tensor_type.elem_type)

    def shape(self, position: int) -> Shape:
        """Shape of an operand; None if it is left out or of unknown rank."""
        found = self._type(position)
        if found is None or not found.tensor_type.HasField("shape"):
            return None
        return tuple(
            each.dim_value if each.HasField("dim_value") else each.dim_param or None
            for each in found.tensor_type.shape.dim
        )

    def attribute(self, name: str, default: Any = None) -> Any:
        """Value of an attribute as stated, else `default`; strings are bytes."""
        found = self._context.get_attribute(name)
        return default if found is None or not found.name else attribute_value(found)

    def constant(self, position: int) -> list[int] | None:
        """The elements of an operand of integers that is a constant."""
        data = self._context.get_input_data(position) if self.has(position) else None
        return None if data is None else [int(each) for each in tensor_array(data).reshape(-1)]

    @property
    def inputs(self) -> int:
        """Number of operands."""
        return int(self._context.get_num_inputs())

    def _type(self, position: int) -> TypeProto | None:
        if not self.has(position):
            return None
        found: TypeProto | None = self._context.get_input_type(position)
        return found


ShapeFunction = Callable[[Call], Sequence[Result]]


def like(position: int = 0) -> ShapeFunction:
    """One result like an operand."""
    return lambda call: [(call.dtype(position), call.shape(position))]


def times(dim: Dim, factor: int) -> Dim:
    """A multiple; None of a symbol."""
    return dim * factor if isinstance(dim, int) else None


def over(dim: Dim, divisor: int) -> Dim:
    """A part; None of a symbol."""
    return dim // divisor if isinstance(dim, int) and divisor else None


def plus(*dims: Dim) -> Dim:
    """A sum; of a symbol and nothing it is the symbol."""
    numbers = [each for each in dims if isinstance(each, int)]
    if len(numbers) == len(dims):
        return sum(numbers)
    others = [each for each in dims if not isinstance(each, int)]
    return others[0] if len(others) == 1 and not sum(numbers) else None
