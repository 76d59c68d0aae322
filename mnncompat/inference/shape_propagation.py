"""The state of one run that follows shapes through a graph, and the requirements that it collects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto

from mnncompat.graph.protos import attribute, dims_of
from mnncompat.graph.view import GraphView
from mnncompat.inference.size_expression import Size, as_size, dimension, reduced

Shape = tuple[Size | None, ...]
"""A size is None where it cannot be followed."""
_MOST_ELEMENTS = 64
"""Values that say shapes are small."""
_LARGEST = 1e9
BATCH = "batch"
"""The name of first dimensions that have none."""
_NAMELESS = ("", "?", "-1", "None", "unk", "unknown")
"""What exporters write for a dimension that has no name."""


class Requirement(NamedTuple):
    """What a node asks of sizes.

    Attributes:
        kind: ``equal``, ``broadcast`` (equal, or one of them is 1), ``multiple`` (left is a multiple of right),
            ``at-most`` or ``at-least``.
        left: One side.
        right: The other.
        node: The node, by its position in its graph.
        reason: In words, such as ``Add of [batch, total] and [batch, past + new]``.
    """

    kind: str
    left: Size
    right: Size
    node: int
    reason: str
    branch: str = ""
    """The outermost branch or loop body that it stands in, which may not run; empty for the main graph."""

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """True if given dimensions fulfil it; the same for what cannot be evaluated."""
        try:
            left, right = self.left.evaluate(sizes), self.right.evaluate(sizes)
        except (KeyError, ZeroDivisionError):
            return True
        match self.kind:
            case "equal":
                return left == right
            case "broadcast":
                return left == right or 1 in (left, right)
            case "multiple":
                return left == right == 0 if right == 0 else left % right == 0
            case "at-most":
                return left <= right
        return left >= right


class Propagation:
    """The state of one run over a graph; what the shape functions work on.

    Attributes:
        view: The graph.
        outer: The run over the graph around it, None for the main graph.
        infers: Whether ONNX shape inference is asked for what cannot be followed.
        index: The node in work.
        shapes: What was found so far.
        requirements: Likewise.
    """

    def __init__(self, view: GraphView, *, infer: bool, outer: Propagation | None = None) -> None:
        self.view = view
        self.outer = outer
        self.infers = infer
        self.index = 0
        self.shapes: dict[str, Shape | None] = {}
        self.requirements: list[Requirement] = []
        self._values: dict[str, list[Size | None]] = {}

    def declare_inputs(self, graph: GraphProto) -> dict[str, dict[int, str]]:
        """Take the declared shapes of the inputs; dimensions without a name get one."""
        found: dict[str, dict[int, str]] = {}
        for value in graph.input:
            dims = None if value.name in self.view.initializers else dims_of(value)
            if dims is None:
                continue
            dims = tuple(None if isinstance(dim, int) and dim < 0 else dim for dim in dims)
            names = {
                axis: _nameless(value.name, axis) if dim is None or dim in _NAMELESS else dim
                for axis, dim in enumerate(dims)
                if not isinstance(dim, int)
            }
            self.shapes[value.name] = tuple(
                dimension(names[axis]) if axis in names else Size(int(dim or 0)) for axis, dim in enumerate(dims)
            )
            found[value.name] = names
        return found

    def shape(self, name: str) -> Shape | None:
        """Shape of a value: followed, stored, or as far as ONNX shape inference knows it."""
        if name not in self.shapes:
            if self.outer is not None and name not in self.view.producers and name not in self.view.initializers:
                return self.outer.shape(name)
            tensor = self.view.tensor(name)
            dims = tensor.dims if tensor is not None else getattr(self._listed(name), "shape", None)
            self.shapes[name] = None if dims is None else tuple(Size(int(dim)) for dim in dims)
        return self.shapes[name]

    def _listed(self, name: str) -> NDArray[Any] | None:
        """The value of a Constant that states its numbers as an attribute."""
        node = self.view.producer(name)
        return self.view.stored_value(name) if node is not None and node.op_type == "Constant" else None

    def _small(self, name: str) -> NDArray[Any] | None:
        """A stored value of few elements; large ones are not read."""
        tensor = self.view.tensor(name) if name else None
        if tensor is None:
            return self._listed(name)
        few = int(np.prod(tensor.dims, dtype=np.int64)) <= _MOST_ELEMENTS
        return self.view.stored_value(name) if few else None

    def rank(self, name: str) -> int | None:
        """Rank of a value, None if unknown."""
        shape = self.shape(name)
        return None if shape is None else len(shape)

    def value(self, name: str) -> list[Size | None] | None:
        """The elements of a small integer value, flat; None if they are not followed."""
        if name not in self._values:
            if self.outer is not None and name not in self.view.producers and name not in self.view.initializers:
                return self.outer.value(name)
            array = self._small(name)
            if array is None or array.dtype.kind not in "biuf":
                return None
            if array.dtype.kind == "f":
                array = array.astype(np.float64)
                if not np.all((array == np.floor(array)) & (np.abs(array) < _LARGEST)):
                    return None
            self._values[name] = [Size(int(each)) for each in array.reshape(-1)]
        return self._values[name]

    def array(self, name: str) -> NDArray[np.object_] | None:
        """The same in the value's shape; None if that is not static."""
        value, shape = self.value(name), self.shape(name)
        sizes = None if shape is None else [None if size is None else size.number for size in shape]
        if value is None or sizes is None or None in sizes:
            return None
        flat = np.empty(len(value), dtype=object)
        flat[:] = value
        return flat.reshape([size or 0 for size in sizes]) if flat.size else None

    def set_value(self, name: str, value: Sequence[Size | None]) -> None:
        """Keep the elements of a small value, flat."""
        if len(value) <= _MOST_ELEMENTS:
            self._values[name] = list(value)

    def floats(self, name: str) -> list[float] | None:
        """Elements of a small constant as floats, None if it is none."""
        array = self._small(name)
        return None if array is None else [float(each) for each in array.reshape(-1)]

    def integers(self, name: str) -> list[int] | None:
        """Elements of a small value that depend on nothing; None if there is any other."""
        value = self.value(name) if name else None
        if value is None:
            return None
        numbers = [None if each is None else each.number for each in value]
        return None if None in numbers else [int(number or 0) for number in numbers]

    def define(self, node: NodeProto, shapes: Sequence[Shape | None] | None) -> None:
        """Keep the shapes of a node's outputs; what was not followed is taken from ONNX shape inference."""
        for position, name in enumerate(node.output):
            if not name:
                continue
            found = shapes[position] if shapes is not None and position < len(shapes) else None
            if found is None or None in found:
                found = self._completed(name, found)
            self.shapes[name] = found

    def _completed(self, name: str, found: Shape | None) -> Shape | None:
        inferred = self.view.shape(name) if self.infers else None
        if inferred is None:
            return found
        static = tuple(Size(dim) if isinstance(dim, int) else None for dim in inferred)
        if found is None or len(found) != len(static):
            return static
        return tuple(one if one is not None else two for one, two in zip(found, static, strict=True))

    def require(self, kind: str, left: Size | int | None, right: Size | int | None, *shapes: Shape | None) -> None:
        """Note what the node in work asks of two sizes, unless it is so or nothing is known.

        Args:
            kind: See `Requirement`.
            left: One size.
            right: The other.
            *shapes: Where they come from, for people.
        """
        if left is None or right is None:
            return
        one, two = as_size(left), as_size(right)
        if one.number is not None and two.number is not None:
            return
        if kind in ("equal", "broadcast") and one == two:
            return
        if kind in ("equal", "multiple"):
            one, two = reduced(one, two)
            if one == two or (kind == "multiple" and two.number == 1):
                return
        words = f"{self.op} of {' and '.join(map(text, shapes))}" if shapes else self.op
        self.requirements.append(
            Requirement(kind, one, two, self.index, words, branch=self.view.path[0] if self.view.path else "")
        )

    def broadcast(self, *shapes: Shape | None) -> Shape | None:
        """The shape of elementwise arithmetic, and what it requires."""
        known = [shape for shape in shapes if shape is not None]
        if len(known) != len(shapes):
            return None
        rank = max((len(shape) for shape in known), default=0)
        result: list[Size | None] = []
        for axis in range(rank):
            column = [shape[axis - rank + len(shape)] for shape in known if axis - rank + len(shape) >= 0]
            result.append(self._joined(column, known))
        return tuple(result)

    def _joined(self, column: Sequence[Size | None], shapes: Sequence[Shape]) -> Size | None:
        """One axis of a broadcast."""
        sizes = [size for size in column if size is None or size.number != 1]
        if not sizes:
            return Size(1)
        fixed = next((size for size in sizes if size is not None and size.number is not None), None)
        first = fixed or next((size for size in sizes if size is not None), None)
        for size in sizes:
            if size is not None and first is not None and size != first:
                self.require("broadcast", size, first, *shapes)
        return first

    @property
    def op(self) -> str:
        """Op type of the node in work."""
        return str(self.view.nodes[self.index].op_type)

    def attribute(self, node: NodeProto, name: str, default: Any = None) -> Any:
        """An attribute's value, see `mnncompat.graph.protos.attribute`."""
        return attribute(node, name, default)


def _nameless(name: str, axis: int) -> str:
    """The name of a dimension that has none: all first ones are taken for the same batch."""
    return f"{name}[{axis}]" if axis else BATCH


def text(shape: Shape | None) -> str:
    """A shape for people: ``[batch, past + new, ?]``."""
    if shape is None:
        return "[...]"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
