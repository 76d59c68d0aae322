"""The structure of a model, in the notation of `mnncompat.rewrites.core.examples`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mnncompat.graph.protos import qualified_op
from mnncompat.graph.validation import subgraphs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnx import ModelProto, NodeProto


def structure(model: ModelProto) -> str:
    """Op types of the graph with their numbers, then those of each local function."""
    functions = (f"function {each.name}: {_counted(each.node)}" for each in model.functions)
    return "; ".join([_counted(model.graph.node), *sorted(functions)])


def _counted(nodes: Iterable[NodeProto]) -> str:
    counts = sorted(Counter(_with_subgraphs(node) for node in nodes).items())
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts) or "no nodes"


def _with_subgraphs(node: NodeProto) -> str:
    bodies = [_counted(graph.node) for _, graph in subgraphs(node)]
    return qualified_op(node) + (f"{{{' | '.join(bodies)}}}" if bodies else "")
