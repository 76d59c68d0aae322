"""What a search for hazards of a whole model reads, and the locations that it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from onnx import NodeProto

from mnncompat.graph.validation import all_nodes
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


def reachable_graphs(view: ModelView) -> tuple[GraphView, ...]:
    """Main graph, subgraphs, and the local functions that are called, directly or by one another."""
    bodies = {(function.domain, function.name): function for function in view.proto.functions}
    called: set[tuple[str, str]] = set()
    pending = list(all_nodes(view.proto.graph.node)) if bodies else []
    while pending:
        node = pending.pop()
        key = (node.domain, node.op_type)
        if key in bodies and key not in called:
            called.add(key)
            pending.extend(all_nodes(bodies[key].node))
    labels = {f"function {domain}::{name}" for domain, name in called}
    return tuple(
        graph
        for graph in view.graphs()
        if not (graph.path and graph.path[0].startswith("function ") and graph.path[0] not in labels)
    )
