"""Which nodes of one graph are which of another: of a model before and after rewrites, and of a converted file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from mnncompat.backends.node_origins import NodeOrigins

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView
    from mnncompat.mnn import MnnGraph
    from mnncompat.viewing.onnx_graph import OnnxGraph

    Fused = Callable[[MnnGraph, GraphView], Iterable[tuple[int, int]]]
    """Ops of a file's main graph by position, and nodes of the ONNX graph that went into them, by index."""


def rewritten_links(before: OnnxGraph, after: OnnxGraph) -> dict[str, Any]:
    """Nodes of a model and of what its rewrites made of it.

    Two nodes are the same if they compute the same first value in the same graph.

    Returns:
        `pairs`, a flat list of numbers `after, before, after, before, ...`; and the nodes of `after` that are `added`
        or `changed`, and of `before` that are `removed`.
    """
    from mnncompat.graph.diff import diff
    from mnncompat.results.outcomes import ChangeKind

    old = _by_result(before)
    new = _by_result(after)
    pairs = [number for key, number in new.items() if key in old for number in (number, old[key])]
    changed = []
    for change in diff(before.view, after.view):
        if change.kind is ChangeKind.CHANGED:
            first = change.outputs[0].partition(": ")[0] if change.outputs else change.name
            number = new.get((change.graph, first))
            changed += [] if number is None else [number]
    kinds = _kinds(before), _kinds(after)
    changed += [number for key, number in new.items() if key in old and kinds[0][old[key]] != kinds[1][number]]
    return {
        "pairs": pairs,
        "added": [number for key, number in new.items() if key not in old],
        "removed": [number for key, number in old.items() if key not in new],
        "changed": sorted(set(changed)),
    }


def _by_result(graph: OnnxGraph) -> dict[tuple[tuple[str, ...], str], int]:
    """Number of each node, by its graph and the first value that it computes."""
    views = {view.path: view for view in graph.view.graphs()}
    found = {}
    for (path, index), number in graph.nodes.items():
        node = views[path].nodes[index]
        found[path, next(filter(None, node.output), node.name)] = number
    return found


def _kinds(graph: OnnxGraph) -> list[tuple[str, str]]:
    views = {view.path: view for view in graph.view.graphs()}
    return [(views[path].nodes[index].domain, views[path].nodes[index].op_type) for path, index in graph.nodes]


def converted_links(onnx: OnnxGraph, file: MnnGraph, fused: Fused | None = None) -> list[int]:
    """Ops of a converted file and the ONNX nodes that they come from, as far as names say.

    Args:
        onnx: The model that was converted.
        file: What the file holds.
        fused: Tells what names do not: nodes that MNN fused into others, and the op that computes what they do.

    Returns:
        A flat list of numbers `op, node, op, node, ...`.
    """
    origins = NodeOrigins(onnx.view, file)
    found = []
    for number, op in enumerate(file.ops):
        for place in origins.of(op):
            node = None if place.index is None else onnx.nodes.get((place.graph, place.index))
            found += [] if node is None else [number, node]
    known = set(found[1::2])
    main = onnx.view.main
    for position, index in () if fused is None else fused(file, main):
        number = onnx.nodes[main.path, index]
        found += [] if number in known else [position, number]
    return found
