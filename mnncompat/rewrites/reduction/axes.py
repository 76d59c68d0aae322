"""The axes of a reduction of ONNX, stated as attribute or input, and whether dimensions are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


@dataclass(frozen=True, slots=True)
class Reduction:
    """The axes of a Reduce operator, and whether they are kept.

    Attributes:
        new: Where to emit nodes.
        axes: The axes, or the value that holds them at run time; without axes nothing is reduced.
        keepdims: Whether reduced dimensions stay, of size 1.
    """

    new: SubgraphBuilder
    axes: tuple[int, ...] | Value
    keepdims: bool

    @classmethod
    def of(cls, node: NodeFacts, new: SubgraphBuilder) -> Self:
        """The axes of a node.

        Raises:
            NotApplicable: The axes are computed at run time and may be none, or no axes mean all axes of an unknown
                rank.
        """
        keepdims = bool(node.attribute("keepdims"))
        axes: list[int] | None = None
        if new.has(1):
            value = new.input(1)
            if value.constant is None and value.rank == 0:
                raise NotApplicable(f"the axes are '{value.name}', which is one number and not a list")
            if value.constant is None and value.dims[0] != 0:
                if not isinstance(value.dims[0], int):
                    raise NotApplicable(f"the axes are computed at run time, and '{value.name}' may be empty")
                return cls(new, value, keepdims)
            axes = [] if value.constant is None else new.integers(1)
        elif node.given("axes"):
            axes = list(node.attribute("axes"))
        if not axes:
            axes = [] if node.attribute("noop_with_empty_axes") else list(range(new.input(0).rank))
        shape = new.known_shape(new.input(0).name)
        if shape is not None and any(not -len(shape) <= axis < len(shape) for axis in axes):
            raise NotApplicable(f"it has the axes {list(axes)} of an operand of rank {len(shape)}")
        return cls(new, tuple(axes), keepdims)

    @property
    def is_noop(self) -> bool:
        """True if nothing is reduced."""
        return self.axes == ()

    def may_be_empty(self, x: Value) -> bool:
        """True if a reduced dimension is known to have no elements."""
        shape = self.new.known_shape(x.name)
        if shape is None:
            return False
        axes = self.axes if isinstance(self.axes, tuple) else range(len(shape))
        return any(shape[axis] == 0 for axis in axes)

    def emit(self, op: str, x: Value, *, keepdims: bool | None = None) -> Value:
        """A reduction over the same axes."""
        keep = self.keepdims if keepdims is None else keepdims
        if isinstance(self.axes, tuple):
            return self.new.reduce(op, x, self.axes, keepdims=keep)
        return self.new.op(op, x, self.axes, keepdims=int(keep))

    def squeeze(self, x: Value) -> Value:
        """A kept result without the reduced dimensions, if these are not to be kept."""
        if self.keepdims or self.is_noop:
            return x
        if isinstance(self.axes, tuple):
            return self.new.squeeze(x, self.axes)
        return self.new.op("Squeeze", x, self.axes)
