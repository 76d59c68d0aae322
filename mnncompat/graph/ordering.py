"""Sort the nodes of graphs, so that each value is computed before it is read. Linear in the number of operands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

from mnncompat.errors import ModelError
from mnncompat.graph.protos import GraphAddress
from mnncompat.graph.validation import subgraphs

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
    found = list(_sorted(proto.graph, name, ())[0])
    for function in proto.functions:
        found += _sorted(function, name, (f"function {function.domain}::{function.name}",))[0]
    return tuple(found)


def is_sorted(proto: ModelProto) -> bool:
    """Whether `sort_nodes` would leave a model as it is."""
    graphs: list[GraphProto | FunctionProto] = [proto.graph, *proto.functions]
    return all(_read_if_sorted(graph) is not None for graph in graphs)


def _read_if_sorted(graph: GraphProto | FunctionProto) -> list[str] | None:
    """What a sorted graph reads from outside; None if it is not sorted, or one in it is not."""
    inner: _Reads = {}
    for index, node in enumerate(graph.node):
        for _, body in subgraphs(node):
            read = _read_if_sorted(body)
            if read is None:
                return None
            inner.setdefault(index, []).extend(read)
    return None if _early_read(graph.node, _producers(graph), inner) is not None else _captured(graph, inner)


_Reads = dict[int, list[str]]
"""What nested graphs read from the one around them, by the position of their node there."""


def _label(node: NodeProto) -> str:
    """The name of a node, or else of its first output, or else its operator."""
    return str(node.name or next(filter(None, node.output), node.op_type))


def _sorted(
    graph: GraphProto | FunctionProto, name: str, root: tuple[str, ...]
) -> tuple[Sequence[Unsorted], list[str]]:
    """Sort a graph and those in it; those that were not sorted, seen from here, and what it reads from outside."""
    inner: _Reads = {}
    nested: dict[int, list[Unsorted]] = {}
    for index, node in enumerate(graph.node):
        for attribute, body in subgraphs(node):
            found, read = _sorted(body, name, root)
            inner.setdefault(index, []).extend(read)
            if found:
                below = (replace(each, address=((index, attribute), *each.address)) for each in found)
                nested.setdefault(index, []).extend(below)
    producers = _producers(graph)
    early = _early_read(graph.node, producers, inner)
    unsorted: list[Unsorted] = []
    order: Sequence[int] = range(len(graph.node))
    if early is not None:
        order = _order(graph.node, producers, inner, name)
        reader, value = early
        unsorted.append(Unsorted(root=root, address=(), reader=_label(reader), value=value))
    outside = _captured(graph, inner)
    if early is not None:
        arranged = [NodeProto.FromString(graph.node[index].SerializeToString()) for index in order]
        del graph.node[:]
        graph.node.extend(arranged)
    for place, index in enumerate(order if nested else ()):
        for each in nested.get(index, ()):
            (_, attribute), *rest = each.address
            unsorted.append(replace(each, address=((place, attribute), *rest)))
    return unsorted, outside


def _captured(graph: GraphProto | FunctionProto, inner: _Reads) -> list[str]:
    """What a graph reads from outside, each name once."""
    own = {name for node in graph.node for name in node.output}
    if isinstance(graph, FunctionProto):
        own.update(graph.input)
        results = list(graph.output)
    else:
        own.update(value.name for value in graph.input)
        own.update(tensor.name for tensor in graph.initializer)
        own.update(sparse.values.name for sparse in graph.sparse_initializer)
        results = [value.name for value in graph.output]
    read = [name for index, node in enumerate(graph.node) for name in (*node.input, *inner.get(index, ()))]
    return [name for name in dict.fromkeys((*read, *results)) if name and name not in own]


def _producers(graph: GraphProto | FunctionProto) -> dict[str, int]:
    """Index of the node that computes each value."""
    given = set(graph.input) if isinstance(graph, FunctionProto) else {value.name for value in graph.input}
    found: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for value in node.output:
            if value and value not in given:
                found.setdefault(value, index)
    return found


def _early_read(
    nodes: Sequence[NodeProto], producers: Mapping[str, int], inner: _Reads
) -> tuple[NodeProto, str] | None:
    """The first node that reads a value before a node of the same graph computes it, and the value."""
    for index, node in enumerate(nodes):
        for value in (*node.input, *inner[index]) if index in inner else node.input:
            if value and producers.get(value, -1) >= index:
                return node, value
    return None


def _order(nodes: Sequence[NodeProto], producers: Mapping[str, int], inner: _Reads, name: str) -> list[int]:
    """Indices of the nodes, each after those that compute what it reads.

    Raises:
        ModelError: There is a cycle.
    """

    def needed_by(index: int) -> Iterator[int]:
        read = (*nodes[index].input, *inner.get(index, ()))
        return (producers[value] for value in read if value in producers)

    placed: dict[int, None] = {}
    for start in range(len(nodes)):
        path = {} if start in placed else {start: needed_by(start)}
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
                path[following] = needed_by(following)
    return [*placed]


def _cycle(nodes: Sequence[NodeProto], name: str) -> ModelError:
    labels = [f"'{_label(node)}'" for node in nodes]
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    around = " reads ".join([*labels[:_SHOWN], *([] if more else labels[:1])])
    return ModelError(
        f"{name}: the graph has a cycle: {around}{more}",
        hint="export the model again, or fetch it again if it was downloaded",
    )
