"""A check as blocks for people, one for each finding or group of equal findings, and a summary line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mnncompat.report.evidence import command
from mnncompat.report.location import full_name, model_name
from mnncompat.report.measures import counted
from mnncompat.report.printable import printable
from mnncompat.report.text.page import Page, Style
from mnncompat.report.text.ranges import write_ranges
from mnncompat.results.diagnostics import Applicability, Category, CheckResult, Diagnostic, Severity, Suppressed

STYLES = {Severity.ERROR: Style.BAD, Severity.WARNING: Style.WARN, Severity.INFO: Style.NOTE}
_OUTCOMES = {
    "refused": "refuses it",
    "crash": "crashes on it",
    "error": "fails at load or run",
    "wrong": "computes it wrongly",
    "partial": "supports it in part",
    "larger": "computes it right, from a larger file",
    "unknown": "may support it or not: not measured",
}
_UNMEASURED = "unmeasured-op"
_JUDGED = "tries it, and keeps it where the outputs gain"
"""So a hint ends whose rewrite is judged on the whole model, on a device or by the simulation."""
_LOCATIONS = 10
_EVIDENCE = 2
_EVIDENCE_LENGTH = 80


def write(page: Page, result: CheckResult, applicability: Mapping[str, Applicability]) -> None:
    """Write the findings of one model and their summary."""
    write_findings(page, result.diagnostics, result.mnn_version, applicability)
    _write_ignored(page, result.suppressed)
    write_ranges(page, result.ranges)
    told = summary(result.diagnostics, result.nodes, result.mnn_version, suppressed=result.suppressed)
    page.line(f"{model_name(result.model)}: {told}", style=Style.BOLD)
    _write_promises(page, result.diagnostics, applicability)


def _write_ignored(page: Page, suppressed: Sequence[Suppressed]) -> None:
    """What the configuration ignores, and why."""
    ignored = [each for each in suppressed if each.by == "configuration"]
    for each in ignored:
        found = each.diagnostic
        head = f"{label(found)} {printable(found.name)} at {full_name(found.location)}"
        page.line(f"{head}: {printable(each.reason)}", lead="ignored: ", style=Style.FAINT)
    if ignored:
        page.blank()


def _write_promises(page: Page, found: Sequence[Diagnostic], applicability: Mapping[str, Applicability]) -> None:
    """How many findings rewrites match, and how many they may match; what is gone afterwards, `fix` tells."""
    for verb, chosen in (("rewrites", [each for each in found if each.fixable]), ("may rewrite", _possible(found))):
        unsafe = sum(applicability.get(each.remedy or "") is Applicability.UNSAFE for each in chosen)
        for count, option in ((len(chosen) - unsafe, ""), (unsafe, " --unsafe-fixes")):
            if count:
                which = "all of them" if count == len(found) else f"{count} of them"
                told = which if len(found) > 1 else "it"
                page.line(f"`mnncompat fix{option}` {verb} {told}", style=Style.FAINT)


def _possible(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    return [each for each in found if each.may_fix]


def write_findings(
    page: Page, found: Sequence[Diagnostic], mnn_version: str, applicability: Mapping[str, Applicability]
) -> None:
    """Write one block for each group of findings that differ only in the node; for INFO, only in node and message."""
    groups: dict[tuple[object, ...], list[Diagnostic]] = {}
    undecided = [] if page.verbose else [each for each in found if _is_undecided(each)]
    for each in found:
        if page.verbose or not _is_undecided(each):
            groups.setdefault(_group_key(each), []).append(each)
    for group in groups.values():
        _write_group(page, group, mnn_version, applicability)
        page.blank()
    if undecided:
        _write_undecided(page, undecided)
        page.blank()


def write_total(page: Page, results: Sequence[CheckResult]) -> None:
    """Write the summary line of several models."""
    found = [each for result in results for each in result.diagnostics]
    clean = sum(not result.diagnostics for result in results)
    suppressed = [each for result in results for each in result.suppressed]
    page.line(
        f"{counted(len(results), 'model')}: {_counts(found, suppressed)}"
        + (f"; {clean} without findings" if found else ""),
        style=Style.BOLD,
    )


def summary(found: Sequence[Diagnostic], nodes: int, mnn_version: str, *, suppressed: Sequence[Suppressed] = ()) -> str:
    """`2 errors, 1 warning, 1 info in 14 nodes (MNN 3.6.1)`, `no new findings (2 known) in 14 nodes (MNN 3.6.1)`."""
    return f"{_counts(found, suppressed)} in {counted(nodes, 'node')} (MNN {printable(mnn_version)})"


def _counts(found: Sequence[Diagnostic], suppressed: Sequence[Suppressed]) -> str:
    """`1 error (3 known)`, `no new findings (3 known, 1 ignored by configuration)`."""
    known = sum(each.by == "baseline" for each in suppressed)
    ignored = len(suppressed) - known
    told = counts(found) or ("no new findings" if known else "no findings")
    aside = [f"{count} {what}" for count, what in ((known, "known"), (ignored, "ignored by configuration")) if count]
    return f"{told} ({', '.join(aside)})" if aside else told


def counts(found: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning, 3 performance warnings, 1 info`, empty for no findings."""
    tally: Counter[tuple[Severity, Category]] = Counter(
        (each.severity, each.category) for each in found if each.severity is not Severity.INFO
    )
    infos = sum(each.severity is Severity.INFO for each in found)
    parts = [
        counted(tally[severity, category], f"{_about(category)}{severity.value}")
        for severity in Severity
        for category in Category
        if tally[severity, category]
    ]
    return ", ".join([*parts, *([f"{infos} info"] if infos else [])])


def label(found: Diagnostic) -> str:
    """`error[MNN212]`, `performance warning[MNN801]`."""
    return f"{_about(found.category)}{found.severity.value}[{printable(found.code)}]"


def _about(category: Category) -> str:
    """A category before a noun; empty for correctness, which goes without saying."""
    return "" if category is Category.CORRECTNESS else f"{category.value} "


def _group_key(found: Diagnostic) -> tuple[object, ...]:
    return (
        found.code,
        found.name,
        found.severity,
        # A dozen blocks that say "nothing is known", or how many bytes, would hide the errors.
        None if found.severity is Severity.INFO or found.category is Category.SIZE else found.message,
        found.location.model,
        found.status,
        found.remedy,
        found.fixable,
        found.may_fix,
        found.hint,
    )


def _write_group(
    page: Page, group: Sequence[Diagnostic], mnn_version: str, applicability: Mapping[str, Applicability]
) -> None:
    found = group[0]
    alike = len({each.message for each in group}) == 1
    message = printable(found.message) if alike else counted(len(group), "finding")
    times = f" ({len(group)} nodes)" if alike and len(group) > 1 else ""
    page.labelled(label(found), STYLES[found.severity], f" {printable(found.name)}: {message}{times}", indent=4)
    if not alike and found.status == "unknown" and not page.verbose:
        _write_operators(page, group)
        group = ()
    shown = len(group) if page.verbose else _LOCATIONS
    for each in group[:shown]:
        told = "" if alike else f": {printable(each.message)}"
        page.place(f"{full_name(each.location)}{told}")
    if len(group) > shown:
        page.line(f"... and {len(group) - shown} more: --verbose lists all", lead="      ")
    for note in _notes(found, mnn_version, applicability, in_full=page.verbose):
        page.line(note, lead="   = ")


def _is_undecided(found: Diagnostic) -> bool:
    """A row of the table of which the model does not say whether it holds."""
    return found.severity is Severity.INFO and found.status == "unknown" and found.name != _UNMEASURED


def _write_undecided(page: Page, found: Sequence[Diagnostic]) -> None:
    """What cannot be told from the model, in one line: such findings are many in ordinary models."""
    rules = Counter(each.code for each in found)
    told = ", ".join(f"{printable(code)} ({counted(count, 'node')})" for code, count in rules.items())
    page.labelled(
        "info",
        STYLES[Severity.INFO],
        f" cannot tell from the model whether these hold: {told}; --verbose lists them",
        indent=4,
    )


def _write_operators(page: Page, group: Sequence[Diagnostic]) -> None:
    """Unknown uses are listed by operator: a line for each node would hide the other findings."""
    operators = list(dict.fromkeys(printable(each.location.op_type) for each in group))
    where = model_name(group[0].location.model)
    page.place(f"{where}: {', '.join(operators)}")


def _notes(
    found: Diagnostic, mnn_version: str, applicability: Mapping[str, Applicability], *, in_full: bool
) -> list[str]:
    notes = []
    if found.status in _OUTCOMES:
        notes.append(f"MNN {printable(mnn_version)} {_OUTCOMES[found.status]}")
    if found.remedy is not None:
        notes.append(_remedy(found, found.remedy, applicability))
    if found.hint:
        notes.append(f"hint: {printable(found.hint)}")
    if found.evidence and in_full:
        notes.extend(f"evidence: {printable(each)}" for each in found.evidence)
    elif found.evidence:
        notes.append(f"evidence: {_evidence(found.evidence)}{_where(found)}")
    return notes


def _remedy(found: Diagnostic, remedy: str, applicability: Mapping[str, Applicability]) -> str:
    name = printable(remedy)
    if not (found.fixable or found.may_fix):
        if _JUDGED in found.hint:
            return f"fix: the rewrite {name} was not tried, because only a device tells for certain whether it helps"
        return f"fix: none here; the rewrite {name} does not match this node"
    unsafe = applicability.get(remedy) is Applicability.UNSAFE
    command = "mnncompat fix --unsafe-fixes" if unsafe else "mnncompat fix"
    return f"fix: `{command}` {'rewrites' if found.fixable else 'may rewrite'} this ({name})"


def _evidence(evidence: Sequence[str]) -> str:
    shown = ", ".join(_shortened(printable(each)) for each in evidence[:_EVIDENCE])
    more = len(evidence) - _EVIDENCE
    return f"{shown} (+{more} more)" if more > 0 else shown


def _where(found: Diagnostic) -> str:
    """The command that prints all of the evidence, with the places where it can be read."""
    told = printable(command(found))
    return f"; `{told}` prints it" if told else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _EVIDENCE_LENGTH else f"{text[: _EVIDENCE_LENGTH - 3]}..."
