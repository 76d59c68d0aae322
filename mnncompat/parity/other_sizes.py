"""The reference at other sizes of the dynamic dimensions than those of the first draws.

One more draw has other sizes of all dimensions but the batch, or, where the model does not take them together, a draw
for each. Two have other sizes of the batch; they begin at the smaller ones of the sizes that were found. A dimension of
which ONNX Runtime refuses at least `ENOUGH_REFUSALS` others, of different kinds (half, a multiple of 32, one more,
twice), has no other size: the graph settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from mnncompat.parity.memory import is_out_of_memory
from mnncompat.parity.plan_runs import run_plan
from mnncompat.parity.sampling import DRAWS
from mnncompat.parity.usual_sizes import BATCHES
from mnncompat.results.failures import Failure
from mnncompat.results.proof_strength import BATCH_SIZES

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.parity.input_plan import InputPlan, NamedFeeds
    from mnncompat.parity.input_planner import InputPlanner
    from mnncompat.parity.runners import Runner

ENOUGH_REFUSALS = 3
"""Sizes that ONNX Runtime has to refuse before a dimension counts as having no others."""
_MOST_WORDS = 3


@dataclass(slots=True)
class OtherSizes:
    """What came of other sizes.

    Attributes:
        feeds: A draw for each variation that the reference took.
        outputs: Of the reference, for each.
        notes: About those that it did not take.
        settled: Why a dimension has no other sizes, by its name.
    """

    feeds: list[NamedFeeds] = field(default_factory=list)
    outputs: list[dict[str, np.ndarray]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    settled: dict[str, str] = field(default_factory=dict)


def explore(
    planner: InputPlanner, plan: InputPlan, runner: Runner, outputs: Sequence[dict[str, np.ndarray]]
) -> OtherSizes:
    """Run the reference at other sizes.

    Args:
        planner: Of the model.
        plan: The first draws; where the user says sizes, they are in it.
        runner: Of the reference.
        outputs: Of the first draws. Sizes at which one of them becomes empty show nothing, and are not taken.
    """
    return _Exploration(planner, plan, runner, outputs).run()


class _Exploration:
    def __init__(
        self, planner: InputPlanner, plan: InputPlan, runner: Runner, outputs: Sequence[dict[str, np.ndarray]]
    ) -> None:
        self._planner = planner
        self._plan = plan
        self._runner = runner
        self._full = {name for each in outputs for name, array in each.items() if array.size}
        self._found = OtherSizes()
        self._taken: list[InputPlan] = []

    def run(self) -> OtherSizes:
        others = self._planner.others
        together = self._changed(others) if others else None
        if self._planner.batches:
            self._batches(min(filter(None, (self._plan, together)), key=_fed))
        for name in others if together is not None or len(others) > 1 else ():
            if not self._varies(name):
                self._changed([name])
        past = self._planner.empty_past(self._plan)
        if past is not None:
            found = self._first_that_runs(past, "empty past")
            if found is None or isinstance(found, Failure):
                self._found.notes.append(_refused("the model does not accept an empty past", "empty past", found))
        return self._found

    def _varies(self, name: str) -> bool:
        """Whether a draw has another size of a dimension."""
        return any(plan.sizes[name] != self._plan.sizes[name] for plan in self._taken)

    def _changed(self, names: Sequence[str]) -> InputPlan | None:
        """The first plan with other sizes of these dimensions that the reference takes."""
        refused: set[int] = set()
        why: Failure | None = None
        for plan in self._planner.at_other_sizes(self._plan, names):
            found = self._ran(plan, self._words(plan, names))
            if found is not None and not isinstance(found, Failure):
                return plan
            if found is None or is_out_of_memory(found):
                continue
            why = why or found
            refused.add(plan.sizes[names[0]])
        if len(names) == 1 and why is not None and len(refused) >= ENOUGH_REFUSALS:
            self._settle(names, sorted(refused), why)
        return None

    def _batches(self, base: InputPlan) -> None:
        names = self._planner.batches
        here = base.sizes[names[0]]
        compared = {here}
        refusals: dict[int, Failure] = {}
        for size in self._planner.batch_sizes(here):
            if len(compared) >= BATCH_SIZES:
                return
            found = self._at_batch(base, size)
            if found is not None and not isinstance(found, Failure):
                compared.add(size)
                continue
            if size in BATCHES:
                self._found.notes.append(self._batch_note(size, found))
            if isinstance(found, Failure) and not is_out_of_memory(found):
                refusals[size] = found
        if len(refusals) >= ENOUGH_REFUSALS:
            self._settle(names, list(refusals), next(iter(refusals.values())))

    def _at_batch(self, base: InputPlan, size: int) -> InputPlan | Failure | None:
        """One draw with another batch; what the graph does not allow is left to the runtime to refuse."""
        words = f"batch {size}"
        found = self._first_that_runs(self._planner.at_batch(base, size), words)
        if found is not None:
            return found
        return self._first_that_runs(self._planner.regardless(base, dict.fromkeys(self._planner.batches, size)), words)

    def _batch_note(self, size: int, found: InputPlan | Failure | None) -> str:
        why = self._planner.fixed_by_graph(self._planner.batches)
        told = f"the model declares a dynamic batch, but does not accept one of {size}"
        if why:
            told = f"batch {size}: not compared, the graph does not allow it ({why})"
        return _refused(told, f"batch {size}", found)

    def _settle(self, names: Sequence[str], refused: Sequence[int], why: Failure) -> None:
        listed = ", ".join(map(str, refused))
        reason = self._planner.fixed_by_graph(names) or why.message
        for name in names:
            self._found.settled[name] = f"ONNX Runtime refuses {listed} ({reason})"

    def _words(self, plan: InputPlan, names: Sequence[str]) -> str:
        changed = [name for name in names if plan.sizes[name] != self._plan.sizes[name]]
        if len(changed) > _MOST_WORDS:
            return "other sizes"
        return ", ".join(f"{self._planner.title(name)} {plan.sizes[name]}" for name in changed)

    def _first_that_runs(self, plans: Iterable[InputPlan], words: str) -> InputPlan | Failure | None:
        """The first plan that the reference takes; else how it refuses the first; None without plans."""
        refusal: Failure | None = None
        for plan in plans:
            found = self._ran(plan, words)
            if found is not None and not isinstance(found, Failure):
                return plan
            refusal = refusal or found
        return refusal

    def _ran(self, plan: InputPlan, words: str) -> InputPlan | Failure | None:
        """One draw of a plan, which is kept if the reference takes it and leaves no output empty; else None."""
        found = run_plan(plan, self._runner, DRAWS[:1], suffix=f", {words}")
        if isinstance(found, Failure):
            return found
        if any(not array.size for name, array in found[1][0].items() if name in self._full):
            return None
        self._found.feeds += found[0]
        self._found.outputs += found[1]
        self._taken.append(plan)
        return plan


def _fed(plan: InputPlan) -> int:
    """How many numbers a plan feeds."""
    return sum(prod(shape) for shape in plan.shapes.values())


def _refused(told: str, words: str, found: InputPlan | Failure | None) -> str:
    """A note about sizes that the reference refused, or that were not tried."""
    if not isinstance(found, Failure):
        return f"{words}: not compared, it takes more memory than the limit"
    if is_out_of_memory(found):
        return f"{words}: not compared, because there is not enough memory for it ({found.message})"
    return told


def alternatives(size: int, usual: Sequence[int]) -> list[int]:
    """Other sizes of a dimension, of different kinds: half, the next multiple of 32, one more, twice; then the usual.

    Args:
        size: The size that it has.
        usual: Sizes that such a dimension is given; the one nearest to half is taken for half of it.
    """
    return list(dict.fromkeys(each for each in _alternatives(size, usual) if each > 0 and each != size))


def _alternatives(size: int, usual: Sequence[int]) -> Iterator[int]:
    block = 32
    halves = sorted(usual, key=lambda each: (size % block == 0 and each % block != 0, abs(2 * each - size)))
    yield from halves[:1] if halves[:1] != [size] else halves[1:2]
    yield (size // block + 1) * block
    yield size + 1
    yield 2 * size
    yield from halves
