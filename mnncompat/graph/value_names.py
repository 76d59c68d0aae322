"""Names of values in a graph and in the graphs nested in it: which are read, which are in use, which are captured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from onnx import GraphProto

from mnncompat.graph.validation import all_graphs, subgraphs


def reads(graph: GraphProto) -> Iterator[str]:
    """Yield every name that nodes of a graph and of its nested graphs read."""
    for position, inner in enumerate(all_graphs(graph)):
        for node in inner.node:
            yield from filter(None, node.input)
        if position:
            yield from (value.name for value in inner.output)


def names_in_use(graph: GraphProto) -> Iterator[str]:
    """Yield every name of a value or node, in a graph and in its nested graphs."""
    for inner in all_graphs(graph):
        items: Iterable[Any] = (*inner.input, *inner.output, *inner.initializer, *inner.value_info)
        yield from (item.name for item in items)
        yield from (sparse.values.name for sparse in inner.sparse_initializer)
        for node in inner.node:
            yield from (node.name, *node.input, *node.output)


def captured(graph: GraphProto) -> list[str]:
    """Names that a nested graph reads and does not define itself."""
    own = _defined(graph)
    read = [name for node in graph.node for name in node.input if name]
    read += [name for node in graph.node for _, inner in subgraphs(node) for name in captured(inner)]
    return [name for name in (*read, *(value.name for value in graph.output)) if name not in own]


def rename_captured(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Give values that a nested graph reads from outside their new names."""
    own = _defined(graph)
    outside = {name: new for name, new in names.items() if name not in own}
    for node in graph.node:
        node.input[:] = [outside.get(name, name) for name in node.input]
        for _, inner in subgraphs(node):
            rename_captured(inner, outside)
    for value in graph.output:
        value.name = outside.get(value.name, value.name)


def _defined(graph: GraphProto) -> set[str]:
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {sparse.values.name for sparse in graph.sparse_initializer}
    return own | {name for node in graph.node for name in node.output}
