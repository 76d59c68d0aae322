"""What a model is rewritten for: an MNN release on an architecture, and what the table says is in trouble there."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from mnncompat.errors import UsageError
from mnncompat.graph.protos import GraphAddress, is_onnx
from mnncompat.graph.view import GraphView, ModelView
from mnncompat.support.model_conditions import SEARCHES
from mnncompat.support.model_scope import HazardLocation, Scope, reachable_graphs
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.reason_text import fill
from mnncompat.support.releases import releases, resolve_version
from mnncompat.support.table import ARCHITECTURES, Row, RowMatch, SupportTable

_NodeKey = tuple[GraphAddress, tuple[str, ...], int | None]


class ModelHazard(NamedTuple):
    """A statement of `rules/graph.toml` that holds for a model.

    Attributes:
        row: The statement.
        found: Where, with the values that fill its reason.
    """

    row: Row
    found: HazardLocation

    @property
    def reason(self) -> str:
        """The row's reason with the actual values."""
        return fill(self.row.reason, lambda placeholder: str(self.found.values[placeholder.subject]))


class _ModelHazards(NamedTuple):
    """What `rules/graph.toml` says about a model, by place."""

    model: ModelView
    graphs: tuple[GraphView, ...]
    places: dict[_NodeKey, list[ModelHazard]]


class Target:
    """An MNN release, on one architecture or on all, and the table that describes it.

    Args:
        version: The release, see `mnncompat.support.releases.resolve_version`.
        arch: Machine architecture, such as ``aarch64``: leave out what concerns others only. None leaves out nothing,
            because a model is converted on one machine and runs on others.
        table: The table; the one that ships with mnncompat by default.

    Attributes:
        version: The release.
        table: The table.

    Raises:
        UsageError: There is no such release, or no such architecture.
    """

    def __init__(
        self, version: str | None = None, *, arch: str | None = None, table: SupportTable | None = None
    ) -> None:
        if arch is not None and arch not in ARCHITECTURES:
            raise UsageError(f"unknown architecture: {arch}", hint=f"there are: {', '.join(ARCHITECTURES)}")
        self.version = resolve_version(version)
        self.table = table or SupportTable()
        self._arch = arch
        self._releases = releases()
        self._nodes: weakref.WeakKeyDictionary[GraphView, dict[int, tuple[RowMatch, ...]]] = weakref.WeakKeyDictionary()
        self._last: _ModelHazards | None = None  # of one model only: a fix looks at many, one after the other

    def declares(self, op: str) -> bool:
        """True if the converter of the release registers an op type."""
        return self._releases.declares(op, self.version)

    def facts(self, view: GraphView, index: int) -> NodeFacts:
        """One node, as the table sees it."""
        return NodeFacts(view, index, self.table.file(view.nodes[index].op_type).defaults)

    def hazards(self, view: GraphView, index: int) -> tuple[RowMatch, ...]:
        """The rows by which a node certainly is in trouble, those about whole models included that point at it.

        Raises:
            TableError: The rules are damaged.
        """
        known = self._nodes.setdefault(view, {})
        if index not in known:
            known[index] = tuple(self._find(view, index))
        return known[index]

    def model_hazards(self, model: ModelView) -> Iterator[ModelHazard]:
        """What `rules/graph.toml` says about a model, place by place.

        Raises:
            TableError: The rules are damaged.
        """
        for hazards in self._model_hazards(model).places.values():
            yield from hazards

    def graphs(self, model: ModelView) -> tuple[GraphView, ...]:
        """Main graph, subgraphs, and the local functions that are called; the same views every time."""
        return self._model_hazards(model).graphs

    def _find(self, view: GraphView, index: int) -> Iterator[RowMatch]:
        if is_onnx(view.nodes[index]):
            for match in self.table.match(view, index, self.version):
                if match.certain and match.row.status != "supported" and self._concerns(match.row):
                    yield match
        for trouble in self._model_hazards(view.scope).places.get((view.address, view.path, index), ()):
            yield RowMatch(row=trouble.row, certain=True, reason=trouble.reason)

    def _model_hazards(self, model: ModelView) -> _ModelHazards:
        if self._last is None or self._last.model is not model:
            graphs = reachable_graphs(model)
            scope = Scope(model=model, graphs=graphs, declares=self.declares)
            places: dict[_NodeKey, list[ModelHazard]] = defaultdict(list)
            for row in self.table.graph_rows():
                if row.holds_for(self.version) and self._concerns(row):
                    for found in SEARCHES[row.find].find(scope):
                        places[found.view.address, found.view.path, found.position].append(ModelHazard(row, found))
            self._last = _ModelHazards(model=model, graphs=graphs, places=dict(places))
        return self._last

    def _concerns(self, row: Row) -> bool:
        return self._arch is None or not row.arch or self._arch in row.arch
