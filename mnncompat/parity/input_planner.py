"""What a model is fed with: sizes that its nodes allow, and values in the domains that its graph says.

planner = InputPlanner(proto, signature, given, arrays, seed=0, memory=2_000_000_000)
for plan in planner.plans():          # the preferred sizes first, within the memory limit
feeds = plan.feeds(DRAWS)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import onnx

from mnncompat.graph.model_file import Model
from mnncompat.graph.protos import attribute
from mnncompat.inference.inlined_functions import without_functions
from mnncompat.inference.input_domains import input_domains
from mnncompat.inference.model_view import view_model
from mnncompat.inference.noise_inputs import with_described
from mnncompat.inference.size_solver import solve
from mnncompat.inference.symbolic_shapes import symbolic_shapes
from mnncompat.parity.given_inputs import given_sizes, stated_sizes
from mnncompat.parity.input_plan import InputPlan
from mnncompat.parity.memory import COMFORTABLE, Estimator, is_out_of_memory
from mnncompat.parity.options_wanted import unfulfilled, wanted_options
from mnncompat.parity.other_sizes import alternatives
from mnncompat.parity.size_coverage import is_batch, places, title
from mnncompat.parity.size_relations import size_relations
from mnncompat.parity.telling_sizes import telling_first
from mnncompat.parity.usual_sizes import BATCHES, LENGTHS, MORE_BATCHES, usual_sizes
from mnncompat.results.failures import Failure, FailureKind, Stage

if TYPE_CHECKING:
    from mnncompat.parity.signature import InputSpec

_PAST = (8, 0, 16, 4, 1)
_NOTHING_FITS = "no sizes were found that fit the model"
_MOST_PLANS = 10
_MOST_REJECTED = 64
_MOST_PUT_OFF = 16
_MOST_VARIATIONS = 4


class InputPlanner:
    """Finds sizes and domains for a model's inputs.

    Args:
        proto: The model; weights need not be loaded.
        signature: Its inputs.
        given: Shapes that are fixed, by input name.
        arrays: Data that the user gave, by input name; their shapes are in `given` as well.
        seed: What the values are drawn from.
        memory: Bytes that a run may take.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        signature: Sequence[InputSpec],
        given: Mapping[str, tuple[int, ...]],
        arrays: Mapping[str, np.ndarray],
        *,
        seed: int,
        memory: int,
    ) -> None:
        self._proto = proto
        self._signature = signature
        self._given = given
        self._arrays = arrays
        self.seed = seed
        self._memory = memory
        self._view = view_model(Model(proto=without_functions(proto))).main
        self._symbols = symbolic_shapes(self._view, infer=False)
        self._estimator = Estimator(self._view, self._symbols.shapes)
        self.smallest: int | None = None
        """Bytes of the smallest plan that the memory limit ruled out; None if it ruled out none."""
        stated = stated_sizes(signature, self._symbols.dimensions)
        self._fixed = stated | given_sizes(self._symbols.dimensions, given)
        self._places = places(signature, self._symbols.dimensions)
        self._held = stated | given_sizes(
            self._symbols.dimensions, {name: array.shape for name, array in arrays.items()}
        )
        """Sizes that stay in every draw: those of data. Shapes that the user gave are where the draws begin."""

    @property
    def batches(self) -> list[str]:
        """The dimensions that are the batch, unless data hold it; an exporter may give it several names."""
        return [name for name in self._movable if self._is_batch(name)]

    @property
    def others(self) -> list[str]:
        """The other dimensions that data do not hold."""
        return [name for name in self._movable if not self._is_batch(name)]

    def title(self, name: str) -> str:
        """What to call a dimension."""
        return title(name, self._places[name])

    def batch_sizes(self, here: int) -> list[int]:
        """Sizes of the batch to compare beside one, the preferred ones first."""
        return [size for size in (*BATCHES, *MORE_BATCHES) if size != here]

    def plans(self) -> Iterator[InputPlan]:
        """Ways to feed the model, the preferred ones first; none that is estimated to exceed the memory limit.

        Those that take much come after others, as far as there are any among the first.
        """
        candidates = {name: self._candidates(name) for name in self._free()}
        found = rejected = 0
        choices = solve(candidates, self._symbols.requirements, self._fixed)
        lengths = [name for name, sizes in candidates.items() if sizes is LENGTHS]
        for sizes in telling_first(self._comfortable_first(choices), self._symbols.shapes, lengths):
            plan = self.plan(sizes)
            if plan is None:
                rejected += 1
                if rejected >= _MOST_REJECTED:
                    return
                continue
            yield plan
            found += 1
            if found == _MOST_PLANS:
                return

    def _comfortable_first(self, choices: Iterator[dict[str, int]]) -> Iterator[dict[str, int]]:
        """The same choices of sizes; the first ones that take much come after others."""
        most = self._estimator.fixed + COMFORTABLE
        large: list[dict[str, int]] = []
        for sizes in choices:
            if self._estimator.bytes(sizes) <= most:
                yield sizes
                continue
            large.append(sizes)
            if len(large) == _MOST_PUT_OFF:
                break
        yield from large
        yield from choices

    def plan(self, sizes: Mapping[str, int], *, chosen: bool = False) -> InputPlan | None:
        """The plan for given sizes; None if it would take too much memory.

        Args:
            sizes: Of the dynamic dimensions.
            chosen: True if they are other sizes than those that the user gave.
        """
        chosen = chosen or bool(self._free())
        needed = self._estimator.bytes(sizes)
        if needed > self._memory and chosen:
            self.smallest = min(needed, self.smallest or needed)
            return None
        return InputPlan(
            view=self._view,
            signature=self._signature,
            sizes=dict(sizes),
            shapes={spec.name: self._shape(spec, sizes) for spec in self._signature},
            domains=with_described(self._proto, input_domains(self._view, self._symbols.shapes, sizes)),
            arrays=self._arrays,
            seed=self.seed,
            estimate=needed,
            bound=self._memory if chosen and not self._arrays else None,
            relations=size_relations(self._symbols.dimensions, self._symbols.requirements, sizes),
        )

    def at_batch(self, plan: InputPlan, size: int) -> Iterator[InputPlan]:
        """A few ways to feed the model with another batch, of which one is enough; none that exceeds the limit."""
        return self._variation(plan, dict.fromkeys(self.batches, size))

    def empty_past(self, plan: InputPlan) -> Iterator[InputPlan] | None:
        """A few ways to feed the model with nothing as the past; None if it has none, or it is empty already."""
        empty = {name: 0 for name in self._past if name in self._movable and plan.sizes.get(name)}
        return self._variation(plan, empty) if empty else None

    def at_other_sizes(self, plan: InputPlan, names: Sequence[str]) -> Iterator[InputPlan]:
        """A few ways to give dimensions other sizes; the others keep theirs where the graph allows it.

        Those that feed at most half of the numbers of the plan come first, then those that feed fewer: they take less
        time, and the batch is varied at their sizes.

        If it allows no other sizes of a single dimension, it is given other ones all the same, for the runtime to
        refuse. None that is estimated to exceed the memory limit.
        """
        other = {name: alternatives(plan.sizes[name], self._candidates(name)) for name in names}
        choices = {name: [*sizes, plan.sizes[name]] for name, sizes in other.items()}
        direct = [
            {name: sizes[min(place, len(sizes) - 1)] for name, sizes in other.items()}
            for place in range(_MOST_VARIATIONS)
        ]
        found = [sizes for sizes in self._solutions(plan, choices, direct) if _differ(sizes, plan.sizes, names)]
        found.sort(
            key=lambda sizes: (
                len(names) - _differ(sizes, plan.sizes, names),
                self._fed(sizes) > self._fed(plan.sizes),
                2 * self._fed(sizes) > self._fed(plan.sizes),
            )
        )
        if not found and len(names) == 1:
            found = [{**plan.sizes, names[0]: size} for size in other[names[0]]]
        unique: dict[tuple[int, ...], Mapping[str, int]] = {}
        for sizes in found:
            unique.setdefault(tuple(sizes[name] for name in names), sizes)
        return self._plans_like(plan, unique.values())

    def regardless(self, plan: InputPlan, change: Mapping[str, int]) -> Iterator[InputPlan]:
        """A plan with other sizes that the graph does not seem to allow; none if it exceeds the memory limit."""
        return self._plans_like(plan, [{**plan.sizes, **change}])

    def fixed_by_graph(self, names: Sequence[str]) -> str:
        """What keeps dimensions from having other sizes, in words; empty if nothing in the graph does."""
        concerned = [
            each
            for each in self._symbols.requirements
            if each.kind == "equal" and not set(names).isdisjoint(each.left.dimensions() | each.right.dimensions())
        ]
        return concerned[0].reason if concerned else ""

    def refusal(self, failures: Sequence[Failure]) -> Failure:
        """Why no plan works, and what would help.

        Args:
            failures: What came of the plans that were tried.
        """
        if not failures and self.smallest is not None:
            message = (
                f"the smallest sizes that fit the model are estimated to take {self.smallest / 1e9:.1f} GB, and the "
                f"memory limit is {self._memory / 1e9:.1f} GB; raise it with --memory-limit"
            )
            return Failure(kind=FailureKind.MEMORY, stage=Stage.RUN, message=message, words="")
        if not failures:
            conflict = unfulfilled(self._symbols)
            message = f"no sizes of the dynamic dimensions fit the model: {conflict}" if conflict else _NOTHING_FITS
            failures = [Failure(kind=FailureKind.ERROR, stage=Stage.RUN, message=message, words="")]
        if all(map(is_out_of_memory, failures)):
            message = (
                f"{failures[-1].message}; the sizes of dynamic dimensions were chosen, and the memory limit is "
                f"{self._memory / 1e9:.1f} GB: raise it with --memory-limit, or give --shape"
            )
            return replace(failures[-1], message=message)
        if all(each.stage is Stage.LOAD or each.kind is FailureKind.UNREPRESENTABLE for each in failures):
            return failures[0]  # whatever its inputs are
        wanted = wanted_options(self._signature, self._symbols, self._given, self._arrays)
        if not wanted:
            return failures[0]
        message = f"the model accepts none of the inputs that were tried; give {wanted} ({failures[0].message})"
        return replace(failures[0], message=message)

    def _variation(self, plan: InputPlan, change: Mapping[str, int]) -> Iterator[InputPlan]:
        """Ways to change some sizes."""
        return self._plans_like(plan, self._solutions(plan, {}, [change], change))

    def _solutions(
        self,
        plan: InputPlan,
        choices: Mapping[str, Sequence[int]],
        direct: Sequence[Mapping[str, int]],
        fixed: Mapping[str, int] | None = None,
    ) -> Iterator[dict[str, int]]:
        """Sizes that the graph allows, none twice, those that change the fewest other dimensions of a plan first.

        Args:
            plan: Whose sizes are changed.
            choices: Dimension -> sizes to try.
            direct: Changes that are looked at first, with everything else as it is.
            fixed: Changes that are not a choice; other dimensions may have to take the same sizes.
        """
        requirements = self._symbols.requirements
        found = [{**plan.sizes, **change} for change in direct]
        found = [sizes for sizes in found if all(each.holds(sizes) for each in requirements)]
        yield from found
        settled = self._holding(plan) | dict(fixed or {})
        rest = {
            name: [plan.sizes[name], *(fixed or {}).values(), *self._candidates(name)]
            for name in self._movable
            if name not in choices and name not in settled
        }
        solved = list(islice(solve({**rest, **choices}, requirements, settled), _MOST_REJECTED))
        solved.sort(key=lambda sizes: _differ(sizes, plan.sizes, tuple(rest)))
        yield from (sizes for sizes in solved if sizes not in found)

    def _holding(self, plan: InputPlan) -> dict[str, int]:
        """The sizes that stay as they are in a plan."""
        return {name: size for name, size in plan.sizes.items() if name not in self._movable}

    def _plans_like(self, plan: InputPlan, found: Iterable[Mapping[str, int]]) -> Iterator[InputPlan]:
        """The first plans at other sizes that keep to the memory limit, on the values of one."""
        plans = (self.plan(sizes, chosen=True) for sizes in islice(found, _MOST_REJECTED))
        for other in islice((each for each in plans if each is not None), _MOST_VARIATIONS):
            other.mildness = plan.mildness
            other.domains |= {name: plan.domains[name] for name in plan.corrected}
            yield other

    @cached_property
    def _movable(self) -> list[str]:
        """The dimensions that can have other sizes than in the first draws."""
        return [name for name in self._places if name not in self._held]

    def _free(self) -> list[str]:
        names = [name for dims in self._symbols.dimensions.values() for name in dims.values()]
        return [name for name in dict.fromkeys(names) if name not in self._fixed]

    def _shape(self, spec: InputSpec, sizes: Mapping[str, int]) -> tuple[int, ...]:
        if spec.name in self._arrays or (spec.name in self._given and spec.shape is None):
            return tuple(self._given[spec.name])
        names = self._symbols.dimensions.get(spec.name, {})
        return tuple(
            each if isinstance(each, int) else sizes[names[axis]] for axis, each in enumerate(spec.shape or ())
        )

    def _fed(self, sizes: Mapping[str, int]) -> int:
        """How many numbers are fed."""
        return sum(prod(self._shape(spec, sizes)) for spec in self._signature)

    def _is_batch(self, name: str) -> bool:
        """A first axis, wherever it stands among inputs of two and more axes."""
        return is_batch(self._places[name])

    @cached_property
    def _past(self) -> set[str]:
        """Dimensions of inputs that something else is appended to."""
        inputs = {spec.name for spec in self._signature}
        found: set[str] = set()
        for node in self._view.nodes:
            if node.op_type == "Concat" and node.input[0] in inputs and len(set(node.input)) > 1:
                shape = self._symbols.shapes.get(node.input[0])
                axis = attribute(node, "axis", 0)
                if shape is not None and -len(shape) <= axis < len(shape):
                    size = shape[axis]
                    found |= set() if size is None else size.dimensions()
        return found

    def _candidates(self, name: str) -> Sequence[int]:
        if name in self._past:
            return _PAST
        spec, axis = self._places[name][0]
        if self._is_batch(name):
            return BATCHES
        return usual_sizes(spec.shape or (), axis)


def _differ(sizes: Mapping[str, int], before: Mapping[str, int], names: Sequence[str]) -> int:
    """How many of the dimensions have another size."""
    return sum(sizes[name] != before[name] for name in names)
