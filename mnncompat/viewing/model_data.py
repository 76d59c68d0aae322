"""What was found about one model, as the page shows it: plain values, in which every text is printable."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.report import OutputFormat, findings, render
from mnncompat.report.evidence import readable
from mnncompat.report.json import plain
from mnncompat.report.printable import printable
from mnncompat.report.verdict import exercised, label, reasons
from mnncompat.results.diagnosis import Diagnosis
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Location
from mnncompat.results.outcomes import ConvertResult, FixResult
from mnncompat.viewing.kept import kept_graphs
from mnncompat.viewing.strings import Strings

if TYPE_CHECKING:
    from mnncompat.report.subject import Subject
    from mnncompat.results.parity_report import ParityReport

_COLUMNS = ("graph", "node", "code", "severity", "category", "status", "message", "hint", "evidence", "fix", "where")
_ORIGINAL, _FIXED = "original", "fixed"


def model_data(name: str, results: Sequence[Subject], folder: Path | None, rules: Path) -> dict[str, Any]:
    """One model.

    Args:
        name: Its path as the user gave it.
        results: What commands returned about it, in their order.
        folder: Where `mnncompat.viewing.kept.keep` wrote its graphs; None if it did not.
        rules: The installed folder of rules.

    Returns:
        `model`, `graphs`, `links`, `findings` (columns), `results` (as the JSON report has them, without the findings),
        `words` (verdicts in words), `layers` (which nodes each layer of a diagnosis is), `applied` (nodes that were
        rewritten), `distributions` (see `mnncompat.viewing.distributions`), and `text`, the report as a terminal
        shows it.
    """
    kept = kept_graphs(folder)
    places = _Places(kept["places"])
    told = [*_told(results)]
    diagnosed = _diagnosed_graph(results, kept["graphs"])
    diagnosis = next((each for each in results if isinstance(each, Diagnosis)), None)
    return {
        "model": printable(name),
        "graphs": {kind: _printable_graph(graph) for kind, graph in kept["graphs"].items()},
        "links": kept["links"],
        "findings": _findings(told, places, rules),
        "results": [printed(plain(_without_findings(each))) for each in results],
        "kinds": [type(each).__name__ for each in results],
        "words": [_words(each) for each in results],
        "layers": None if diagnosis is None else _layers(diagnosis, places, diagnosed),
        "applied": _applied(results, places),
        "distributions": printed(kept["distributions"]),
        "text": render(list(results), OutputFormat.TEXT),
    }


def _told(results: Sequence[Subject]) -> Iterator[tuple[str, Diagnostic]]:
    """Each finding with the graph that it is about; what several results say is told once."""
    seen: set[tuple[str, Diagnostic]] = set()
    for result in results:
        for pair in _of_one(result):
            if pair not in seen:
                seen.add(pair)
                yield pair


def _of_one(result: Subject) -> Iterator[tuple[str, Diagnostic]]:
    if isinstance(result, ConvertResult):
        is_changed = result.fix is not None and result.fix.changed
        remaining = set(result.remaining)
        yield from ((_ORIGINAL, each) for each in result.check.diagnostics)
        yield from ((_ORIGINAL, each) for each in findings(result) if each not in remaining and _is_whole(each))
        yield from ((_FIXED, each) for each in result.remaining if is_changed)
        if result.fix is not None:
            yield from ((_ORIGINAL, each) for each in findings(replace(result.fix, remaining=())))
    elif isinstance(result, FixResult):
        remaining = set(result.remaining or ())
        graph = _FIXED if result.changed else _ORIGINAL
        yield from ((_ORIGINAL, each) for each in findings(result) if each not in remaining)
        yield from ((graph, each) for each in result.remaining or ())
    else:
        yield from ((_ORIGINAL, each) for each in findings(result))


def _is_whole(found: Diagnostic) -> bool:
    return found.location.index is None


def _diagnosed_graph(results: Sequence[Subject], graphs: dict[str, Any]) -> str:
    """The graph that a diagnosis is about: after `convert` it is the one that was converted."""
    converted = any(isinstance(each, ConvertResult) for each in results)
    return _FIXED if converted and _FIXED in graphs else _ORIGINAL


class _Places:
    """Numbers of nodes by their locations."""

    def __init__(self, starts: dict[str, dict[str, int]]) -> None:
        self._starts = starts

    def number(self, graph: str, at: Location) -> int:
        """Number of a node in a graph; -1 for the model as a whole, and where the graph was not kept."""
        start = self._starts.get(graph, {}).get(json.dumps(at.graph))
        return -1 if at.index is None or start is None else start + at.index


def _findings(told: Iterable[tuple[str, Diagnostic]], places: _Places, rules: Path) -> dict[str, Any]:
    strings = Strings()
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for graph, each in told:
        texts = {
            "graph": graph,
            "code": each.code,
            "severity": each.severity.value,
            "category": each.category.value,
            "status": each.status,
            "message": printable(each.message),
            "hint": printable(each.hint),
            "fix": f"{'fix' if each.fixable else 'may'} {each.remedy}" if each.remedy else "",
            "where": printable(each.location.path),
        }
        for name, text in texts.items():
            columns[name].append(strings.number(text))
        columns["node"].append(places.number(graph, each.location))
        columns["evidence"].append(strings.numbers(printable(readable(line, rules)) for line in each.evidence))
    return {**columns, "strings": strings.table()}


def _without_findings(result: Subject) -> Any:
    match result:
        case CheckResult():
            return replace(result, diagnostics=(), suppressed=())
        case FixResult():
            return replace(result, remaining=(), changes=())
        case ConvertResult():
            fixed = None if result.fix is None else _without_findings(result.fix)
            return replace(result, check=_without_findings(result.check), remaining=(), fix=fixed)
    return result


def printed(value: Any) -> Any:
    """The same, with every text printable."""
    match value:
        case str():
            return printable(value)
        case dict():
            return {printable(key): printed(each) for key, each in value.items()}
        case list():
            return [printed(each) for each in value]
    return value


def _printable_graph(graph: dict[str, Any]) -> dict[str, Any]:
    groups = graph["groups"]
    return {
        **graph,
        "strings": [printable(text) for text in graph["strings"]],
        "groups": {**groups, "label": [printable(text) for text in groups["label"]]},
    }


def _words(result: Subject) -> dict[str, Any]:
    """The verdict about a comparison in the words of the other reports; empty if nothing was compared."""
    parity: ParityReport | None = getattr(result, "parity", None)
    proof: ParityReport | None = getattr(getattr(result, "fix", result), "proof", None)
    found: dict[str, Any] = {}
    if parity is not None:
        found = {"label": label(parity), "reasons": reasons(parity), "exercised": exercised(parity)}
    if proof is not None:
        found["proof"] = label(proof)
    return found


def _layers(result: Diagnosis, places: _Places, graph: str) -> dict[str, Any]:
    """The graph that layers and culprits are about, and the nodes of each."""
    return {
        "graph": graph,
        "nodes": [[places.number(graph, at) for at in layer.nodes] for layer in result.layers],
        "culprits": [[places.number(graph, at) for at in each.nodes] for each in result.culprits],
    }


def _applied(results: Sequence[Subject], places: _Places) -> list[list[Any]]:
    """Nodes of the original that a rewrite replaced: number, rewrite, how."""
    fixes = [each if isinstance(each, FixResult) else getattr(each, "fix", None) for each in results]
    return [
        [places.number(_ORIGINAL, done.location), done.rewrite, printable(done.message)]
        for fix in fixes
        if isinstance(fix, FixResult)
        for done in fix.applied
    ]
