"""Backend reports as findings beside those of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.backends.rules import FALLBACK, NOWHERE, PLACEMENT
from mnncompat.inference.model_view import view_model
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Location
from mnncompat.results.rules import conversion_failed

if TYPE_CHECKING:
    from mnncompat.backends.analyze import BackendAnalysis
    from mnncompat.graph.model_file import Model
    from mnncompat.results.backend_placement import BackendReport, Fallback, Placement

_NAMED = 3


def with_backends(result: CheckResult, model: Model, found: BackendAnalysis) -> CheckResult:
    """Add backend reports to the result of a check, as values and as findings.

    Args:
        result: The result of the check.
        model: The model that was checked.
        found: Its backend reports.
    """
    findings = [*result.diagnostics, *_findings(model, found)]
    findings.sort(key=lambda item: item.severity.rank)
    return replace(result, diagnostics=tuple(findings), backends=found.reports)


def _findings(model: Model, found: BackendAnalysis) -> Iterator[Diagnostic]:
    whole = Location(model=model.name)
    if found.failure is not None:
        yield conversion_failed(found.failure, whole)
    places = {at.path: at for view in view_model(model).graphs() for at in map(view.location, range(len(view.nodes)))}
    for report in found.reports:
        yield from _of_report(report, found, places, whole)


def _of_report(
    report: BackendReport, found: BackendAnalysis, places: Mapping[str, Location], whole: Location
) -> Iterator[Diagnostic]:
    if report.placement is None and report.fixed is None:
        return
    yield PLACEMENT.finding(whole, _summary(report), status="placement", evidence=PLACEMENT.evidence)
    for each in report.placement.fallbacks if report.placement else ():
        yield _of_fallback(each, report, found, places, whole)


def _of_fallback(
    each: Fallback, report: BackendReport, found: BackendAnalysis, places: Mapping[str, Location], whole: Location
) -> Diagnostic:
    rule = FALLBACK if each.on_cpu else NOWHERE
    diagnostic = rule.finding(
        next((places[node] for node in each.nodes if node in places), whole),
        _fallback_words(each, report),
        status="fallback" if each.on_cpu else "refused",
        evidence=rule.evidence,
    )
    left = _left(each, report.fixed)
    hint = _hint(each, report)
    if left == each.count or not _helps(report):
        return replace(diagnostic, hint=hint)
    if left:
        return replace(diagnostic, hint="; ".join(filter(None, [f"`mnncompat fix` leaves {left} of them", hint])))
    remedy = next((fix.rewrite for fix in found.fixed.applied if fix.location.path in each.nodes), report.rewrites[0])
    return replace(diagnostic, hint=hint, remedy=remedy, fixable=True)


def _helps(report: BackendReport) -> bool:
    """True if after the rewrites fewer ops run elsewhere than on the backend, and no more of them nowhere."""
    before, after = report.placement, report.fixed
    return (
        before is not None
        and after is not None
        and (after.nowhere <= before.nowhere and after.elsewhere < before.elsewhere)
    )


def _left(each: Fallback, fixed: Placement | None) -> int:
    """Number of ops of that type which do not run on the backend after the rewrites."""
    if fixed is None:
        return each.count
    return sum(other.count for other in fixed.fallbacks if other.op_type == each.op_type)


def _summary(report: BackendReport) -> str:
    placement, fixed = report.placement, report.fixed
    if placement is None:
        assert fixed is not None  # noqa: S101 - a report without either makes no finding
        return f"{report.backend}: as it is the model does not convert; after `mnncompat fix`: {_placed_words(fixed)}"
    text = f"{report.backend}: {_placed_words(placement)}"
    if placement.at_resize:
        text += f"; {placement.at_resize} more run only when the session is resized"
    if placement.control_flow:
        text += f"; {_count_words(placement.control_flow, 'If or While', 'If and While')} on the host"
    return text if fixed is None else f"{text}; after `mnncompat fix`: {_placed_words(fixed)}"


def _placed_words(placement: Placement) -> str:
    """`11 of 12 ops registered (3 as what MNN lowers them into), 1 on the CPU (Scale), in 3 partitions`."""
    accelerated = placement.direct + placement.lowered
    parts = [f"{accelerated} of {_count_words(accelerated + placement.elsewhere, 'op')} registered"]
    if placement.lowered:
        parts[0] += f" ({placement.lowered} as what MNN lowers them into)"
    if placement.on_cpu:
        parts.append(f"{placement.on_cpu} on the CPU ({_types(placement, on_cpu=True)})")
    if placement.nowhere:
        parts.append(f"{placement.nowhere} nowhere ({_types(placement, on_cpu=False)})")
    return f"{', '.join(parts)}, in {_count_words(placement.partitions, 'partition')}"


def _types(placement: Placement, *, on_cpu: bool) -> str:
    return ", ".join(each.op_type for each in placement.fallbacks if each.on_cpu is on_cpu)


def _fallback_words(each: Fallback, report: BackendReport) -> str:
    ops = f"{_count_words(each.count, f'{each.op_type} op')}{_nodes_words(each)}"
    lacks = ", ".join(each.missing)
    if not each.on_cpu:
        into = f", which MNN lowers into {', '.join(each.lowered)}" if each.lowered else ""
        return f"{ops}{into}: neither {report.backend} nor the CPU registers {lacks}"
    if each.lowered:
        into = f"MNN lowers {each.op_type} into {', '.join(each.lowered)}"
        return f"{ops} partly on the CPU: {into}, and {report.backend} does not register {lacks}"
    return f"{ops} on the CPU: {report.backend} does not register {lacks}"


def _nodes_words(each: Fallback) -> str:
    if not each.nodes:
        return ""
    more = len(each.nodes) - _NAMED
    return f" (from {', '.join(each.nodes[:_NAMED])}{f' and {more} more' if more > 0 else ''})"


def _hint(each: Fallback, report: BackendReport) -> str:
    if not each.on_cpu:
        return f"MNN then creates no session for {report.backend}: use another backend, or replace the operator"
    if report.execution == "graph":
        return (
            f"{report.backend} runs its ops as one graph, and by MNN's source no value crosses to the CPU within a run:"
            " compare outputs on the device"
        )
    return ""


def _count_words(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"
