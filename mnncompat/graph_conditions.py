"""Searches for what concerns a model as a whole, named by the rows of ``rules/graph.toml``.

Each search yields where it found something, with the values that fill the placeholders of the row's reason. What MNN
makes of it (status, reason, remedy, releases) is the row's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from mnncompat.view import GraphView, ModelView

ONNX_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One place.

    Attributes:
        view: The graph it is in.
        index: The node, or None for the graph as a whole.
        values: What fills the placeholders of the reason.
    """

    view: GraphView
    index: int | None = None
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a search looks at.

    Attributes:
        model: The model.
        graphs: Main graph, subgraphs and the functions that are called.
        declares: Whether the target MNN registers an op name.
    """

    model: ModelView
    graphs: tuple[GraphView, ...]
    declares: Callable[[str], bool]


SEARCHES: dict[str, Callable[[Scope], Iterable[Found]]] = {}


def _search(function: Callable[[Scope], Iterable[Found]]) -> Callable[[Scope], Iterable[Found]]:
    SEARCHES[function.__name__.strip("_").replace("_", "-")] = function
    return function


@_search
def _onnx_opset_not_first(scope: Scope) -> Iterator[Found]:
    """ONNX's own domain is not the first of `opset_import`, and the first one has another version."""
    first = scope.model.proto.opset_import[0]
    if first.domain not in ONNX_DOMAINS and first.version != scope.model.opset and scope.model.opset:
        values = {"first": first.domain, "read": first.version, "meant": scope.model.opset}
        yield Found(view=scope.model.main, values=values)


def _functions(scope: Scope) -> set[tuple[str, str]]:
    return {(function.domain, function.name) for function in scope.model.proto.functions}


def _foreign_nodes(scope: Scope) -> Iterator[tuple[GraphView, int]]:
    functions = _functions(scope)
    for view in scope.graphs:
        for index, node in enumerate(view.nodes):
            if node.domain not in ONNX_DOMAINS and (node.domain, node.op_type) not in functions:
                yield view, index


@_search
def _foreign_op_taken_by_name(scope: Scope) -> Iterator[Found]:
    """An operator of another domain whose bare name MNN declares."""
    for view, index in _foreign_nodes(scope):
        node = view.nodes[index]
        if scope.declares(node.op_type):
            yield Found(view=view, index=index, values={"domain": node.domain, "op": node.op_type})


@_search
def _foreign_op(scope: Scope) -> Iterator[Found]:
    """An operator of another domain whose name MNN does not declare."""
    for view, index in _foreign_nodes(scope):
        node = view.nodes[index]
        if not scope.declares(node.op_type):
            yield Found(view=view, index=index, values={"domain": node.domain, "op": node.op_type})


@_search
def _function_call(scope: Scope) -> Iterator[Found]:
    """A call of a function that the model defines itself."""
    functions = _functions(scope)
    for view in scope.graphs:
        for index, node in enumerate(view.nodes):
            if (node.domain, node.op_type) in functions:
                yield Found(view=view, index=index, values={"domain": node.domain, "op": node.op_type})
