"""A switch that asks for other sizes: a rate of 8000 takes half the samples that one of 16000 does.

Where a graph compares a single whole number with others, the draws hold these. What happens for any other number may
need other sizes than the first draws have; there the model refuses it, and half of it would stay unseen. So one more
draw has such a number at the first sizes that go with it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from math import prod
from typing import TYPE_CHECKING

from mnncompat.inference.domain_claims import Kind
from mnncompat.parity.plan_runs import run_plan
from mnncompat.parity.sampling import DRAWS
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from mnncompat.parity.input_plan import InputPlan, NamedFeeds
    from mnncompat.parity.input_planner import InputPlanner
    from mnncompat.parity.runners import Runner

    Ran = tuple[list[NamedFeeds], list[dict[str, np.ndarray]]]

_MOST_PLANS = 8


def other_values(planner: InputPlanner, plan: InputPlan, runner: Runner) -> Ran:
    """Draws with other values of switches, at the sizes that these ask for, and what comes of them.

    Args:
        planner: Of the model.
        plan: The first draws. A value that the model takes at their sizes needs no others, and has no draw here.
        runner: Of the reference.
    """
    feeds: list[NamedFeeds] = []
    outputs: list[dict[str, np.ndarray]] = []
    for spec in plan.signature:
        for value in _others(plan, spec.name):
            if not isinstance(_ran(plan, spec.name, value, runner), Failure):
                continue
            others = (each for each in islice(planner.plans(), _MOST_PLANS) if each.shapes != plan.shapes)
            found = (_ran(each, spec.name, value, runner) for each in others)
            first = next((each for each in found if not isinstance(each, Failure)), None)
            if first is not None:
                feeds += first[0]
                outputs += first[1]
                break
    return feeds, outputs


def _others(plan: InputPlan, name: str) -> Iterator[float]:
    """Numbers that a switch is not compared with, the next larger one first."""
    domain = plan.domains.get(name)
    if domain is None or domain.kind is not Kind.INTEGERS or name in plan.arrays or prod(plan.shapes[name]) != 1:
        return
    for value in sorted({0.0, *(each + 1 for each in domain.values)} - set(domain.values), reverse=True):
        if domain.values:
            yield value


def _ran(plan: InputPlan, name: str, value: float, runner: Runner) -> Ran | Failure:
    """One draw of a plan in which a switch has another value."""
    domain = replace(plan.domains[name], values=(value,), low=min(value, 0.0), high=max(value, plan.domains[name].high))
    changed = replace(plan, domains=plan.domains | {name: domain})
    return run_plan(changed, runner, DRAWS[:1], suffix=f", {name} {value:g}")
