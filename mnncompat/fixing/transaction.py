"""Apply rewrites as one transaction: to a fixed point, checked, and proven equal under ONNX Runtime.

A rewrite whose result is invalid, computes something else or still matches after the last round is rolled back and
reported by name; the others stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from onnx import ModelProto

from mnncompat.errors import MnncompatError
from mnncompat.fixing.half_precision import BeginTrial, Trial, begin_trial, judged, usual
from mnncompat.fixing.proofs import Proofs, Prover, require_reference
from mnncompat.fixing.selection import choose_rewrites
from mnncompat.fixing.validity import checker_error
from mnncompat.graph.diff import diff
from mnncompat.graph.model_file import Model
from mnncompat.graph.view import GraphView, ModelView
from mnncompat.inference.model_view import view_model
from mnncompat.results.outcomes import AppliedFix, FixResult, RefusedFix, RolledBack, TriedFix
from mnncompat.rewrites.core.base import Match, Refusal, Rewrite
from mnncompat.rewrites.core.model_rewrite import ModelRewrite, RewriteLocation
from mnncompat.rewrites.core.values import NotApplicable
from mnncompat.rewrites.index import requested_rewrite, searches
from mnncompat.support.deployment import LOW
from mnncompat.support.target import Target

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.fixing.device_trial import Draws
    from mnncompat.parity import Given
    from mnncompat.results.parity_report import ParityReport

_MAX_ROUNDS = 50
_Found = tuple[GraphView, Rewrite, Match | Refusal]
# The error of an approximate rewrite is judged like that of weights rounded to this number of bits.
_APPROXIMATE_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A rewritten model and the rewrites that were applied; `error` tells why it cannot be used."""

    proto: ModelProto
    applied: tuple[AppliedFix, ...] = ()
    refused: tuple[RefusedFix, ...] = ()
    error: str = ""
    proof: ParityReport | None = field(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedModel(FixResult):
    """A rewritten model, and what was done.

    Attributes:
        model: The model after the fixes; the very model that was given if nothing applied.
        approximated: The model after the unsafe rewrites that change what it computes or takes; None if there were
            none. This is what a conversion has to agree with.
    """

    model: Model
    approximated: Model | None = None


def fix_model(  # noqa: PLR0913 - options
    model: Model,
    *,
    rewrites: Sequence[Rewrite] | None = None,
    target: Target | None = None,
    freeze: Mapping[str, tuple[int, ...]] | None = None,
    prove: bool = True,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    seed: int = 0,
    memory: int | None = None,
    where: Where | None = None,
    simulate: BeginTrial | None = None,
) -> FixedModel:
    """Rewrite a model; the given model is not changed.

    Args:
        model: The model.
        rewrites: Rewrites to apply, see `choose_rewrites`; by default every safe one.
        target: The MNN release to rewrite for; the installed one if None.
        freeze: Input name -> shape: fix these dimensions first (see `mnncompat.rewrites.model.freeze_shapes`).
        prove: Compare original and result under ONNX Runtime, and roll back what is not equal.
        shapes: Shapes of inputs for the proof, where they are dynamic.
        inputs: Real data for the proof, see `mnncompat.parity.real_data`.
        seed: Of the drawn inputs.
        memory: Bytes that a run of the proof may take at sizes that are chosen; None for the default.
        where: A device that judges rewrites for half precision.
        simulate: Begins what judges them where there is no device; without either those that never hurt are applied.

    Returns:
        The rewritten model with what was done; the given model itself if nothing applied.

    Raises:
        ModelError: External data cannot be read.
        UsageError: `freeze`, `shapes` or `inputs` do not fit the model.
    """
    model.load_weights()
    chosen = _chosen(model, rewrites, freeze)
    proofs = Proofs(wanted=prove, shapes=shapes, inputs=inputs, seed=seed, memory=memory)
    wanted = target or Target()
    noise, approximate, exact = _by_kind(chosen)
    fed, not_fed = _transaction(model, noise, wanted, proofs.prover(recorded=True))
    settled = model.changed(fed.proto, again=True) if fed.applied else model
    rough, given_up = _transaction(settled, approximate, wanted, proofs.prover(tolerance_bits=_APPROXIMATE_BITS))
    start = model.changed(rough.proto, again=True) if rough.applied else settled
    trial = begin_trial(where, simulate)
    attempt, rolled_back, tried = _exact(start, exact, wanted, proofs, trial, is_device=where is not None)
    applied = (*fed.applied, *rough.applied, *attempt.applied)
    fixed = model.changed(attempt.proto) if applied else model
    return FixedModel(
        source=model.name,
        model=fixed,
        applied=applied,
        refused=(*fed.refused, *rough.refused, *attempt.refused),
        rolled_back=(*not_fed, *given_up, *rolled_back),
        changes=diff(view_model(model), view_model(fixed)) if applied else (),
        proof=attempt.proof,
        approximated=start if fed.applied or rough.applied else None,
        approximation=rough.proof,
        recorded=fed.proof,
        tried=tried,
    )


def _by_kind(rewrites: Sequence[Rewrite]) -> tuple[tuple[Rewrite, ...], tuple[Rewrite, ...], tuple[Rewrite, ...]]:
    """Those that add inputs, those that change what the model computes, and the others."""
    noise = tuple(each for each in rewrites if each.adds_inputs)
    approximate = tuple(each for each in rewrites if each.approximate)
    return noise, approximate, tuple(each for each in rewrites if not (each.approximate or each.adds_inputs))


def _exact(
    start: Model,
    rewrites: tuple[Rewrite, ...],
    target: Target,
    proofs: Proofs,
    begin: BeginTrial | None,
    *,
    is_device: bool,
) -> tuple[_Attempt, tuple[RolledBack, ...], tuple[TriedFix, ...]]:
    """The transaction with the rewrites that change nothing, and what was judged of those for half precision."""
    helpful = [each for each in rewrites if each.for_half_precision]
    if target.precision == LOW and helpful and begin is not None:
        costly = [each for each in helpful if each.needs_device]
        if is_device or _may_be_simulated(start, costly, target, proofs):
            draws = proofs.draws(start)
            with begin(draws) as trial:
                return _judged(start, rewrites, target, proofs.prover(), trial, draws)
    attempt, rolled_back = _transaction(start, usual(rewrites), target, proofs.prover())
    return attempt, rolled_back, ()


def _may_be_simulated(model: Model, rewrites: Sequence[Rewrite], target: Target, proofs: Proofs) -> bool:
    """Whether there is anything for a simulation to judge."""
    view = view_model(model)
    return proofs.are_wanted and any(_has_match(view, each, target) for each in rewrites)


def _judged(
    start: Model,
    rewrites: tuple[Rewrite, ...],
    target: Target,
    prover: Prover | None,
    trial: Trial,
    draws: Draws,
) -> tuple[_Attempt, tuple[RolledBack, ...], tuple[TriedFix, ...]]:
    """The transaction with the rewrites for half precision that a device or a simulation shows to help."""
    plain = tuple(each for each in rewrites if not each.for_half_precision)
    base, _ = _transaction(start, plain, target, prover)
    names = (node.input[0] for node in base.proto.graph.node if node.op_type == "Conv")
    seen = target.with_peaks(draws.peaks(start.changed(base.proto), names))
    given_up: dict[int, tuple[RolledBack, ...]] = {}

    def attempt(chosen: tuple[Rewrite, ...]) -> _Attempt:
        found, left = _transaction(start, chosen, seen, prover)
        given_up[id(found)] = left
        return found

    result = judged(rewrites, attempt, lambda each: start.changed(each.proto), trial, str(trial.where))
    return result.attempt, given_up[id(result.attempt)], result.tried


def _chosen(
    model: Model, rewrites: Sequence[Rewrite] | None, freeze: Mapping[str, tuple[int, ...]] | None
) -> tuple[Rewrite, ...]:
    """The rewrites to apply, freezing first; each fits the model."""
    frozen = (requested_rewrite("freeze-shapes", freeze),) if freeze else ()
    chosen = (*frozen, *(choose_rewrites() if rewrites is None else rewrites))
    for each in chosen:
        each.require_fit(model.skeleton)
    return chosen


def _transaction(
    model: Model, rewrites: tuple[Rewrite, ...], target: Target, prover: Prover | None
) -> tuple[_Attempt, tuple[RolledBack, ...]]:
    if not rewrites:
        return _Attempt(proto=model.skeleton), ()
    attempt = _attempt(model, rewrites, target, prover)
    if not attempt.error:
        return attempt, ()
    good: tuple[Rewrite, ...] = ()
    rolled_back: list[RolledBack] = []
    best = _Attempt(proto=model.skeleton)
    settled = view_model(model)
    for rewrite in rewrites:
        if not _has_match(settled, rewrite, target):
            good = (*good, rewrite)
            continue
        trial = _attempt(model, (*good, rewrite), target, prover)
        if trial.error:
            is_wrong = trial.proof is None or trial.proof.differs
            rolled_back.append(RolledBack(rewrite=rewrite.name, reason=trial.error, is_wrong=is_wrong))
        else:
            good, best = (*good, rewrite), trial
            settled = view_model(model.changed(trial.proto))
    *_, refused = _round(model.changed(best.proto), good, target)
    return replace(best, refused=refused), tuple(rolled_back)


def _has_match(whole: ModelView, rewrite: Rewrite, target: Target) -> bool:
    """Whether a rewrite matches; one that raises counts as a match, and its attempt reports the error."""
    try:
        if isinstance(rewrite, ModelRewrite):
            return bool(rewrite.search(whole, target))
        return any(isinstance(item, Match) for view in whole.graphs() for item in rewrite.find(view, target))
    except Exception:  # noqa: BLE001 - whatever it raises
        return True


def _attempt(model: Model, rewrites: tuple[Rewrite, ...], target: Target, prover: Prover | None) -> _Attempt:
    """Rewrite to a fixed point, check, prove."""
    current = model
    applied: list[AppliedFix] = []
    refused: tuple[RefusedFix, ...] = ()
    for _ in range(_MAX_ROUNDS):
        try:
            proto, new, refused = _round(current, rewrites, target)
        except NotApplicable as refusal:
            return _Attempt(proto=model.skeleton, error=str(refusal))
        except (MnncompatError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a rewrite that fails is rolled back, whatever it raises
            return _Attempt(proto=model.skeleton, error=f"it failed: {type(error).__name__}: {error}")
        if not new:
            break
        applied.extend(new)
        current = model.changed(proto)
    else:
        return _Attempt(proto=model.skeleton, error=f"it still finds something after {_MAX_ROUNDS} rounds")
    if not applied:
        return _Attempt(proto=model.skeleton, refused=refused)
    problem = _invalid(model.skeleton, current.skeleton)
    proof = prover(model, current) if prover is not None and not problem else None
    require_reference(proof)
    if proof is not None and not proof.passed:
        verdict = "is not equal under ONNX Runtime" if proof.differs else "cannot be proven"
        problem = f"its result {verdict}: {proof.problems[0]}"
    return _Attempt(proto=current.skeleton, applied=tuple(applied), refused=refused, error=problem, proof=proof)


def _round(
    model: Model, rewrites: tuple[Rewrite, ...], target: Target
) -> tuple[ModelProto, list[AppliedFix], tuple[RefusedFix, ...]]:
    """Apply what changes the model as a whole, or else every match that does not overlap with an earlier one."""
    whole = view_model(model)
    for rewrite in rewrites:
        if isinstance(rewrite, ModelRewrite):
            locations = rewrite.search(whole, target)
            if locations:
                return rewrite.rewrite(whole, locations), _applied_fixes(rewrite, locations), ()
    found = _found(whole, rewrites, target)
    refused = tuple(
        RefusedFix(rewrite=item.rewrite, location=view.location(item.index), reason=item.reason)
        for view, _, item in found
        if isinstance(item, Refusal)
    )
    matches = [(view, rewrite, item) for view, rewrite, item in found if isinstance(item, Match)]
    if not matches:
        return model.skeleton, [], refused
    return *_apply(model, matches), refused


def _found(whole: ModelView, rewrites: tuple[Rewrite, ...], target: Target) -> list[_Found]:
    """Refusals, and matches that do not overlap with earlier ones.

    A graph inside a node that is replaced is not looked at: what is done to it would be lost, or is done in the next
    round, to what is left of it.
    """
    found: list[_Found] = []
    replaced: dict[GraphView, set[int]] = {}
    passed: set[GraphView] = set()
    for view in whole.graphs():
        outer = view.parent
        if outer is not None and (outer in passed or view.address[-1][0] in replaced[outer]):
            passed.add(view)
            continue
        nodes = replaced[view] = set()
        for rewrite in rewrites:
            for item in rewrite.find(view, target):
                if isinstance(item, Match):
                    if item.nodes & nodes or not _is_admitted(view, rewrite, item, target):
                        continue
                    nodes |= item.nodes
                found.append((view, rewrite, item))
    return found


def _is_admitted(view: GraphView, rewrite: Rewrite, item: Match, target: Target) -> bool:
    """False if a match is only about nodes whose findings the user left out."""
    if not searches(rewrite):
        return True
    return target.admits(view, item.nodes, rewrite.name, has_own_code=not rewrite.is_remedy)


def _applied_fixes(rewrite: Rewrite, locations: Sequence[RewriteLocation]) -> list[AppliedFix]:
    return [
        AppliedFix(
            code=rewrite.code, rewrite=rewrite.name, location=spot.view.location(spot.position), message=spot.message
        )
        for spot in locations
    ]


def _apply(model: Model, matches: list[tuple[GraphView, Rewrite, Match]]) -> tuple[ModelProto, list[AppliedFix]]:
    from mnncompat.graph.editor import ModelEditor

    editor = ModelEditor(model.skeleton)
    applied: list[AppliedFix] = []
    for view, rewrite, match in matches:
        rewrite.apply(match, editor.graph(view.address))
        applied.extend(
            AppliedFix(code=rewrite.code, rewrite=rewrite.name, location=view.location(index), message=message)
            for index, message in match.notes
        )
    return editor.export(), applied


def _invalid(original: ModelProto, result: ModelProto) -> str:
    """Why the checker rejects the result; empty if it does not, or if it rejects the original as well."""
    error = checker_error(result)
    return f"its result is not valid ONNX: {error}" if error and not checker_error(original) else ""
