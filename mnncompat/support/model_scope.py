"""What a search for hazards of a whole model reads, and the locations that it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from onnx import NodeProto, TensorProto

from mnncompat.graph.protos import attribute
from mnncompat.graph.validation import called_functions
from mnncompat.graph.view import GraphView, ModelView


class HazardLocation(NamedTuple):
    """The location of a hazard, with the values for its reason.

    Attributes:
        view: The graph it is in.
        position: The node, or None for the graph as a whole.
        values: Values for the placeholders of the reason.
    """

    view: GraphView
    position: int | None = None
    values: Mapping[str, object] = MappingProxyType({})


class Scope(NamedTuple):
    """What a search reads.

    Attributes:
        model: The model.
        graphs: Main graph, subgraphs and the functions that are called.
        declares: Whether the target MNN registers an op name.
    """

    model: ModelView
    graphs: tuple[GraphView, ...]
    declares: Callable[[str], bool]

    def nodes(self, ops: Iterable[str] = ()) -> Iterator[tuple[GraphView, int, NodeProto]]:
        """Yield every node with its location.

        Args:
            ops: Op types to look for; none for all.
        """
        wanted = tuple(ops)
        for view in self.graphs:
            for index, node in view.nodes_of(*wanted) if wanted else enumerate(view.nodes):
                yield view, index, node

    def stored(self) -> Iterator[tuple[GraphView, int | None, str, TensorProto]]:
        """Yield every initializer and every tensor of a Constant: graph, index of the Constant, name and tensor."""
        for view in self.graphs:
            yield from ((view, *each) for each in _stored(view))


def _stored(view: GraphView) -> list[tuple[int | None, str, TensorProto]]:
    found: list[tuple[int | None, str, TensorProto]] | None = view.kept.get(_stored)
    if found is None:
        found = [(None, name, tensor) for name, tensor in view.initializers.items()]
        constants = ((index, node, attribute(node, "value")) for index, node in view.nodes_of("Constant"))
        found += [(index, node.output[0], held) for index, node, held in constants if isinstance(held, TensorProto)]
        view.kept[_stored] = found
    return found


def reachable_graphs(view: ModelView) -> tuple[GraphView, ...]:
    """Main graph, subgraphs, and the local functions that are called, directly or by one another."""
    labels = {f"function {function.domain}::{function.name}" for function in called_functions(view.proto)}
    return tuple(
        graph
        for graph in view.graphs()
        if not (graph.path and graph.path[0].startswith("function ") and graph.path[0] not in labels)
    )
