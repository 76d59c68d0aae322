"""The reference: feeds that the original model accepts, and its outputs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.parity.input_plan import GIVEN, InputPlan, NamedFeeds
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.memory import is_out_of_memory
from mnncompat.parity.other_sizes import explore
from mnncompat.parity.other_values import other_values
from mnncompat.parity.plan_runs import bounded_run, run_plan
from mnncompat.parity.sampling import DRAWS
from mnncompat.parity.unread_rows import read_other_rows, unread_rows
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.parity.runners import Runner
    from mnncompat.results.parity_report import InputAssumption

    Outputs = list[dict[str, np.ndarray]]

_PATIENCE = 10.0
"""Seconds in which a way to feed the model is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the reference model computed, or how it failed.

    Attributes:
        feeds: The draws.
        outputs: For each draw: output -> array; or why there are none.
        notes: What a reader should know.
        evaluated: Whether ONNX's reference evaluator computed them: ONNX Runtime does not run the model.
        assumptions: What was assumed of the inputs.
        plan: How the first draws were fed; None if everything was given.
        given: Names of the draws that are the user's data.
        settled: Why a dynamic dimension has no other sizes, by its name.
        varied: How many of the draws, the last ones, have other sizes than the first.
    """

    feeds: list[NamedFeeds]
    outputs: Outputs | Failure
    notes: tuple[str, ...] = ()
    evaluated: bool = False
    assumptions: tuple[InputAssumption, ...] = ()
    plan: InputPlan | None = None
    given: tuple[str, ...] = ()
    settled: Mapping[str, str] = field(default_factory=dict)
    varied: int = 0


def run_reference(planner: InputPlanner, runner: Runner, *, draws: Sequence[str] = DRAWS) -> Reference:
    """Try the planner's ways to feed a model until the reference accepts one, then its variations.

    Args:
        planner: Of the model.
        runner: Runs the reference.
        draws: Names of the draws; the variations are left out where they are not all wanted.
    """
    refusals: list[Failure] = []
    least: int | None = None  # bytes of the smallest plan that did not fit into memory
    end = time.monotonic() + _PATIENCE
    first: InputPlan | None = None
    for plan in planner.plans():
        first = first or plan
        if least is not None and plan.estimate >= least:
            continue
        found = run_plan(plan, runner, draws)
        if not isinstance(found, Failure):
            return _complete(planner if len(draws) > 1 else None, plan, runner, *found)
        if is_out_of_memory(found):
            least = plan.estimate
        refusals.append(found)
        if time.monotonic() > end:
            break
    if first is not None:
        evaluated = _evaluated(first, runner)
        if evaluated is not None:
            return evaluated
    return Reference(feeds=[], outputs=planner.refusal(refusals))


def _evaluated(plan: InputPlan, runner: Runner) -> Reference | None:
    """By ONNX's reference evaluator, on data that the user gave: ONNX Runtime may have no kernel for the model."""
    evaluate = getattr(runner, "evaluate", None)
    if evaluate is None or not plan.arrays:
        return None
    feeds = plan.feeds()
    outputs = evaluate([feed.arrays for feed in feeds])
    return None if outputs is None else Reference(feeds=feeds, outputs=outputs, evaluated=True)


def _complete(
    planner: InputPlanner | None, plan: InputPlan, runner: Runner, feeds: list[NamedFeeds], outputs: Outputs
) -> Reference:
    """Replace draws that show nothing, and add the variations."""
    notes = tuple(_bring_to_life(plan, runner, feeds, outputs))
    found = Reference(feeds=feeds, outputs=outputs, notes=notes, assumptions=plan.assumptions(), plan=plan)
    if planner is None:
        return found
    more, of_more = read_other_rows(plan, runner, feeds)
    switched, of_switched = other_values(planner, plan, runner)
    other = explore(planner, plan, runner, outputs)
    drawn = [*feeds, *more, *switched, *other.feeds]
    return replace(
        found,
        feeds=drawn,
        outputs=[*outputs, *of_more, *of_switched, *other.outputs],
        notes=(*notes, *other.notes, *unread_rows(plan, drawn)),
        settled=other.settled,
        varied=len(other.feeds),
    )


def _bring_to_life(plan: InputPlan, runner: Runner, feeds: list[NamedFeeds], outputs: Outputs) -> Iterator[str]:
    """Draw again, milder, where the reference is not finite and another choice makes it so; in place.

    What is not finite on any choice is the model's own way, as logits of -inf are, and stays.
    """
    for place, feed in enumerate(feeds):
        best = _finite(outputs[place])
        if best == 1.0 or feed.name == GIVEN:
            continue
        while best < 1.0 and plan.milder(feed.name):
            (again,) = plan.feeds([feed.name])
            found = bounded_run(plan, runner, [again])
            if not isinstance(found, Failure) and _finite(found[0]) > best:
                best = _finite(found[0])
                feeds[place], outputs[place] = again, found[0]
    yield from _drop_undefined(feeds, outputs)


def _drop_undefined(feeds: list[NamedFeeds], outputs: Outputs) -> Iterator[str]:
    """Leave out draws that are less defined than others, as long as any remain."""
    shares = [_finite(each) for each in outputs]
    most = max(shares, default=1.0)
    dropped = [place for place, share in enumerate(shares) if share < most]
    for place in reversed(dropped):
        yield f"{feeds[place].name}: left out, the reference is infinite or NaN there"
        del feeds[place], outputs[place]


def _finite(outputs: dict[str, np.ndarray]) -> float:
    """The smallest share of finite elements that an output has."""
    shares = [float(np.mean(np.isfinite(each))) for each in outputs.values() if each.dtype.kind == "f" and each.size]
    return min(shares, default=1.0)
