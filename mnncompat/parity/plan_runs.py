"""Run the reference on what a plan draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnncompat.parity.memory import bounded, is_out_of_memory
from mnncompat.parity.refinement import refine
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.parity.input_plan import InputPlan, NamedFeeds
    from mnncompat.parity.runners import Runner

    Outputs = list[dict[str, np.ndarray]]

_MOST_REFINEMENTS = 8


def run_plan(
    plan: InputPlan, runner: Runner, draws: Sequence[str], *, suffix: str = ""
) -> tuple[list[NamedFeeds], Outputs] | Failure:
    """The draws of a plan and what comes of them; a plan that the runtime's words correct is tried again.

    Args:
        plan: Of the inputs.
        runner: Of the reference.
        draws: Names of the draws.
        suffix: Added to their names.
    """
    for attempt in range(_MOST_REFINEMENTS):
        feeds = plan.feeds(draws, suffix=suffix)
        outputs = bounded_run(plan, runner, feeds)
        if not isinstance(outputs, Failure):
            return feeds, outputs
        if attempt == _MOST_REFINEMENTS - 1 or is_out_of_memory(outputs) or not refine(plan, outputs):
            return outputs
    raise AssertionError  # the loop ends with a return


def bounded_run(plan: InputPlan, runner: Runner, feeds: Sequence[NamedFeeds]) -> Outputs | Failure:
    """Run within the memory limit, where sizes were chosen. What the model itself takes is not counted."""
    load = getattr(runner, "load", None)
    if load is not None and plan.bound is not None:
        load()
    with bounded(plan.bound):
        return runner.run([feed.arrays for feed in feeds])
