"""The reference: feeds that the original model accepts, and its outputs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.parity.input_plan import GIVEN, InputPlan, NamedFeeds
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.memory import bounded, is_out_of_memory
from mnncompat.parity.refinement import refine
from mnncompat.parity.sampling import DRAWS
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.parity.runners import Runner
    from mnncompat.results.parity_report import InputAssumption

    Outputs = list[dict[str, np.ndarray]]

_PATIENCE = 10.0
"""Seconds in which a way to feed the model is looked for."""
_MOST_REFINEMENTS = 8


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
    """

    feeds: list[NamedFeeds]
    outputs: Outputs | Failure
    notes: tuple[str, ...] = ()
    evaluated: bool = False
    assumptions: tuple[InputAssumption, ...] = ()
    plan: InputPlan | None = None
    given: tuple[str, ...] = ()


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


def run_plan(plan: InputPlan, runner: Runner, draws: Sequence[str]) -> tuple[list[NamedFeeds], Outputs] | Failure:
    """The draws of a plan and what comes of them; a plan that the runtime's words correct is tried again."""
    for attempt in range(_MOST_REFINEMENTS):
        feeds = plan.feeds(draws)
        outputs = _bounded_run(plan, runner, feeds)
        if not isinstance(outputs, Failure):
            return feeds, outputs
        if attempt == _MOST_REFINEMENTS - 1 or is_out_of_memory(outputs) or not refine(plan, outputs):
            return outputs
    raise AssertionError  # the loop ends with a return


def _bounded_run(plan: InputPlan, runner: Runner, feeds: Sequence[NamedFeeds]) -> Outputs | Failure:
    """Run within the memory limit, where sizes were chosen. What the model itself takes is not counted."""
    load = getattr(runner, "load", None)
    if load is not None and plan.bound is not None:
        load()
    with bounded(plan.bound):
        return runner.run([feed.arrays for feed in feeds])


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
    notes = list(_bring_to_life(plan, runner, feeds, outputs))
    for words, plans in planner.variations(plan) if planner is not None else ():
        found = _first_that_runs(plans, runner, words)
        if found is None:
            why = planner.fixed_by_graph(planner.batches) if planner is not None else ""
            reason = f"the graph does not allow it ({why})" if why else "it takes more memory than the limit"
            notes.append(f"{words}: not compared, {reason}")
        elif not isinstance(found, Failure):
            feeds, outputs = feeds + found[0], outputs + found[1]
        elif is_out_of_memory(found):
            notes.append(f"{words}: not compared, because there is not enough memory for it ({found.message})")
        elif words.startswith("batch"):
            notes.append(
                f"the model declares a dynamic batch, but does not accept one of {words.removeprefix('batch ')}"
            )
        else:
            notes.append(f"the model does not accept an {words}")
    return Reference(feeds=feeds, outputs=outputs, notes=tuple(notes), assumptions=plan.assumptions(), plan=plan)


def _first_that_runs(
    plans: Iterable[InputPlan], runner: Runner, words: str
) -> tuple[list[NamedFeeds], Outputs] | Failure | None:
    """One draw of the first plan that the reference takes; else how it refuses the first."""
    refusal: Failure | None = None
    for plan in plans:
        feeds = plan.feeds(DRAWS[:1], suffix=f", {words}")
        found = _bounded_run(plan, runner, feeds)
        if not isinstance(found, Failure):
            return feeds, found
        refusal = refusal or found
    return refusal


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
            found = _bounded_run(plan, runner, [again])
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
