"""Apply one rewrite to a model, and the properties that hold for the result of every rewrite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from mnncompat.graph.editor import ModelEditor
from mnncompat.graph.model_file import from_proto
from mnncompat.graph.validation import subgraphs
from mnncompat.inference.model_view import view_model
from mnncompat.rewrites.core.base import Match, Refusal
from mnncompat.rewrites.core.model_rewrite import ModelRewrite
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import GraphProto, ModelProto

    from mnncompat.rewrites.core.base import Rewrite

TARGET = Target("3.6.1")


def findings(rewrite: Rewrite, model: ModelProto, target: Target = TARGET) -> tuple[list[Match], list[Refusal]]:
    """The matches and refusals of a rewrite in all graphs of a model."""
    view = view_model(from_proto(model))
    if isinstance(rewrite, ModelRewrite):
        locations = rewrite.search(view, target)
        refused = [each for graph in view.graphs() for each in rewrite.find(graph, target)]
        matches = [Match(rewrite.name, frozenset(), ((0, each.message),), each) for each in locations]
        return matches, [each for each in refused if isinstance(each, Refusal)]
    found = [each for graph in view.graphs() for each in rewrite.find(graph, target)]
    return [f for f in found if isinstance(f, Match)], [f for f in found if isinstance(f, Refusal)]


def rewritten(rewrite: Rewrite, model: ModelProto, target: Target = TARGET) -> ModelProto:
    """The model after one pass of the rewrite, which is left unchanged; asserts the properties of every rewrite."""
    before = model.SerializeToString(deterministic=True)
    result = _applied(rewrite, model, target)
    assert model.SerializeToString(deterministic=True) == before, "the rewrite changed its input"
    onnx.checker.check_model(result, full_check=True)
    added = len(result.graph.input) - len(model.graph.input) if rewrite.adds_inputs else 0
    assert _interface(result, without=added) == _interface(model)
    matches, _ = findings(rewrite, result, target)
    assert not matches, f"the second run finds {matches[0].notes}"
    assert leftovers(result) <= leftovers(model)
    return result


def _applied(rewrite: Rewrite, model: ModelProto, target: Target) -> ModelProto:
    view = view_model(from_proto(model))
    if isinstance(rewrite, ModelRewrite):
        locations = rewrite.search(view, target)
        return rewrite.rewrite(view, locations) if locations else model
    editor = ModelEditor(model)
    for graph in view.graphs():
        for found in rewrite.find(graph, target):
            if isinstance(found, Match):
                rewrite.apply(found, editor.graph(graph.address))
    return editor.export()


def leftovers(model: ModelProto) -> set[str]:
    """Values that are computed or stored and never used."""
    graphs, nodes = list(_graphs(model.graph)), list(_nodes(model.graph))
    read = {name for node in nodes for name in node.input} | {value.name for g in graphs for value in g.output}
    stored = {tensor.name for graph in graphs for tensor in graph.initializer}
    return (stored - read) | {node.output[0] for node in nodes if read.isdisjoint(node.output)}


def operators(model: ModelProto) -> list[str]:
    """Op types of all nodes, subgraphs included."""
    return [node.op_type for node in _nodes(model.graph)]


def _nodes(graph: GraphProto) -> Iterator[onnx.NodeProto]:
    for each in _graphs(graph):
        yield from each.node


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for _, inner in subgraphs(node):
            yield from _graphs(inner)


def _interface(model: ModelProto, *, without: int = 0) -> list[bytes]:
    """Inputs, but some at the end, and outputs; initializers that are inputs as well come and go with their use."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = list(model.graph.input)[: len(model.graph.input) - without]
    values = [value for value in inputs if value.name not in stored]
    return [value.SerializeToString(deterministic=True) for value in (*values, *model.graph.output)]
