"""Validate graphs whose nodes are sorted: each value is defined once, and before it is used, in every nested scope."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from mnncompat.errors import ModelError

_REEXPORT = "export the model again, or fetch it again if it was downloaded"


_GRAPHS = (int(AttributeProto.GRAPH), int(AttributeProto.GRAPHS))


def subgraphs(node: NodeProto) -> Sequence[tuple[str, GraphProto]]:
    """(attribute name, graph) of every graph that a node holds."""
    attributes = node.attribute
    if attributes:
        for attribute in attributes:
            if attribute.type in _GRAPHS:  # of few nodes: the walks over all of them build no list
                return [pair for each in attributes if each.type in _GRAPHS for pair in _held(each)]
    return ()


def _held(attribute: AttributeProto) -> Iterator[tuple[str, GraphProto]]:
    if attribute.type == AttributeProto.GRAPH:
        yield attribute.name, attribute.g
    for position, graph in enumerate(attribute.graphs if attribute.type == AttributeProto.GRAPHS else ()):
        yield f"{attribute.name}[{position}]", graph


def all_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield a graph and every graph nested in it, depth first."""
    pending = [graph]
    while pending:
        current = pending.pop()
        yield current
        pending += reversed([inner for node in current.node for _, inner in subgraphs(node)])


def names_read(graph: GraphProto) -> Iterator[str]:
    """Yield the names of the values that a graph and those nested in it read or give."""
    for inner in all_graphs(graph):
        yield from (name for node in inner.node for name in node.input if name)
        yield from (value.name for value in inner.output)


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield nodes and those of every graph nested in them, depth first."""
    pending = [iter(nodes)]
    while pending:
        for node in pending[-1]:
            yield node
            held = subgraphs(node) if node.attribute else ()
            if held:
                pending.append(chain.from_iterable(graph.node for _, graph in held))
                break
        else:
            pending.pop()


def check_structure(proto: ModelProto, name: str) -> None:
    """Check that a model has an opset and outputs, and that each value is defined once and before it is used.

    Args:
        proto: The model, with its nodes sorted (`mnncompat.graph.ordering.sort_nodes`).
        name: What errors call it.

    Raises:
        ModelError: One of these does not hold.
    """
    if not proto.opset_import:
        raise ModelError(f"{name}: the model imports no opset", hint=_REEXPORT)
    if not proto.graph.output:  # ONNX Runtime loads it, and then runs nothing
        raise ModelError(f"{name}: the graph has no outputs", hint=_REEXPORT)
    _check_graph(proto.graph, set(), name)
    for function in called_functions(proto):
        _check_nodes(list(function.node), set(function.input), f"{name}: function {function.name}")


def called_functions(proto: ModelProto) -> list[FunctionProto]:
    """The local functions that the graph calls, directly or through others; readers leave the rest alone."""
    bodies = {(function.domain, function.name): function for function in proto.functions}
    waiting = [(node.domain, node.op_type) for node in all_nodes(proto.graph.node)] if bodies else []
    found: dict[tuple[str, str], FunctionProto] = {}
    while waiting:
        key = waiting.pop()
        if key in bodies and key not in found:
            found[key] = bodies[key]
            waiting += [(node.domain, node.op_type) for node in all_nodes(bodies[key].node)]
    return list(found.values())


def _check_graph(graph: GraphProto, available: set[str], name: str) -> None:
    """Check a graph inside of which some values are available; `available` is afterwards what it was before."""
    defined: set[str] = set()
    for kind, names in (("input", [v.name for v in graph.input]), ("initializer", [t.name for t in graph.initializer])):
        repeated = next((n for n, count in Counter(names).items() if count > 1), None)
        if repeated is not None:
            raise ModelError(f"{name}: two {kind}s are called '{repeated}'", hint="give each value a name of its own")
        defined |= set(names)
    defined |= {sparse.values.name for sparse in graph.sparse_initializer}
    added = defined - available
    available |= added
    added |= _check_nodes(list(graph.node), available, name)
    for output in graph.output:
        if output.name not in available:
            raise ModelError(f"{name}: nothing computes the output '{output.name}'", hint=_REEXPORT)
    available -= added


def _check_nodes(nodes: list[NodeProto], available: set[str], name: str) -> set[str]:
    """Check what nodes read and define, where some values are available; adds theirs, and returns them."""
    produced: set[str] = set()
    _check_labels(nodes, name)
    for node in nodes:
        for output in node.output:
            if not output:
                continue
            if output in produced or output in available:
                raise ModelError(
                    f"{name}: the value '{output}' is defined more than once", hint="give each value a name of its own"
                )
            produced.add(output)
    for node in nodes:
        for value in node.input:
            if value and value not in available:
                label = node.name or next(iter(node.output), node.op_type)
                raise ModelError(f"{name}: node '{label}' reads '{value}', which nothing computes", hint=_REEXPORT)
        for _, graph in subgraphs(node):
            _check_graph(graph, available, name)
        available.update(filter(None, node.output))
    return produced


def _check_labels(nodes: list[NodeProto], name: str) -> None:
    """Check that names of nodes are unique; those of constants may repeat, as in ONNX Runtime (silero-vad's do)."""
    labels: set[str] = set()
    for node in nodes:
        own = node.name
        if own in labels:
            raise ModelError(f"{name}: two nodes are called '{own}'", hint="give each node a name of its own")
        if own and node.op_type != "Constant":
            labels.add(own)
