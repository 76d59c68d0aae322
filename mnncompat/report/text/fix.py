"""What a fix did: nodes replaced, refusals, rewrites rolled back, the proof, and what a check of the result finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mnncompat.report.location import model_name, node_name
from mnncompat.report.measures import counted, decibel
from mnncompat.report.printable import printable
from mnncompat.report.text.check import STYLES, counts
from mnncompat.report.text.check import label as finding_label
from mnncompat.report.text.page import Page, Style
from mnncompat.report.text.parity import proof
from mnncompat.report.verdict import label
from mnncompat.results.diagnostics import Category, Diagnostic, Location, Severity
from mnncompat.results.outcomes import ChangeKind, FixResult, TriedFix

_LOCATIONS = 5
_Told = tuple[Location, str]


def write(page: Page, result: FixResult) -> None:
    """Write one fixed model."""
    page.line(f"{model_name(result.source)}: {headline(result)}", style=Style.BOLD)
    for (code, name), done in _grouped(result.applied, "code", "rewrite"):
        told = [(each.location, each.message) for each in done]
        _write_group(page, f"  {printable(code)}", Style.GOOD, name, told)
    for (name,), left in _grouped(result.refused, "rewrite"):
        _write_group(page, "  left alone", Style.NOTE, name, [(each.location, each.reason) for each in left])
    for given_up in result.rolled_back:
        page.labelled(
            "  rolled back", Style.BAD, f" {printable(given_up.rewrite)}: {printable(given_up.reason)}", indent=4
        )
    for tried in result.tried:
        _write_tried(page, tried)
    if result.changed:
        page.line(_changes(result), lead="  nodes: ")
        write_proof(page, result)
    if result.out is not None and result.data:
        weights = ", ".join(printable(str(each)) for each in result.data)
        page.line(f"{weights}, which belongs to {printable(str(result.out))}", lead="  weights: ")
    if result.remaining:
        _write_remaining(page, result.remaining)
    elif result.remaining is not None and result.changed:
        page.labelled("  checked again:", Style.GOOD, " no findings in the result", indent=4)


def write_total(page: Page, results: Sequence[FixResult]) -> None:
    """Write how many models were rewritten, and in how many there was nothing to rewrite."""
    rewritten = sum(each.changed for each in results)
    errors = sum(bool(each.errors) for each in results)
    parts = [f"{rewritten} rewritten", f"{errors} with errors left"] if errors else [f"{rewritten} rewritten"]
    page.line(f"{counted(len(results), 'model')}: {', '.join(parts)}", style=Style.BOLD)


def headline(result: FixResult) -> str:
    """`2 nodes rewritten`, `nothing to rewrite`, with what was left alone, rolled back, or is still an error."""
    if result.changed:
        text = f"{counted(len(result.applied), 'node')} rewritten"
    else:
        text = "nothing rewritten" if result.refused or result.rolled_back else "nothing to rewrite"
    if result.refused:
        text += f", {counted(len(result.refused), 'node')} left alone"
    if result.rolled_back:
        text += f", {counted(len(result.rolled_back), 'rewrite')} rolled back"
    if result.errors:
        text += f", {counted(len(result.errors), 'error')} left"
    return text


def _grouped(items: Sequence[Any], *fields: str) -> list[tuple[tuple[str, ...], list[Any]]]:
    """The items that agree in these fields, in the order of the first of each group."""
    groups: dict[tuple[str, ...], list[Any]] = {}
    for item in items:
        groups.setdefault(tuple(getattr(item, field) for field in fields), []).append(item)
    return list(groups.items())


def _write_group(page: Page, label: str, style: Style, rewrite: str, told: Sequence[_Told]) -> None:
    """One line for one node; for several, one line and the first nodes, with their messages where they differ."""
    location, message = told[0]
    if len(told) == 1:
        text = f" {node_name(location)}: {printable(message)} ({printable(rewrite)})"
        page.labelled(label, style, text, indent=4)
        return
    alike = len({each for _, each in told}) == 1
    shared = f": {printable(message)}" if alike else ""
    page.labelled(label, style, f" {len(told)} nodes{shared} ({printable(rewrite)})", indent=4)
    for at, own in told[:_LOCATIONS]:
        page.line(node_name(at) if alike else f"{node_name(at)}: {printable(own)}", lead="    --> ")
    if len(told) > _LOCATIONS:
        page.line(f"... and {len(told) - _LOCATIONS} more: --output-format json lists all", lead="        ")


def _write_tried(page: Page, tried: TriedFix) -> None:
    """What a device or the simulation says about rewrites for half precision."""
    names = ", ".join(map(printable, tried.rewrites))
    ways = ["it does not run" if each is None else decibel(each) for each in (tried.before, tried.after)]
    told = f" {ways[0]} without, {ways[1]} with {names} ({counted(tried.nodes, 'node')})"
    if tried.failure:
        told += f": {printable(tried.failure)}"
    verdict = f"  kept: {printable(tried.device)}," if tried.kept else f"  left out: {printable(tried.device)},"
    page.labelled(verdict, Style.GOOD if tried.kept else Style.NOTE, told, indent=4)


def _write_remaining(page: Page, found: Sequence[Diagnostic]) -> None:
    """What a check of the result finds: errors and warnings about correctness by rule, the rest by number."""
    page.labelled("  remains", Style.NOTE, f" in the result, checked again: {counts(found)}", indent=4)
    told = [each for each in found if each.severity is not Severity.INFO and each.category is Category.CORRECTNESS]
    for (_, name, message, _), group in _grouped(told, "code", "name", "message", "severity"):
        severity = group[0].severity
        times = f" ({len(group)} nodes)" if len(group) > 1 else f" ({node_name(group[0].location)})"
        text = f" {printable(name)}: {printable(message)}{times if group[0].location.node else ''}"
        page.labelled(f"    {finding_label(group[0])}", STYLES[severity], text, indent=6)


def write_proof(page: Page, result: FixResult) -> None:
    """Write the proof that the model still computes the same."""
    if result.recorded is not None:
        text = f" under ONNX Runtime, fed with what the original drew: {proof(result.recorded)}"
        page.labelled(f"  proven {label(result.recorded)}", Style.GOOD, text, indent=4)
    if result.approximation is not None:
        verdict = (
            (" near the original", Style.WARN) if result.approximation.passed else (" NOT near the original", Style.BAD)
        )
        page.labelled(f" {verdict[0]}", verdict[1], f" under ONNX Runtime: {proof(result.approximation)}", indent=4)
    if result.proof is None and (result.recorded or result.approximation):
        return
    if result.proof is None:
        page.labelled("  not proven:", Style.WARN, " the comparison under ONNX Runtime was left out", indent=4)
    elif result.proof.passed:
        proven = f"  proven {label(result.proof)}"
        page.labelled(proven, Style.GOOD, f" under ONNX Runtime: {proof(result.proof)}", indent=4)
    else:
        page.labelled("  NOT equal", Style.BAD, f" under ONNX Runtime: {proof(result.proof)}", indent=4)
        for problem in result.proof.problems:
            page.line(printable(problem), lead="    ")


def _changes(result: FixResult) -> str:
    tally = Counter(change.kind for change in result.changes)
    parts = [f"{tally[kind]} {kind}" for kind in ChangeKind if tally[kind]]
    return ", ".join(parts) or "no change"
