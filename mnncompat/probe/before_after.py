"""Micro-models measured before and after `mnncompat fix`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import onnx

from mnncompat.errors import MnncompatError, ModelError
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.parity.real_data import real_data
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.results.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mnncompat.probe.case import Case
    from mnncompat.probe.pool import Pool
    from mnncompat.support.target import Target

_FIXED = "#fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FixAttempt:
    """The result of `fix` for a case.

    Attributes:
        model: The fixed model, serialized; None if nothing was changed.
        applied: Names of the rewrites that applied, once each.
        refused: Refusals of rewrites, with their reasons.
        problem: Rewrites that were rolled back, or why nothing could be proven; empty if there was no problem.
        obstacle: What the table still reports about the result: a reason why no rewrite can exist, or the first finding
            by code and name; empty for none.
    """

    model: bytes | None = None
    applied: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    problem: str = ""
    obstacle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeAfter:
    """One case before and after `fix`.

    Attributes:
        before: The model as it is, measured.
        after: The fixed model, measured; `before` itself if nothing was changed.
        fixing: What `fix` did.
    """

    before: Measurement
    after: Measurement
    attempt: FixAttempt

    @property
    def obstacle(self) -> str:
        """Why a case is not right after `fix`: one of `support.table.OBSTACLES`, or the open problem by name."""
        if self.after.outcome is Outcome.OK:
            return ""
        if self.after.outcome is Outcome.UNREPRESENTABLE:
            is_sequence = any(word in self.after.detail for word in ("sequence_type", "optional_type"))
            return "sequences" if is_sequence else "strings" if "string" in self.after.detail else "type"
        return self.attempt.obstacle or "open: no row of the table covers it"

    @property
    def broken(self) -> bool:
        """True if a case was right before, and is not right after."""
        return self.before.outcome is Outcome.OK and self.after.outcome is not Outcome.OK


def attempt(case: Case, target: Target) -> FixAttempt:
    """Fix a case, proven on its own data under ONNX Runtime, as `mnncompat fix` does it.

    Raises:
        TableError: The rules are damaged.
    """
    proto = onnx.ModelProto.FromString(case.model)
    try:
        result = fix_model(from_proto(proto), target=target, inputs=real_data(case.feeds, only=bool(case.feeds)))
    except MnncompatError as error:
        return FixAttempt(problem=str(error), obstacle=_obstacle(proto, target))
    problem = "; ".join(f"{each.rewrite}: {each.reason}" for each in result.rolled_back)
    return FixAttempt(
        model=result.model.proto.SerializeToString() if result.changed else None,
        applied=tuple(dict.fromkeys(each.rewrite for each in result.applied)),
        refused=tuple(f"{each.rewrite}: {each.reason}" for each in result.refused),
        problem=problem,
        obstacle=_obstacle(result.model.skeleton, target),
    )


def _obstacle(proto: onnx.ModelProto, target: Target) -> str:
    try:
        model = view_model(from_proto(proto))
    except ModelError as error:
        return f"open: {error.message}"
    rows = [hazard.row for hazard in target.model_hazards(model)]
    rows += [match.row for view in model.graphs() for i in range(len(view.nodes)) for match in target.hazards(view, i)]
    final = next((row.obstacle for row in rows if row.obstacle), "")
    return final or next((f"open: {row.code} {row.name}" for row in rows if row.severity is Severity.ERROR), "")


def measure_before_and_after(cases: Iterable[Case], pool: Pool, target: Target) -> Iterator[BeforeAfter]:
    """Measure cases before and after `fix`, in the order in which they are done.

    Cases that MNN has no tensors for are not fixed: `fix` keeps the types of inputs and outputs.
    """
    attempts: dict[str, FixAttempt] = {}
    found: dict[str, Measurement] = {}
    for measurement in pool.measure(_with_fixed(cases, target, attempts)):
        found[measurement.id] = measurement
        identity = measurement.id.removesuffix(_FIXED)
        fixed = attempts[identity]
        before, after = found.get(identity), found.get(identity if fixed.model is None else identity + _FIXED)
        if before is not None and after is not None:
            yield BeforeAfter(before=before, after=replace(after, id=identity), attempt=fixed)


def _with_fixed(cases: Iterable[Case], target: Target, attempts: dict[str, FixAttempt]) -> Iterator[Case]:
    for case in cases:
        attempts[case.id] = fixed = FixAttempt() if case.expected is None else attempt(case, target)
        yield case
        if fixed.model is not None:
            yield replace(case, id=case.id + _FIXED, model=fixed.model)
