"""The values of a graph after shape inference: who computes them, and which shape they have."""

from __future__ import annotations

from functools import cached_property

from onnx import GraphProto, NodeProto, ValueInfoProto

from mnncompat.graph.protos import Dim, dims_of


class InferredValues:
    """What is asked of a graph and of the same graph after shape inference; each shape is read when it is asked for.

    Args:
        graph: The graph; operands of its nodes may change, what they compute may not.
        inferred: The same graph after shape inference.
    """

    def __init__(self, graph: GraphProto, inferred: GraphProto) -> None:
        self._graph = graph
        self._inferred = inferred
        self._dims: dict[str, tuple[Dim, ...] | None] = {}

    @cached_property
    def producers(self) -> dict[str, NodeProto]:
        """The node that computes each value."""
        return {name: node for node in self._graph.node for name in node.output}

    @cached_property
    def positions(self) -> dict[str, int]:
        """The place of each value among those that nodes compute, in the order of the nodes."""
        return {name: position for position, name in enumerate(self.producers)}

    @cached_property
    def _infos(self) -> dict[str, ValueInfoProto]:
        """What inference says about each value, the last time that it states a shape."""
        found: dict[str, ValueInfoProto] = {}
        for info in (*self._inferred.input, *self._inferred.output, *self._inferred.value_info):
            name = info.name
            if name not in found or dims_of(info) is not None:
                found[name] = info
        return found

    def element_type(self, name: str) -> int:
        """The element type of a tensor (`onnx.TensorProto.DataType`), 0 if it is not known."""
        info = self._infos.get(name)
        return 0 if info is None else int(info.type.tensor_type.elem_type)

    def dims(self, name: str) -> tuple[Dim, ...] | None:
        """The shape of a value, None if not even the rank is known."""
        if name not in self._dims:
            info = self._infos.get(name)
            self._dims[name] = None if info is None else dims_of(info)
        return self._dims[name]
