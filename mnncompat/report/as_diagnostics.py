"""Any result as diagnostics, so that formats that only show findings work for every command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.report.measures import measures
from mnncompat.report.subject import Subject, Verified, subject_of
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Location, Severity
from mnncompat.results.outcomes import ConvertResult, FixResult, Unfinished, Verdict
from mnncompat.results.rules import FIX_REFUSED, NOT_PROVEN, PARITY_FAILED, conversion_failed

if TYPE_CHECKING:
    from mnncompat.results.parity_report import OutputParity, ParityReport


def findings(result: Subject | ParityReport) -> list[Diagnostic]:
    """Map a result to diagnostics, in a fixed order.

    * A check: its findings.
    * A fix: MNN091 for each rewrite that was rolled back or whose proof failed, MNN094 for each refusal.
    * A conversion: one of MNN091, MNN092 and MNN093 for what went wrong, then the check's findings that the rewrites
      did not remove. After a conversion that was proven equal these are warnings at most, because the proof shows
      that MNN computes this model correctly on this machine.
    * A model that the command could not do its work with: MNN090 or MNN095.
    * A parity report: MNN093 for each output that differs and each side that did not run.
    """
    subject = subject_of(result)
    match subject:
        case CheckResult() | Unfinished():
            return list(subject.diagnostics)
        case FixResult():
            return [*_not_proven(subject), *_refusals(subject)]
        case ConvertResult():
            return _of_conversion(subject)
        case Verified():
            return list(_of_parity(subject.parity, Location(model=subject.source)))


def remaining(result: ConvertResult) -> tuple[Diagnostic, ...]:
    """The check's findings that the rewrites did not remove."""
    applied = {fix.rewrite for fix in result.fix.applied} if result.fix else set()
    return tuple(each for each in result.check.diagnostics if not (each.fixable and each.remedy in applied))


def _of_conversion(result: ConvertResult) -> list[Diagnostic]:
    left = list(remaining(result))
    rewrites = list(_not_proven(result.fix)) if result.fix else []
    if result.verdict is Verdict.CONVERTED:
        return [_at_most_warning(each) for each in (*rewrites, *left)]
    return [*_failure(result, rewrites), *left]


def _failure(result: ConvertResult, rewrites: list[Diagnostic]) -> list[Diagnostic]:
    """Why no file was published; never empty."""
    at = Location(model=result.source)
    if result.verdict is Verdict.NOT_PROVEN:
        return rewrites or [NOT_PROVEN.finding(at, NOT_PROVEN.summary, status="wrong")]
    downgraded = [_at_most_warning(each) for each in rewrites]
    if result.verdict is Verdict.NOT_CONVERTED:
        return [conversion_failed(result.failure, at), *downgraded]
    found = list(_of_parity(result.parity, at)) if result.parity else []
    if not found:
        why = result.failure.message if result.failure else PARITY_FAILED.summary
        found = [PARITY_FAILED.finding(at, why, status="wrong")]
    return [*found, *downgraded]


def _not_proven(result: FixResult) -> Iterator[Diagnostic]:
    at = Location(model=result.source)
    for given_up in result.rolled_back:
        yield NOT_PROVEN.finding(
            at,
            f"{given_up.rewrite} was rolled back: {given_up.reason}",
            status="wrong",
            hint=f"leave it out with --ignore {given_up.rewrite}",
        )
    if result.proof is not None and not result.proof.passed:
        why = "; ".join(result.proof.problems) or "nothing was compared"
        yield NOT_PROVEN.finding(at, f"the rewritten model could not be proven equal: {why}", status="wrong")


def _refusals(result: FixResult) -> Iterator[Diagnostic]:
    for refused in result.refused:
        at = refused.location if refused.location.model else replace(refused.location, model=result.source)
        yield FIX_REFUSED.finding(at, f"{refused.rewrite} does not apply: {refused.reason}", status="unknown")


def _of_parity(report: ParityReport, at: Location) -> Iterator[Diagnostic]:
    if report.passed:
        return
    for side in report.failures:
        yield PARITY_FAILED.finding(
            at, f"{side.runner} gave no outputs: {side.failure.message}", status=side.failure.kind.value
        )
    failing = [output for output in report.outputs if not output.passed]
    for output in failing:
        yield PARITY_FAILED.finding(at, _difference(output), status="wrong")
    for random in report.undetermined:
        yield PARITY_FAILED.finding(at, f"output {random.name} {random.reason}", status="unknown")
    if not failing and not report.failures and not report.undetermined:
        why = "; ".join(report.problems) or "nothing was compared"
        yield PARITY_FAILED.finding(at, why, status="wrong")


def _difference(output: OutputParity) -> str:
    worst = output.worst
    first = output.problems[0] if output.problems else "nothing was compared"
    if worst is None or worst.passed:
        return f"output {output.name}: {first}"
    failed = sum(not each.passed for each in output.comparisons)
    of_draws = f"{failed} of {len(output.comparisons)} draws differ, the worst is {worst.draw}"
    return f"output {output.name}: {of_draws}: {'; '.join(worst.problems)} ({measures(worst)})"


def _at_most_warning(found: Diagnostic) -> Diagnostic:
    return replace(found, severity=Severity.WARNING) if found.severity is Severity.ERROR else found
