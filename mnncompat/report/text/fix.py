"""What a fix did: nodes replaced, refusals, rewrites rolled back, and the proof."""

from __future__ import annotations

from collections import Counter

from mnncompat.report.location import model_name, node_name
from mnncompat.report.measures import counted
from mnncompat.report.printable import printable
from mnncompat.report.text.page import Page, Style
from mnncompat.report.text.parity import proof
from mnncompat.report.verdict import label
from mnncompat.results.outcomes import ChangeKind, FixResult


def write(page: Page, result: FixResult) -> None:
    """Write one fixed model."""
    page.line(f"{model_name(result.source)}: {headline(result)}", style=Style.BOLD)
    for done in result.applied:
        label = f"  {printable(done.code)}"
        text = f" {node_name(done.location)}: {printable(done.message)} ({printable(done.rewrite)})"
        page.labelled(label, Style.GOOD, text, indent=4)
    for left in result.refused:
        text = f" {node_name(left.location)}: {printable(left.reason)} ({printable(left.rewrite)})"
        page.labelled("  left alone", Style.NOTE, text, indent=4)
    for given_up in result.rolled_back:
        page.labelled(
            "  rolled back", Style.BAD, f" {printable(given_up.rewrite)}: {printable(given_up.reason)}", indent=4
        )
    if result.changed:
        page.line(_changes(result), lead="  nodes: ")
        write_proof(page, result)


def headline(result: FixResult) -> str:
    """`2 nodes rewritten`, `nothing to rewrite`, with the nodes that were left alone and the rewrites rolled back."""
    if result.changed:
        text = f"{counted(len(result.applied), 'node')} rewritten"
    else:
        text = "nothing rewritten" if result.refused or result.rolled_back else "nothing to rewrite"
    if result.refused:
        text += f", {counted(len(result.refused), 'node')} left alone"
    if result.rolled_back:
        text += f", {counted(len(result.rolled_back), 'rewrite')} rolled back"
    return text


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
