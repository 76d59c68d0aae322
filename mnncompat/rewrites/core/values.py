"""Values that a rewrite computes with: operands of the node it replaces, constants, and results of what it emits."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from mnncompat.graph.protos import Dim
from mnncompat.graph.tensor_values import element_dtype

Operand: TypeAlias = "Value | float | NDArray[Any]"
"""An operand of an emitted node: a value, an array that becomes a constant, or a number of the other operand's type."""


class NotApplicable(Exception):  # noqa: N818 - a result, not an error
    """A rewrite leaves a node alone; the message says which precondition does not hold, with the actual values."""


_LARGEST_BFLOAT16 = (2 - 2**-7) * 2.0**127


def element_of(data_type: int) -> np.dtype[Any]:
    """Numpy's type of the elements that an attribute names (`TensorProto.DataType`).

    Raises:
        NotApplicable: ONNX has no such type.
    """
    try:
        return np.dtype(element_dtype(data_type))
    except KeyError:
        raise NotApplicable(f"ONNX has no element type {data_type}") from None


def require_broadcast(*shapes: tuple[int, ...]) -> None:
    """Check that operands of these shapes can be broadcast together.

    Raises:
        NotApplicable: They cannot.
    """
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        told = " and ".join(str(list(shape)) for shape in shapes)
        raise NotApplicable(f"operands of the shapes {told} cannot be broadcast together") from None


class Emitter(Protocol):
    """What a value asks of the builder that it belongs to (`mnncompat.rewrites.core.node_emitter.NodeEmitter`)."""

    def known_dtype(self, name: str) -> int | None:
        """Element type of a value, None if unknown."""

    def known_shape(self, name: str) -> tuple[Dim, ...] | None:
        """Shape of a value, None if not even the rank is known."""

    def known_constant(self, name: str) -> NDArray[Any] | None:
        """The value of a constant, None if it is none."""

    def like(self, value: Value, other: Operand) -> Value:
        """An operand as a value of the type of another one."""

    def op(self, op: str, *inputs: Operand | None, **attributes: Any) -> Value:
        """Emit a node of one output."""


class Value:
    """A value of the graph or of a builder. Arithmetic operators emit nodes.

    Attributes:
        name: Its name, in the builder.
    """

    __slots__ = ("_builder", "name")
    __array_ufunc__ = None  # arithmetic with an array on the left is left to the operators below

    def __init__(self, builder: Emitter, name: str) -> None:
        self._builder = builder
        self.name = name

    @property
    def dtype(self) -> int:
        """Element type (`TensorProto.DataType`).

        Raises:
            NotApplicable: The model does not say it.
        """
        dtype = self._builder.known_dtype(self.name)
        if not dtype:
            raise NotApplicable(f"the type of '{self.name}' is not known")
        return dtype

    @property
    def element(self) -> np.dtype[Any]:
        """Numpy's type of `dtype`."""
        return element_of(self.dtype)

    @property
    def is_float(self) -> bool:
        """True for float16, bfloat16, float and double."""
        return self.dtype in (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE)

    @property
    def finite_range(self) -> tuple[float, float]:
        """The lowest and the largest number that an element can hold."""
        if self.dtype == TensorProto.BFLOAT16:  # which numpy does not know
            return -_LARGEST_BFLOAT16, _LARGEST_BFLOAT16
        limits = np.finfo(self.element) if self.is_float else np.iinfo(self.element)
        return float(limits.min), float(limits.max)

    @property
    def dims(self) -> tuple[Dim, ...]:
        """Shape, with symbols or None where it is dynamic.

        Raises:
            NotApplicable: Not even the rank is known.
        """
        shape = self._builder.known_shape(self.name)
        if shape is None:
            raise NotApplicable(f"the rank of '{self.name}' is not known")
        return shape

    @property
    def rank(self) -> int:
        """Number of dimensions.

        Raises:
            NotApplicable: It is not known.
        """
        return len(self.dims)

    @property
    def shape(self) -> tuple[int, ...]:
        """Static shape.

        Raises:
            NotApplicable: A dimension is dynamic.
        """
        return tuple(self.dim(axis) for axis in range(self.rank))

    def dim(self, axis: int) -> int:
        """Size of one dimension; negative axes count from the end.

        Raises:
            NotApplicable: It is dynamic, or there is no such axis.
        """
        if not -self.rank <= axis < self.rank:
            raise NotApplicable(f"'{self.name}' has no axis {axis}: its rank is {self.rank}")
        size = self.dims[axis]
        if not isinstance(size, int):
            raise NotApplicable(f"dimension {axis % self.rank} of '{self.name}' is dynamic")
        return size

    @property
    def constant(self) -> NDArray[Any] | None:
        """Value of a constant, None if it is computed at run time."""
        return self._builder.known_constant(self.name)

    def __add__(self, other: Operand) -> Value:
        return self._builder.op("Add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return self._builder.op("Add", self._builder.like(self, other), self)

    def __sub__(self, other: Operand) -> Value:
        return self._builder.op("Sub", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self._builder.op("Sub", self._builder.like(self, other), self)

    def __mul__(self, other: Operand) -> Value:
        return self._builder.op("Mul", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self._builder.op("Mul", self._builder.like(self, other), self)

    def __truediv__(self, other: Operand) -> Value:
        return self._builder.op("Div", self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self._builder.op("Div", self._builder.like(self, other), self)

    def __neg__(self) -> Value:
        return self._builder.op("Neg", self)

    def __matmul__(self, other: Value) -> Value:
        return self._builder.op("MatMul", self, other)
