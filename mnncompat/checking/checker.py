"""Check a model against the table, the declared ops of an MNN release and the rewrites.

Nothing here imports MNN or ONNX Runtime: the answer comes from `rules/` and from the graph.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import onnx

from mnncompat.graph.model_file import Model
from mnncompat.graph.protos import ONNX_DOMAINS
from mnncompat.graph.view import GraphView
from mnncompat.inference.foreign_domains import IN_ONNX_DOMAIN
from mnncompat.inference.model_view import view_model
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Severity
from mnncompat.rewrites.core.base import Match, Refusal, Rewrite
from mnncompat.rewrites.core.model_rewrite import ModelRewrite
from mnncompat.rewrites.index import rewrite_named, searches, searching_rewrites
from mnncompat.support.deployment import HIGH
from mnncompat.support.releases import Releases, releases, resolve_version
from mnncompat.support.row_choice import UNDECLARED_CODE, UNDECLARED_NAME
from mnncompat.support.table import Row, SupportTable
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from mnncompat.support.head_form import HeadForm

UNDECLARED = UNDECLARED_CODE
UNKNOWN = "MNN002"
MEASURED = "MNN003"


class _NodeLocation(NamedTuple):
    """Location in the walk over the model: (graph, node), None for a graph as a whole."""

    graph: int
    position: int | None

    @property
    def key(self) -> tuple[int, int]:
        return self.graph, -1 if self.position is None else self.position


_Finding = tuple[_NodeLocation, Diagnostic]


class _Tried(NamedTuple):
    """What the rewrites said about the nodes with findings.

    Attributes:
        matches: Location, rewrite, match.
        whole: Locations that each rewrite of whole models would change, by its name.
        replacing: The rewrites that match a node, by its location.
        reasons: Why rewrites refused a node, by its location.
    """

    matches: list[tuple[_NodeLocation, Rewrite, Match]]
    whole: dict[str, set[_NodeLocation]]
    replacing: dict[_NodeLocation, list[Rewrite]]
    reasons: dict[_NodeLocation, list[str]]


def check_model(
    model: Model,
    *,
    mnn_version: str | None = None,
    arch: str | None = None,
    precision: str = HIGH,
    rewrites: Sequence[Rewrite] | None = (),
    table: SupportTable | None = None,
    head: HeadForm | None = None,
) -> CheckResult:
    """Find the hazards of a model under an MNN release.

    Args:
        model: The model; main graph, subgraphs and called functions are looked at.
        mnn_version: The release, see `mnncompat.support.releases.resolve_version`.
        arch: Leave out what holds on other architectures only; None leaves out nothing.
        precision: What MNN computes in where the model is deployed: `high`, `normal` or `low`.
        rewrites: Rewrites to search with; their matches become findings and remedies. None for all rewrites.
        table: The table to use; by default the one that ships with mnncompat.
        head: The form in which rewrites write fully connected heads; None if they choose.

    Returns:
        Findings, most severe first, then in graph order.

    Raises:
        UsageError: There is no such MNN release, architecture or precision.
        TableError: The rules are damaged.
        ModelError: An external tensor cannot be read.
    """
    target = Target(resolve_version(mnn_version), arch=arch, precision=precision, table=table, head=head)
    check = _Check(model, target, rewrites)
    findings = sorted(check.findings(), key=lambda item: (item[1].severity.rank, item[0].key, item[1].code))
    return CheckResult(
        model=model.name,
        mnn_version=check.version,
        nodes=sum(len(view.nodes) for view in check.graphs),
        diagnostics=tuple(diagnostic for _, diagnostic in findings),
    )


class _Check:
    """One run over one model."""

    def __init__(self, model: Model, target: Target, rewrites: Sequence[Rewrite] | None) -> None:
        self.version = target.version
        self.view = view_model(model)
        self.target = target
        self.graphs = self.target.graphs(self.view)
        self.releases = releases()
        self._rewrites = rewrites
        self._table = target.table
        self._order = {id(view): number for number, view in enumerate(self.graphs)}

    def findings(self) -> Iterator[_Finding]:
        found = [*self._graph_findings(), *self._node_findings()]
        tried = self._search(found)
        yield from (self._remedied(finding, tried) for finding in found)
        flagged = {site for site, item in found if item.is_certain}
        for site, rewrite, match in tried.matches:
            if not rewrite.is_remedy or flagged.isdisjoint(_NodeLocation(site.graph, each) for each in match.nodes):
                yield from self._notes(site, rewrite, match)

    def _graph_findings(self) -> Iterator[_Finding]:
        for hazard in self.target.model_hazards(self.view):
            found = hazard.found
            site = _NodeLocation(graph=self._order[id(found.view)], position=found.position)
            yield site, _from_row(hazard.row, hazard.reason, found.view, found.position)

    def _node_findings(self) -> Iterator[_Finding]:
        unknown: dict[str, _Finding] = {}
        for number, view in enumerate(self.graphs):
            for op, indices in _own_operators(view).items():
                if self.target.declares(op):
                    yield from self._stated_by_rows(number, view, op, indices, unknown)
                    continue
                for index in indices:
                    found = undeclared(view, index, self.releases, self.version, self._table)
                    yield _NodeLocation(graph=number, position=index), found
        yield from unknown.values()

    def _stated_by_rows(
        self, number: int, view: GraphView, op: str, indices: Sequence[int], unknown: dict[str, _Finding]
    ) -> Iterator[_Finding]:
        """What rows say about the nodes of one operator; the first that none is about goes to `unknown`."""
        table = self._table.matches(view, self.version, self.target.precision)
        for index in indices:
            matches = table.at(index)
            for match, where in self.target.told(matches):
                found = _from_row(match.row, match.reason, view, index, where)
                yield _NodeLocation(number, index), found if match.certain else _undecided(found)
            if not matches and op not in unknown:
                unknown[op] = _NodeLocation(number, index), _unknown(view, index, self.version)

    def _search(self, findings: Sequence[_Finding]) -> _Tried:
        """Try the rewrites; those that rows name as remedies are imported only if a finding names them."""
        has_hazard = any(item.severity is not Severity.INFO for _, item in findings)
        searching = searching_rewrites(with_hazard=has_hazard) if self._rewrites is None else self._rewrites
        found = [
            (number, rewrite, _without_plan(item))
            for number, view in enumerate(self.graphs)
            for rewrite in searching
            for item in rewrite.find(view, self.target)
        ]
        tried = _Tried([], {}, defaultdict(list), defaultdict(list))
        if self._rewrites is None:
            found += self._remedies(findings, tried.whole)
        for number, rewrite, item in found:
            if isinstance(item, Match):
                tried.matches.append((_NodeLocation(graph=number, position=min(item.nodes)), rewrite, item))
                for index in item.nodes:
                    tried.replacing[_NodeLocation(graph=number, position=index)].append(rewrite)
            else:
                at = _NodeLocation(graph=number, position=item.index)
                tried.reasons[at].append(f"{rewrite.name}: {item.reason}")
        return tried

    def _remedies(
        self, findings: Sequence[_Finding], whole: dict[str, set[_NodeLocation]]
    ) -> Iterator[tuple[int, Rewrite, Match | Refusal]]:
        """Try on each node the remedies that its findings name; what those of whole models change goes to `whole`."""
        named = {(site, item.remedy) for site, item in findings if item.remedy and item.is_certain}
        for site, name in sorted(named, key=lambda each: (each[0].key, each[1] or "")):
            rewrite = rewrite_named(name or "")
            view = self.graphs[site.graph]
            if isinstance(rewrite, ModelRewrite):
                if rewrite.name not in whole:
                    whole[rewrite.name] = self._changed_by(rewrite)
            elif rewrite is not None and rewrite.needs_device:
                continue  # a device or a simulation of the whole model tells, in `fix`
            elif rewrite is not None and site.position is not None and not view.is_function:
                found = rewrite.match_node(view, site.position, self.target)
                if found is not None:
                    yield site.graph, rewrite, _without_plan(found)

    def _changed_by(self, rewrite: ModelRewrite) -> set[_NodeLocation]:
        numbers = {(view.address, view.path): number for number, view in enumerate(self.graphs)}
        return {
            _NodeLocation(graph=numbers[spot.view.address, spot.view.path], position=spot.position)
            for spot in rewrite.search(self.view, self.target)
            if (spot.view.address, spot.view.path) in numbers
        }

    def _remedied(self, finding: _Finding, tried: _Tried) -> _Finding:
        """Say which rewrite removes the finding: for certain if it matches the node, perhaps if that was not tried."""
        site, diagnostic = finding
        if not diagnostic.is_certain:
            return finding
        promised = _promised(site, diagnostic, tried)
        reasons = tried.reasons.get(site, [])
        if promised is None and reasons:
            return site, replace(diagnostic, hint="; ".join(filter(None, [*reasons, diagnostic.hint])))
        return site, promised or replace(diagnostic, may_fix=self._is_untried(site, diagnostic))

    def _is_untried(self, site: _NodeLocation, diagnostic: Diagnostic) -> bool:
        """True if the remedy could not be tried on the node: a function is rewritten where it is called."""
        rewrite = rewrite_named(diagnostic.remedy) if diagnostic.remedy else None
        if rewrite is None or self._rewrites is not None or isinstance(rewrite, ModelRewrite):
            return False
        return site.position is None or self.graphs[site.graph].is_function

    def _notes(self, site: _NodeLocation, rewrite: Rewrite, match: Match) -> Iterator[_Finding]:
        for index, message in match.notes:
            yield (
                _NodeLocation(graph=site.graph, position=index),
                Diagnostic(
                    code=rewrite.code,
                    name=rewrite.name,
                    severity=rewrite.severity,
                    message=message,
                    location=self.graphs[site.graph].location(index),
                    status="rewrite",
                    category=rewrite.category,
                    remedy=rewrite.name,
                    fixable=True,
                ),
            )


def _own_operators(view: GraphView) -> dict[str, list[int]]:
    """Indices of the nodes of each of ONNX's own operators, in order."""
    found: dict[str, list[int]] = {}
    for (domain, op), indices in view.kinds.items():
        if domain in ONNX_DOMAINS and op not in IN_ONNX_DOMAIN:
            found[op] = sorted(found[op] + indices) if op in found else indices
    return found


def _without_plan(item: Match | Refusal) -> Match | Refusal:
    """What is told of it; a plan holds all the nodes of a replacement."""
    return item._replace(plan=None) if isinstance(item, Match) else item


def undeclared(view: GraphView, index: int, known: Releases, version: str, table: SupportTable) -> Diagnostic:
    """The finding about a node whose op type an MNN release does not declare.

    `rules/declared.json` states what a release declares; a row of the op's file says what to do instead.
    """
    node = view.nodes[index]
    rows = [match.row for match in table.match(view, index, version) if match.certain and match.row.code == UNDECLARED]
    return Diagnostic(
        code=UNDECLARED,
        name=UNDECLARED_NAME,
        severity=Severity.ERROR,
        message=f"{node.op_type} is not in MNN {version} ({known.history(node.op_type)})",
        location=view.location(index),
        status="refused",
        remedy=rows[0].remedy if rows else None,
        hint=_alternative(node.op_type, view.opset, rows[0].advice if rows else ""),
        evidence=rows[0].evidence if rows else (f"rules/declared.json: {node.op_type}",),
    )


def _alternative(op: str, opset: int, advice: str) -> str:
    try:
        schema = onnx.defs.get_schema(op, opset, "")
    except onnx.defs.SchemaError:
        return f"ONNX opset {opset} has no operator {op}"
    if advice:
        return advice
    if getattr(schema, "has_function", False) or getattr(schema, "has_context_dependent_function", False):
        return f"ONNX defines {op} by simpler operators: export it as those"
    return ""


def _unknown(view: GraphView, index: int, version: str) -> Diagnostic:
    op = view.nodes[index].op_type
    return Diagnostic(
        code=UNKNOWN,
        name="unmeasured-op",
        severity=Severity.INFO,
        message=f"{op} is declared by MNN {version}, but the table says nothing about this use of it",
        location=view.location(index),
        status="unknown",
        hint="`mnncompat verify` compares the converted model as a whole",
    )


def _from_row(row: Row, reason: str, view: GraphView, index: int | None, where: str | None = None) -> Diagnostic:
    """The finding of a row; `where` it holds, if that is not what the row says."""
    told = row.where if where is None else where
    return Diagnostic(
        code=row.code,
        name=row.name,
        severity=row.severity,
        message=f"{reason} ({told})" if told else reason,
        location=view.location(index),
        status=row.status,
        category=row.category,
        remedy=row.remedy,
        hint=row.advice,
        evidence=row.evidence,
    )


def _undecided(diagnostic: Diagnostic) -> Diagnostic:
    """A finding at level info: the model does not say whether the row holds."""
    message = f"cannot tell from the model whether this holds: {diagnostic.message}"
    return replace(diagnostic, severity=Severity.INFO, status="unknown", message=message)


def _promised(site: _NodeLocation, diagnostic: Diagnostic, tried: _Tried) -> Diagnostic | None:
    """The finding with the rewrite that matches its node and removes it; None if none was seen to.

    That is the remedy that the row names, or a rewrite that replaces nodes whatever their hazard. The remedy of
    another row leaves the finding where it is.
    """
    remedy = diagnostic.remedy or ""
    touching = tried.replacing.get(site, [])
    replacing = [rewrite.name for rewrite in touching if searches(rewrite)]
    remedies = {rewrite.name for rewrite in touching if not searches(rewrite)}
    if remedy in replacing or site in tried.whole.get(remedy, ()):
        return replace(diagnostic, fixable=True)
    if remedy in remedies:
        # The first of several remedies replaces the node; whether the next one matches then was not tried.
        alone = len(remedies) == 1
        return replace(diagnostic, fixable=alone, may_fix=not alone)
    if replacing and diagnostic.severity is Severity.ERROR:
        return replace(diagnostic, remedy=replacing[0], fixable=True)
    return None
