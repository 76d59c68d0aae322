"""Any result as diagnostics, so that formats that only show findings work for every command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.report.apis import in_session, way_out
from mnncompat.report.measures import measures
from mnncompat.report.subject import Subject, Verified, subject_of
from mnncompat.report.verdict import agreement, exercised, on_device, size_reason
from mnncompat.results.diagnosis import Diagnosis, DiagnosisVerdict
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Location, Severity
from mnncompat.results.kept import KeptResult
from mnncompat.results.outcomes import ConvertResult, FixResult, Unfinished, Verdict
from mnncompat.results.proof_strength import ProofVerdict
from mnncompat.results.rules import (
    CHANGED,
    CONVERSION_FAILED,
    FIX_REFUSED,
    NO_SESSION,
    NOT_EXERCISED,
    NOT_KEPT,
    NOT_PROVEN,
    ONE_SIZE,
    OVER_BUDGET,
    PARITY_FAILED,
    WITHIN,
    WORSE,
    conversion_failed,
)

if TYPE_CHECKING:
    from mnncompat.results.device_parity import DeviceParity
    from mnncompat.results.parity_report import OutputParity, ParityReport
    from mnncompat.results.recurrent_form import RecurrentForm


def findings(result: Subject | ParityReport) -> list[Diagnostic]:
    """Map a result to diagnostics, in a fixed order.

    * A check: its findings.
    * A fix: MNN091 for each rewrite that was rolled back or whose proof failed, the findings on the result, MNN094 for
      each refusal.
    * A conversion: one of MNN091, MNN092 and MNN093 for what went wrong, MNN095 and MNN096 for what the proof lacks,
      then the findings on the model that was converted. Beside a published file these are warnings at most, because
      the comparison shows that MNN computes this model correctly on this machine, or the user accepted what it lacks.
      MNN099 says where MNN's Session API does not run the file as the Module API does.
    * A model that the command could not do its work with: MNN090 or MNN098.
    * A diagnosis: MNN092 or MNN093 for each culprit, at its first node; at the model as a whole if there is none.
    * A model against what is kept of it: MNN089 if nothing is, MNN088 for what is worse, MNN087 for what else changed.
    * A parity report: MNN093 for each output that differs or is random and each side that did not run, MNN095 and
      MNN096 for what the proof lacks, MNN097 where the outputs are near the original's, not equal, MNN099 as above.
    """
    subject = subject_of(result)
    match subject:
        case CheckResult() | Unfinished():
            return list(subject.diagnostics)
        case FixResult():
            return [*_not_proven(subject), *(subject.remaining or ()), *_refusals(subject)]
        case ConvertResult():
            return _of_conversion(subject)
        case Verified():
            return _of_verification(subject)
        case Diagnosis():
            return list(_of_diagnosis(subject))
        case KeptResult():
            return list(_of_kept(subject))


def _of_kept(result: KeptResult) -> Iterator[Diagnostic]:
    at = Location(model=result.source)
    if result.is_unknown:
        hint = "`mnncompat ci --update` adds it"
        yield NOT_KEPT.finding(at, f"is not in {result.before}", status="unknown", hint=hint)
    for line in result.worse:
        yield WORSE.finding(at, line, status="wrong")
    for line in result.otherwise:
        yield CHANGED.finding(at, line, status="told")


def _of_verification(result: Verified) -> list[Diagnostic]:
    at = Location(model=result.source)
    found = list(_of_parity(result.parity, at))
    if result.accepted:
        found = [_at_most_warning(each) for each in found]
    found += [PARITY_FAILED.finding(at, told, status="wrong") for told in _of_task(result)]
    return [*found, *_of_session(result.parity, at, required=result.requires_session)]


def _of_task(result: Verified) -> Iterator[str]:
    """In what images are prepared otherwise than in training, and what could not be scored."""
    for each in result.preprocess:
        told = each.faults or (each.problem or f"MNN's ImageProcess is {each.levels} levels of 8 bits off",)
        if not each.passed:
            yield from (f"preprocessing of {each.input}: {fault}" for fault in told)
    if result.accuracy is not None:
        yield from (f"accuracy of {each.where}: {each.problem}" for each in result.accuracy.rows if each.problem)


def _of_session(
    report: ParityReport, at: Location, *, required: bool, form: RecurrentForm | None = None
) -> Iterator[Diagnostic]:
    """What MNN's Session API does otherwise than the Module API."""
    session = report.session
    if session is None or session.passed:
        return
    rule = replace(NO_SESSION, severity=Severity.ERROR) if required else NO_SESSION
    hint = way_out(session, form) if required else ""
    yield rule.finding(at, f"good in MNN's Session API: {in_session(session)}", status="partial", hint=hint)


def _of_diagnosis(result: Diagnosis) -> Iterator[Diagnostic]:
    for each in result.culprits:
        at = each.nodes[0] if each.nodes else Location(model=result.source)
        rule = CONVERSION_FAILED if each.stage == "convert" else PARITY_FAILED
        yield rule.finding(at, each.reason, status=each.status)
    if result.culprits or result.verdict is DiagnosisVerdict.AGREES:
        return
    at = Location(model=result.source)
    if result.failure is not None:
        yield conversion_failed(result.failure, at)
    elif result.verdict is DiagnosisVerdict.ACCUMULATED:
        told = "the outputs differ; every node by itself is within its tolerance"
        yield PARITY_FAILED.finding(at, told, status="wrong")
    else:
        yield PARITY_FAILED.finding(at, "the outputs differ, and no node was found that explains it", status="wrong")


def _of_conversion(result: ConvertResult) -> list[Diagnostic]:
    rewrites = list(_not_proven(result.fix)) if result.fix else []
    if result.verdict is Verdict.CONVERTED:
        at = Location(model=result.source)
        proof = [] if result.parity is None else list(_of_parity(result.parity, at))
        beside = [] if result.parity is None else _of_session(result.parity, at, required=False)
        return [_at_most_warning(each) for each in (*proof, *beside, *rewrites, *result.remaining)]
    return [*_failure(result, rewrites), *result.remaining]


def _failure(result: ConvertResult, rewrites: list[Diagnostic]) -> list[Diagnostic]:
    """Why no file was published; never empty."""
    at = Location(model=result.source)
    if result.verdict is Verdict.NOT_PROVEN:
        return rewrites or [NOT_PROVEN.finding(at, NOT_PROVEN.summary, status="wrong")]
    downgraded = [_at_most_warning(each) for each in rewrites]
    if result.verdict is Verdict.NOT_CONVERTED:
        return [conversion_failed(result.failure, at), *downgraded]
    found = list(_of_parity(result.parity, at)) if result.parity else []
    if result.verdict is Verdict.NO_SESSION and result.parity is not None:
        found = [_at_most_warning(each) for each in found]
        return [*_of_session(result.parity, at, required=True, form=result.recurrent), *found, *downgraded]
    if result.verdict is Verdict.OVER_BUDGET:
        reasons = [f"the file takes more: {each}" for each in result.exceeded] or [OVER_BUDGET.summary]
        over = [OVER_BUDGET.finding(at, each, status="error") for each in reasons]
        return [*over, *map(_at_most_warning, found), *downgraded]
    if not any(each.severity is Severity.ERROR for each in found):
        rule = {Verdict.NOT_EXERCISED: NOT_EXERCISED, Verdict.ONE_SIZE: ONE_SIZE}.get(result.verdict, PARITY_FAILED)
        why = result.failure.message if result.failure else rule.summary
        found = [rule.finding(at, why, status="wrong" if rule is PARITY_FAILED else "unknown"), *found]
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
    for side in report.failures:
        yield PARITY_FAILED.finding(
            at, f"{side.runner} gave no outputs: {side.failure.message}", status=side.failure.kind.value
        )
    failing = [output for output in report.outputs if not output.passed]
    for output in failing:
        rule, status = (NOT_EXERCISED, "unknown") if output.shows_nothing else (PARITY_FAILED, "wrong")
        yield rule.finding(at, _difference(output), status=status)
    for random in report.undetermined:
        yield PARITY_FAILED.finding(at, f"output {random.name} {random.reason}", status="unknown")
    if not (report.passed or failing or report.failures or report.undetermined):
        why = "; ".join(report.problems) or "nothing was compared"
        yield PARITY_FAILED.finding(at, why, status="wrong")
    if report.device is not None:
        yield from _of_device(report.device, at)
    yield from _of_verdict(report, at)


def _of_device(found: DeviceParity, at: Location) -> Iterator[Diagnostic]:
    """What a device does otherwise than the host."""
    for problem in found.problems:
        yield PARITY_FAILED.finding(at, f"on {found.device} {found.precision}: {problem}", status="wrong")
    if found.verdict is ProofVerdict.WITHIN:
        yield WITHIN.finding(at, f"the outputs agree {on_device(found)}", status="partial")


def _of_verdict(report: ParityReport, at: Location) -> Iterator[Diagnostic]:
    """What the comparison does not prove though nothing differs."""
    if report.verdict is ProofVerdict.DIFFERENT:
        return
    power = report.power
    if power is not None and not power.is_enough:
        hint = "give real data: --input" if power.is_sample else ""
        yield NOT_EXERCISED.finding(at, exercised(report), status="unknown", hint=hint)
    elif power is not None and power.silent:
        yield replace(NOT_EXERCISED, severity=Severity.INFO).finding(at, exercised(report), status="partial")
    for each in report.few_sizes:
        yield ONE_SIZE.finding(at, size_reason(each), status="unknown")
    if report.is_rough:
        yield WITHIN.finding(at, f"the outputs agree {agreement(report)}", status="partial")


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
