"""Sort the nodes of graphs, so that each value is computed before it is read. Linear in the number of operands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

from mnncompat.errors import ModelError
from mnncompat.graph.protos import GraphAddress
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import captured

_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsorted:
    """A graph whose nodes were not sorted.

    Attributes:
        root: ``("function my.domain::Act",)`` in a function, as in `Location.graph`; ``()`` in the model's own graph.
        address: Where the graph is below that, in the sorted model.
        reader: Name of the first node that read a value before it was computed, or of its first output.
        value: That value.
    """

    root: tuple[str, ...]
    address: GraphAddress
    reader: str
    value: str


def sort_nodes(proto: ModelProto, name: str) -> tuple[Unsorted, ...]:
    """Sort the nodes of every graph of a model, in place; a graph that is sorted stays as it is.

    A node comes after those that compute what it reads, in nested graphs too, and otherwise keeps its position.

    Args:
        proto: The model.
        name: What errors call it.

    Returns:
        The graphs that were not sorted.

    Raises:
        ModelError: Nodes read each other's results in a circle.
    """
    found = [*_sorted(proto.graph, name, (), ())]
    for function in proto.functions:
        found += _sorted(function, name, (f"function {function.domain}::{function.name}",), ())
    return tuple(found)


def is_sorted(proto: ModelProto) -> bool:
    """Whether `sort_nodes` would leave a model as it is."""
    graphs: list[GraphProto | FunctionProto] = [proto.graph, *proto.functions]
    return all(_is_sorted(graph) for graph in graphs)


def _is_sorted(graph: GraphProto | FunctionProto) -> bool:
    nested = (inner for node in graph.node for _, inner in subgraphs(node))
    return _early_read(graph.node, _producers(graph)) is None and all(_is_sorted(inner) for inner in nested)


def _label(node: NodeProto) -> str:
    """The name of a node, or else of its first output, or else its operator."""
    return str(node.name or next(filter(None, node.output), node.op_type))


def _sorted(
    graph: GraphProto | FunctionProto, name: str, root: tuple[str, ...], address: GraphAddress
) -> Iterator[Unsorted]:
    producers = _producers(graph)
    early = _early_read(graph.node, producers)
    if early is not None:
        order = _order(graph.node, producers, name)
        arranged = [NodeProto.FromString(graph.node[index].SerializeToString()) for index in order]
        del graph.node[:]
        graph.node.extend(arranged)
        reader, value = early
        yield Unsorted(root=root, address=address, reader=_label(reader), value=value)
    for index, node in enumerate(graph.node):
        for attribute, inner in subgraphs(node):
            yield from _sorted(inner, name, root, (*address, (index, attribute)))


def _producers(graph: GraphProto | FunctionProto) -> dict[str, int]:
    """Index of the node that computes each value."""
    given = set(graph.input) if isinstance(graph, FunctionProto) else {value.name for value in graph.input}
    found: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for value in node.output:
            if value and value not in given:
                found.setdefault(value, index)
    return found


def _early_read(nodes: Sequence[NodeProto], producers: Mapping[str, int]) -> tuple[NodeProto, str] | None:
    """The first node that reads a value before a node of the same graph computes it, and the value."""
    for index, node in enumerate(nodes):
        for value in _reads(node) if subgraphs(node) else node.input:
            if value and producers.get(value, -1) >= index:
                return node, value
    return None


def _order(nodes: Sequence[NodeProto], producers: Mapping[str, int], name: str) -> list[int]:
    """Indices of the nodes, each after those that compute what it reads.

    Raises:
        ModelError: There is a cycle.
    """
    placed: dict[int, None] = {}
    for start in range(len(nodes)):
        path = {} if start in placed else {start: _needed(nodes[start], producers)}
        while path:
            index, needed = next(reversed(path.items()))
            following = next((each for each in needed if each not in placed), None)
            if following is None:
                placed[index] = None
                del path[index]
            elif following in path:
                circle = [*path][[*path].index(following) :]
                raise _cycle([nodes[each] for each in circle], name)
            else:
                path[following] = _needed(nodes[following], producers)
    return [*placed]


def _needed(node: NodeProto, producers: Mapping[str, int]) -> Iterator[int]:
    return (producers[value] for value in _reads(node) if value in producers)


def _reads(node: NodeProto) -> Iterator[str]:
    """What a node reads from its graph, itself or in nested graphs."""
    yield from filter(None, node.input)
    for _, graph in subgraphs(node):
        yield from captured(graph)


def _cycle(nodes: Sequence[NodeProto], name: str) -> ModelError:
    labels = [f"'{_label(node)}'" for node in nodes]
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    around = " reads ".join([*labels[:_SHOWN], *([] if more else labels[:1])])
    return ModelError(
        f"{name}: the graph has a cycle: {around}{more}",
        hint="export the model again, or fetch it again if it was downloaded",
    )
