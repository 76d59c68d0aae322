"""The power of one proof: measured between the run of the reference and that of MNN, told with the verdict."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.errors import ModelError
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.power.branches import idle_positions
from mnncompat.parity.power.class_search import ClassSearch
from mnncompat.parity.power.clipped_classes import clipped_outputs, flat_classes, unproven
from mnncompat.parity.power.faulty_model import FaultyModel, inlined, saturating_outputs
from mnncompat.parity.power.findings import Findings, KeptFindings
from mnncompat.parity.power.flattened import differences, flattened, is_before, is_kept, with_problems
from mnncompat.parity.power.input_search import InputSearch
from mnncompat.parity.power.operators import operators_with_weights, uncounted
from mnncompat.parity.power.trials import State, Trials, is_exercised, state_of
from mnncompat.results.failures import Failure
from mnncompat.results.proof_strength import ENOUGH, Power

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto

    from mnncompat.parity.input_plan import InputPlan
    from mnncompat.parity.power.clipped_classes import FlatClasses
    from mnncompat.parity.power.trials import Pair
    from mnncompat.parity.reference import Reference
    from mnncompat.parity.runners import OnnxRunner
    from mnncompat.results.parity_report import OutputParity, Tolerance

    Outputs = dict[str, np.ndarray]

LEAST_SECONDS, SHARE = 5.0, 2.0
"""Processor time for the faults: the larger of this many seconds, and this many times what the reference's runs took.
The 72 operators of PP-OCRv4 recognition take 1.7 s; of a network with hundreds of operators a sample remains."""
SEARCH_SECONDS = 3.0
"""Time for the search of better inputs, out of that."""
SEARCHED = "searched"
"""Name of draws that were found by a search; from the second on with a number."""
_MOST_SEARCHED = 3
_SCREENED = 8
"""Operators that a proposed draw is tried on."""


class PowerAnalysis:
    """Finds out which operators with weights a proof would have caught, had they been wrong.

    Args:
        model: The original, with its weights or references to them.
        folder: Where external data lie.
        noise: Results of random nodes -> outputs that give them out, where MNN is fed with them.
        ask: Is told which tensors are wanted from inside the model, of the first draw, beside MNN's outputs, and says
            which the file has.
        plants: False to plant no faults, and only find the classes that are saturated in every draw.
    """

    def __init__(
        self,
        model: ModelProto,
        *,
        folder: Path | None = None,
        noise: Mapping[str, str] | None = None,
        ask: Callable[[Collection[str]], Collection[str]] | None = None,
        plants: bool = True,
    ) -> None:
        self._model = model
        self._folder = folder
        self._noise = noise
        self._ask = ask
        self._plants = plants
        self._found = Findings()
        self._remembered = False
        self._refusal = ""
        self._seconds = 0.0
        self._compared: list[str] = []

    def measure(
        self,
        reference: OnnxRunner,
        ran: Reference,
        expected: list[Outputs],
        tolerances: Mapping[str, Tolerance],
        *,
        took: float,
    ) -> tuple[Reference, list[Outputs]]:
        """Plant the faults, or remember what they moved in an earlier run.

        Args:
            reference: What ran; its memory is freed.
            ran: How it was run.
            expected: For each draw, what it computed.
            tolerances: Of the outputs that can be compared.
            took: Seconds of processor time of its runs.

        Returns:
            The second and the third, with further draws where they show more.
        """
        start = time.monotonic()
        self._limit = max(LEAST_SECONDS, SHARE * took)
        self._evaluated = ran.evaluated
        self._feeds, self._expected, self._tolerances = list(ran.feeds), list(expected), tolerances
        self._clipped = {name: tolerances[name] for name in clipped_outputs(self._model, tolerances)}
        if self._plants or self._may_be_flattened():
            self._kept = KeptFindings(self._model, self._folder, ran.feeds, tolerances, planted=self._plants)
            self._remembered = self._remember(reference)
            reference.release()
            if not self._remembered:
                self._run((), None if ran.evaluated else ran.plan)
        self._ask_for_values()
        self._seconds += time.monotonic() - start
        told = self._refusal and self._plants
        notes = (f"not measured what the draws would show: {self._refusal}",) if told else ()
        return replace(ran, feeds=self._feeds, notes=(*ran.notes, *notes, *self._found.notes)), self._expected

    def _ask_for_values(self) -> None:
        """Ask for the values before functions that flatten classes."""
        held = () if self._ask is None else self._ask([each.value for each in self._found.flattened])
        self._compared = [each.value for each in self._found.flattened if each.value in held and is_kept(each)]

    def before_functions(self, outputs: Sequence[OutputParity], first: Outputs) -> tuple[OutputParity, ...]:
        """Judge classes that are saturated in every draw by what comes before the function, too.

        Args:
            outputs: As they were judged.
            first: What MNN gave for the first draw; tensors from inside the model are taken out.
        """
        problems: dict[str, tuple[str, ...]] = {}
        inner = {each.value: first.pop(each.value, None) for each in self._found.flattened}
        self._compared = []
        exact = {each.name for each in outputs if not each.tolerance.is_rough}
        for each in self._found.flattened:
            found = inner[each.value]
            if found is None or each.output not in exact or not is_before(each, found, first.get(each.output)):
                continue
            self._compared.append(each.value)
            if why := tuple(differences(each, found)):
                problems[each.output] = why
        return tuple(with_problems(each, problems[each.name]) if each.name in problems else each for each in outputs)

    def conclude(self, outputs: Sequence[OutputParity], labels: Mapping[str, str] | None = None) -> Power | None:
        """What the proof would have caught.

        Args:
            outputs: As they were judged. What was set aside there, or not compared, shows nothing; operators that only
                it had shown are tried on the other draws.
            labels: What the report calls tensors that are no outputs of the model.

        Returns:
            The power; None if no faults are to be planted. Where none can be, all operators are untried.
        """
        if not self._plants:
            return None
        if self._refusal:
            return Power(untried=self._operators(), seconds=self._seconds)
        start = time.monotonic()
        without = self._not_compared(outputs, labels or {})
        records = self._found.records
        lost = [number for number, each in records.items() if is_exercised(each) and not is_exercised(each, without)]
        draws = {feed.name for feed in self._feeds}
        if any(not draws <= records[number].keys() for number in lost):
            self._run(without, None)
            self._remembered = False
        if not self._remembered:
            self._kept.save(self._found)
        sides: dict[State, list[str]] = {state: [] for state in State}
        for number, label in enumerate(self._found.labels):
            if number not in self._found.idle:
                sides[self._state(number, without)].append(label)
        if any(sides.values()):
            sides[State.SILENT] += [each.label for each in self._flat_classes(without)]
        return Power(
            exercised=tuple(sides[State.EXERCISED]),
            silent=tuple(sides[State.SILENT]),
            untried=tuple(sides[State.UNTRIED]),
            remembered=self._remembered,
            seconds=self._seconds + time.monotonic() - start,
        )

    def _not_compared(self, outputs: Sequence[OutputParity], labels: Mapping[str, str]) -> set[Pair]:
        """The draws and outputs that prove nothing."""
        if not outputs:
            return set()
        judged = {output.name: output for output in outputs}
        without: set[Pair] = set()
        for name in self._tolerances:
            output = judged.get(labels.get(name, name))
            shown = [] if output is None else [each.draw for each in output.comparisons if not each.inconclusive]
            without |= {(feed.name, name) for feed in self._feeds if feed.name not in shown}
        return without

    def _state(self, number: int, without: Collection[Pair]) -> State:
        draws = [feed.name for feed in self._feeds]
        return state_of(self._found.records.get(number, {}), draws, self._tolerances, without)

    def _may_be_flattened(self) -> bool:
        """Whether a function that can saturate stands before an output."""
        if self._model.functions:
            return True
        return any(each.slope is not None for each in saturating_outputs(self._model).values())

    def _remember(self, reference: OnnxRunner) -> bool:
        """Take what an earlier run found, and run the reference on the draws that it added."""
        found = self._kept.load()
        if found is None:
            return False
        if not self._plants:
            self._found.flattened = found.flattened
            return True
        outputs = reference.run([feed.arrays for feed in found.searched]) if found.searched else []
        if isinstance(outputs, Failure):
            return False
        self._found = found
        self._feeds += found.searched
        self._expected += outputs
        return True

    def _run(self, without: Collection[Pair], plan: InputPlan | None) -> None:
        """Try what is open, and search for better inputs if much stays silent and they may be drawn."""
        try:
            model = FaultyModel(
                self._model,
                folder=self._folder,
                noise=self._noise,
                evaluated=self._evaluated,
                planted=self._plants,
            )
        except (OSError, ValueError, ModelError) as error:  # no room for the weights; functions that are not inlined
            self._refusal = str(error).partition("\n")[0] or type(error).__name__
            return
        deadline = time.process_time() + self._limit
        with closing(model) as faulty:
            if (
                self._ask is not None and not without
            ):  # of the draws that everybody gets, not of those that are searched
                self._found.flattened = list(flattened(faulty, self._feeds, self._expected, self._tolerances))
                self._ask_for_values()
            if not self._plants:
                self._kept.save(self._found)
                return
            trials = Trials(faulty, self._feeds, self._expected, self._tolerances, self._found.records)
            trials.run(deadline, without)
            self._found.labels = tuple(each.label for each in faulty.operators)
            self._found.records = trials.records
            search = self._search_from(plan, faulty, min(deadline, time.process_time() + SEARCH_SECONDS))
            self._found.idle = self._idle(faulty, search)
            self._found.notes += uncounted(faulty.placeholders)
            if search is not None:
                self._add_draws(search, faulty, trials)
                left = partial(self._flat_classes, ())
                ClassSearch(search, faulty, left, self._add).run(self._expected[0])

    def _search_from(self, plan: InputPlan | None, faulty: FaultyModel, deadline: float) -> InputSearch | None:
        pairs = zip(self._feeds, self._expected, strict=True)
        alike = [(feed.arrays, each) for feed, each in pairs if plan is not None and feed.shapes == dict(plan.shapes)]
        return InputSearch(plan, faulty, alike, deadline) if plan is not None and alike else None

    def _idle(self, faulty: FaultyModel, search: InputSearch | None) -> frozenset[int]:
        """Positions of the operators in branches that are never taken at the sizes that are compared."""
        inner = {
            number: each.address
            for number, each in enumerate(faulty.operators)
            if each.address and self._state(number, ()) is not State.EXERCISED
        }
        idle, self._found.notes = idle_positions(faulty.unplanted, self._feeds, inner, search)
        return idle

    def _add_draws(self, search: InputSearch, faulty: FaultyModel, trials: Trials) -> None:
        """Add draws that show operators which stayed silent, as long as too many do."""
        moved = {name for record in trials.records.values() for names in record.values() for name in names}
        dead = [name for name in self._tolerances if name not in moved]
        over = self._is_enough() or time.process_time() > search.deadline
        for arrays in () if over else search.proposals(dead):
            outputs = search.run(arrays)
            if not isinstance(outputs, Failure) and _is_finite(outputs):
                self._propose(arrays, {name: outputs[name] for name in faulty.outputs}, trials, search.deadline)
            if (
                self._is_enough()
                or len(self._found.searched) == _MOST_SEARCHED
                or time.process_time() > search.deadline
            ):
                return

    def _propose(
        self, arrays: dict[str, np.ndarray], outputs: dict[str, np.ndarray], trials: Trials, deadline: float
    ) -> None:
        silent = [number for number in self._counted() if self._state(number, ()) is State.SILENT]
        screened = np.random.default_rng(0).permutation(silent)[:_SCREENED].tolist()
        if trials.add(NamedFeeds(name=self._next_name(), arrays=arrays), outputs, screened):
            self._add(arrays, outputs)
            trials.run(deadline)

    def _flat_classes(self, without: Collection[Pair], more: Sequence[Outputs] = ()) -> list[FlatClasses]:
        """The classes that no draw shows, and that are not compared before a function.

        Args:
            without: Outputs on draws that do not count.
            more: Outputs of a further draw.
        """
        draws = [*(feed.name for feed in self._feeds), *("" for _ in more)]
        found = flat_classes([*self._expected, *more], draws, self._clipped, without)
        return unproven(found, [each for each in self._found.flattened if each.value in self._compared])

    def _next_name(self) -> str:
        """What a further draw is called."""
        number = len(self._found.searched) + 1
        return SEARCHED if number == 1 else f"{SEARCHED} {number}"

    def _add(self, arrays: dict[str, np.ndarray], outputs: Outputs) -> None:
        feed = NamedFeeds(name=self._next_name(), arrays=arrays)
        self._feeds.append(feed)
        self._expected.append(outputs)
        self._found.searched.append(feed)

    def _operators(self) -> tuple[str, ...]:
        """What the operators with weights are called, as far as they can be found; the model as a whole, if not."""
        try:
            return tuple(each.label for each in operators_with_weights(inlined(self._model)))
        except (ValueError, ModelError):
            return ("the model's operators",)

    def _counted(self) -> list[int]:
        return [number for number in range(len(self._found.labels)) if number not in self._found.idle]

    def _is_enough(self) -> bool:
        """Whether further draws cannot show more, or need not."""
        states = [self._state(number, ()) for number in self._counted()]
        tried = sum(state is not State.UNTRIED for state in states)
        return states.count(State.EXERCISED) >= ENOUGH * tried


def _is_finite(outputs: Mapping[str, np.ndarray]) -> bool:
    return all(bool(np.isfinite(each).all()) for each in outputs.values() if each.dtype.kind == "f")
