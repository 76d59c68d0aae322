"""The target of a rewrite: an MNN release on an architecture, and the hazards that the table states for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from mnncompat.errors import UsageError
from mnncompat.graph.protos import GraphAddress, is_onnx
from mnncompat.graph.view import GraphView, ModelView
from mnncompat.support.alike_nodes import RowMatch
from mnncompat.support.deployment import ARCHITECTURES, HIGH, PRECISIONS, limits_in_words
from mnncompat.support.head_form import HeadForm
from mnncompat.support.model_conditions import SEARCHES
from mnncompat.support.model_scope import HazardLocation, Scope, reachable_graphs
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.reason_text import fill
from mnncompat.support.releases import declares, resolve_version
from mnncompat.support.row_choice import EVERYTHING, UNDECLARED_CODE, UNDECLARED_NAME, RowChoice
from mnncompat.support.table import Row, SupportTable, shipped_table

_NodeKey = tuple[GraphAddress, tuple[str, ...], int | None]


class ModelHazard(NamedTuple):
    """A statement of `rules/graph.toml` that holds for a model.

    Attributes:
        row: The statement.
        found: Location of the hazard, with the values that fill the row's reason.
    """

    row: Row
    found: HazardLocation

    @property
    def reason(self) -> str:
        """The row's reason with the actual values."""
        return fill(self.row.reason, lambda placeholder: str(self.found.values[placeholder.subject]))


class _ModelHazards(NamedTuple):
    """The hazards of one model that `rules/graph.toml` states, by location."""

    model: ModelView
    graphs: tuple[GraphView, ...]
    by_location: dict[_NodeKey, list[ModelHazard]]


class Target:
    """An MNN release, on one architecture or on all, and the table that describes it.

    Args:
        version: The release, see `mnncompat.support.releases.resolve_version`.
        arch: Machine architecture, such as ``aarch64``: rows about other architectures only are left out. None leaves
            out no row, because a model is converted on one machine and runs on others.
        precision: What MNN computes in where the model is deployed: rows about others only are left out.
        table: The table; the one that ships with mnncompat by default.
        choice: Rows that count; all by default.
        head: Write every fully connected head in this form; None chooses for each one.
        peaks: The largest magnitude that values of the model were seen to have, by name; None if none were computed.

    Attributes:
        version: The release.
        arch: The architecture; None for all.
        precision: What MNN computes in.
        table: The table.
        choice: Rows that count.
        head: The form of every fully connected head; None if it is chosen for each one.
        peaks: The largest magnitude of values, by name.

    Raises:
        UsageError: There is no such release, architecture or precision.
    """

    def __init__(
        self,
        version: str | None = None,
        *,
        arch: str | None = None,
        precision: str = HIGH,
        table: SupportTable | None = None,
        choice: RowChoice = EVERYTHING,
        head: HeadForm | None = None,
        peaks: Mapping[str, float] | None = None,
    ) -> None:
        if arch is not None and arch not in ARCHITECTURES:
            raise UsageError(f"unknown architecture: {arch}", hint=f"there are: {', '.join(ARCHITECTURES)}")
        if precision not in PRECISIONS:
            raise UsageError(f"unknown precision: {precision}", hint=f"there are: {', '.join(PRECISIONS)}")
        self.version = resolve_version(version)
        self.table = table or shipped_table()
        self.arch = arch
        self.precision = precision
        self.choice = choice
        self.head = head
        self.peaks = peaks
        self._last: _ModelHazards | None = None  # of the latest model only: a fix examines many

    def with_peaks(self, peaks: Mapping[str, float]) -> Target:
        """The same, for a model whose values were computed."""
        return Target(
            self.version,
            arch=self.arch,
            precision=self.precision,
            table=self.table,
            choice=self.choice,
            head=self.head,
            peaks=peaks,
        )

    def declares(self, op: str) -> bool:
        """True if the converter of the release registers an op type."""
        return declares(op, self.version)

    def facts(self, view: GraphView, index: int) -> NodeFacts:
        """The facts about one node that the table may ask for."""
        return NodeFacts(view, index, self.table.file(view.nodes[index].op_type).defaults)

    def hazards(self, view: GraphView, index: int) -> tuple[RowMatch, ...]:
        """The rows that certainly state a hazard of a node, including rows about whole models that locate it there.

        Raises:
            TableError: The rules are damaged.
        """
        known: dict[int, tuple[RowMatch, ...]] = view.kept.setdefault(self, {})
        found = known.get(index)
        if found is None:
            found = known[index] = self._find(view, index)
        return found

    def model_hazards(self, model: ModelView) -> Iterator[ModelHazard]:
        """The hazards of a model that `rules/graph.toml` states, location by location.

        Raises:
            TableError: The rules are damaged.
        """
        for hazards in self._model_hazards(model).by_location.values():
            yield from hazards

    def admits(self, view: GraphView, nodes: Collection[int], rewrite: str, *, has_own_code: bool) -> bool:
        """True if a rewrite that searches may replace these nodes, as far as rows and rewrites were chosen.

        Args:
            view: The graph.
            nodes: Their positions.
            rewrite: Its name.
            has_own_code: It makes findings of its own: ignoring others does not concern it.
        """
        if self.choice is EVERYTHING:
            return True
        taken = [
            self.choice.takes(code, name, remedy) for index in nodes for code, name, remedy in self._stated(view, index)
        ]
        return any(taken) or ((has_own_code or not taken) and self.choice.is_free(rewrite))

    def _stated(self, view: GraphView, index: int) -> Iterator[tuple[str, str, str | None]]:
        """Code, name and remedy of each finding about a node, chosen or not."""
        node = view.nodes[index]
        if is_onnx(node) and not self.declares(node.op_type):
            yield UNDECLARED_CODE, UNDECLARED_NAME, None
        elif is_onnx(node):
            for match in self.table.match(view, index, self.version, self.precision):
                if match.certain and match.row.status != "supported" and self.concerns(match.row):
                    yield match.row.code, match.row.name, match.row.remedy

    def graphs(self, model: ModelView) -> tuple[GraphView, ...]:
        """Main graph, subgraphs, and the local functions that are called; the same views every time."""
        return self._model_hazards(model).graphs

    def _find(self, view: GraphView, index: int) -> tuple[RowMatch, ...]:
        matches = self.table.match(view, index, self.version, self.precision) if is_onnx(view.nodes[index]) else ()
        found = [
            match for match in matches if match.certain and match.row.status != "supported" and self._counts(match.row)
        ]
        by_location = self._model_hazards(view.scope).by_location
        if by_location:
            located = by_location.get((view.address, view.path, index), ())
            found += [RowMatch(row=hazard.row, certain=True, reason=hazard.reason) for hazard in located]
        return tuple(found)

    def _model_hazards(self, model: ModelView) -> _ModelHazards:
        if self._last is None or self._last.model is not model:
            graphs = reachable_graphs(model)
            scope = Scope(model=model, graphs=graphs, declares=self.declares)
            by_location: dict[_NodeKey, list[ModelHazard]] = defaultdict(list)
            for row in self._graph_rows():
                for found in SEARCHES[row.find].find(scope):
                    by_location[found.view.address, found.view.path, found.position].append(ModelHazard(row, found))
            self._last = _ModelHazards(model=model, graphs=graphs, by_location=dict(by_location))
        return self._last

    def _graph_rows(self) -> Iterable[Row]:
        """The rows about whole models that count."""
        rows = _graph_rows(self.table, self.version, self.precision)
        return rows if self.choice is EVERYTHING and self.arch is None else filter(self._counts, rows)

    def _counts(self, row: Row) -> bool:
        return self.choice.takes_row(row) and self.concerns(row)

    def concerns(self, row: Row) -> bool:
        """True if a row holds on the architecture, or on any if none was named, and for the precision."""
        if not row.is_about(self.precision):
            return False
        return self.arch is None or not row.arch or self.arch in row.arch

    def told(self, matches: Sequence[RowMatch]) -> Iterator[tuple[RowMatch, str]]:
        """The rows of a node that state a hazard, each with the words where it holds.

        Of a hazard that processors show in ways of their own, the first one, for all of them.
        """
        hazards = [each for each in matches if each.row.status != "supported" and self.concerns(each.row)]
        if not any(each.row.arch for each in hazards):
            yield from ((each, each.row.where) for each in hazards)
            return
        by_processor: dict[tuple[str, bool], list[RowMatch]] = {}
        for each in hazards:
            if each.row.arch and not each.row.precision and self.arch is None:
                by_processor.setdefault((each.row.code, each.certain), []).append(each)
        for each in hazards:
            alike = by_processor.get((each.row.code, each.certain), [each])
            if each not in alike:
                yield each, each.row.where
            elif each is alike[0]:
                arch = [name for one in alike for name in one.row.arch]
                everywhere = set(arch) == set(ARCHITECTURES)
                yield each, limits_in_words(() if everywhere else arch, each.row.precision)


@lru_cache(maxsize=16)
def _graph_rows(table: SupportTable, version: str, precision: str) -> tuple[Row, ...]:
    """The rows about whole models that hold for a release and what it computes in: the same for many models."""
    return tuple(row for row in table.graph_rows() if row.holds_for(version) and row.is_about(precision))
