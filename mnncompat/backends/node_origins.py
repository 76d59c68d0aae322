"""Which nodes of the ONNX model an op of the converted graph comes from, as far as its name says.

MNN's converter names an op after the ONNX value that it computes (`/head/MatMul_output_0`), adds to that name where
it splits an op (`..._output_0__matmul_converted`) and numbers the ops that it adds (`Reshape34`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnncompat.graph.view import ModelView
    from mnncompat.mnn import MnnGraph, MnnOp
    from mnncompat.results.diagnostics import Location

# What the converter appends to the name of a value (tools/converter/source/optimizer at 3.6.1); after `___tr4`
# follows the name of the op that needed the other layout.
_ADDED = ("__matmul_converted", "___tr4")


class NodeOrigins:
    """Looks up ops of one converted graph.

    Args:
        view: The ONNX model that was converted.
        graph: The converted graph.
    """

    def __init__(self, view: ModelView, graph: MnnGraph) -> None:
        self._nodes: dict[str, Location] = {}
        for each in view.graphs():
            for index, node in enumerate(each.nodes):
                self._nodes.update(dict.fromkeys(filter(None, node.output), each.location(index)))
        self._readers: dict[tuple[str, int], list[MnnOp]] = {}
        for op in graph.ops:
            for value in op.inputs:
                self._readers.setdefault((op.body, value), []).append(op)

    def of(self, op: MnnOp) -> tuple[Location, ...]:
        """Nodes that an op comes from; for an op that the converter added, those of the ops that read it.

        Empty if names do not say.
        """
        named = self._named(op)
        if named:
            return named
        seen: set[int] = set()
        found: dict[Location, None] = {}
        pending = list(self._readers_of(op))
        while pending:
            reader = pending.pop()
            if id(reader) in seen:
                continue
            seen.add(id(reader))
            named = self._named(reader)
            found.update(dict.fromkeys(named))
            pending.extend(() if named else self._readers_of(reader))
        return tuple(found) if len(found) == 1 else ()

    def _named(self, op: MnnOp) -> tuple[Location, ...]:
        for name in _candidates((*op.values, op.name)):
            if name in self._nodes:
                return (self._nodes[name],)
        return ()

    def _readers_of(self, op: MnnOp) -> Iterator[MnnOp]:
        for value in op.outputs:
            yield from self._readers.get((op.body, value), ())


def _candidates(names: tuple[str, ...]) -> Iterator[str]:
    yield from names
    for name in names:
        for added in _ADDED:
            before, found, _ = name.partition(added)
            if found:
                yield before
