"""What a model is fed with: sizes that its nodes allow, and values in the domains that its graph says.

planner = InputPlanner(proto, signature, given, arrays, seed=0, memory=2_000_000_000)
for plan in planner.plans():          # the preferred sizes first, within the memory limit
feeds = plan.feeds(DRAWS)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import onnx

from mnncompat.errors import UsageError
from mnncompat.graph.model_file import Model
from mnncompat.graph.protos import attribute
from mnncompat.inference.inlined_functions import without_functions
from mnncompat.inference.input_domains import input_domains
from mnncompat.inference.model_view import view_model
from mnncompat.inference.noise_inputs import with_described
from mnncompat.inference.size_solver import solve
from mnncompat.inference.symbolic_shapes import SymbolicShapes, symbolic_shapes
from mnncompat.parity.input_plan import InputPlan
from mnncompat.parity.memory import Estimator, is_out_of_memory
from mnncompat.results.failures import Failure, FailureKind, Stage

if TYPE_CHECKING:
    from mnncompat.parity.runners import InputSpec

BATCHES = (1, 2, 3)
"""Sizes that a dynamic batch is given."""
_STATE, _IMAGE, _VIDEO = 3, 4, 5
"""Ranks of a state [layers, batch, features], an image and a video."""
_CHANNELS = (3, 1)
_HEIGHTS = (64, 224, 32, 128, 256, 640, 48, 16)
_WIDTHS = (96, 64, 224, 32, 128, 256, 640, 320, 48, 16)
_LENGTHS = (16, 8, 32, 64, 128, 512, 1, 4, 2, 16000)
_PAST = (8, 0, 16, 4, 1)
_NOTHING_FITS = "no sizes were found that fit the model"
_MOST_PLANS = 10
_MOST_REJECTED = 64
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
        self._fixed = _fixed(self._symbols, given)

    @property
    def batches(self) -> list[str]:
        """The dimensions that are the batch, as far as they are free; an exporter may give it several names."""
        return [name for name in self._free() if self._is_batch(name)]

    def plans(self) -> Iterator[InputPlan]:
        """Ways to feed the model, the preferred ones first; none that is estimated to exceed the memory limit."""
        candidates = {name: self._candidates(name) for name in self._free()}
        found = rejected = 0
        for sizes in solve(candidates, self._symbols.requirements, self._fixed):
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

    def plan(self, sizes: Mapping[str, int]) -> InputPlan | None:
        """The plan for given sizes; None if it would take too much memory."""
        needed = self._estimator.bytes(sizes)
        if needed > self._memory and self._free():
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
            bound=self._memory if self._free() and not self._arrays else None,
        )

    def variations(self, plan: InputPlan) -> Iterator[tuple[str, Iterator[InputPlan]]]:
        """The plan with other batch sizes, and with an empty past where there is one.

        Yields:
            What is other, and a few ways to choose the rest, of which one is enough; none if the graph or the memory
            limit allows none.
        """
        for size in BATCHES[1:] if self.batches else ():
            yield f"batch {size}", self._variation(plan, dict.fromkeys(self.batches, size))
        empty = {name: 0 for name in self._past if name in self._free() and plan.sizes.get(name)}
        if empty:
            yield "empty past", self._variation(plan, empty)

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
            conflict = self._conflict()
            message = f"no sizes of the dynamic dimensions fit the model: {conflict}" if conflict else _NOTHING_FITS
            failures = [Failure(kind=FailureKind.ERROR, stage=Stage.RUN, message=message, words="")]
        if all(map(is_out_of_memory, failures)):
            message = (
                f"{failures[-1].message}; the sizes of dynamic dimensions were chosen, and the memory limit is "
                f"{self._memory / 1e9:.1f} GB: raise it with --memory-limit, or give --shape"
            )
            return replace(failures[-1], message=message)
        wanted = self._wanted()
        if not wanted:
            return failures[0]
        message = f"the model accepts none of the inputs that were tried; give {wanted} ({failures[0].message})"
        return replace(failures[0], message=message)

    def _conflict(self) -> str:
        """A requirement that no size fulfils, in words."""
        found = next((each for each in self._symbols.requirements if each.kind == "equal"), None)
        return "" if found is None else f"{found.reason} requires {found.left} = {found.right}"

    def _wanted(self) -> str:
        """The options that say shapes and data of all inputs that were guessed, in one command."""
        shapes = [
            f"--shape {spec.name}:{','.join(str(each) for each in self._named(spec))}"
            for spec in self._signature
            if spec.name not in self._given and self._symbols.dimensions.get(spec.name)
        ]
        data = [
            f"--input {spec.name}=FILE.npy"
            for spec in self._signature
            if spec.name not in self._arrays and spec.dtype is not None and spec.dtype.kind in "iu"
        ]
        ways = [f"shapes, {' '.join(shapes)} with numbers for the names"] if shapes else []
        return " and ".join([*ways, *([f"data, {' '.join(data)}"] if data else [])])

    def _named(self, spec: InputSpec) -> list[int | str]:
        names = self._symbols.dimensions.get(spec.name, {})
        return [names.get(axis, dim or 0) for axis, dim in enumerate(spec.shape or ())]

    def _variation(self, plan: InputPlan, change: Mapping[str, int]) -> Iterator[InputPlan]:
        free = {name: [plan.sizes[name]] for name in self._free() if name not in change}
        for name, first in free.items():
            first += [size for size in (*change.values(), *self._candidates(name)) if size not in first]
        found = solve(free, self._symbols.requirements, self._fixed | dict(change))
        for other in filter(None, map(self.plan, islice(found, _MOST_VARIATIONS))):
            other.mildness = plan.mildness
            other.domains |= {name: plan.domains[name] for name in plan.corrected}
            yield other

    def _free(self) -> list[str]:
        names = [name for dims in self._symbols.dimensions.values() for name in dims.values()]
        return [name for name in dict.fromkeys(names) if name not in self._fixed]

    def _shape(self, spec: InputSpec, sizes: Mapping[str, int]) -> tuple[int, ...]:
        if spec.name in self._given:
            return tuple(self._given[spec.name])
        names = self._symbols.dimensions.get(spec.name, {})
        return tuple(
            each if isinstance(each, int) else sizes[names[axis]] for axis, each in enumerate(spec.shape or ())
        )

    def _places(self, name: str) -> Iterator[tuple[InputSpec, int]]:
        """Where a dimension stands: inputs and axes."""
        for spec in self._signature:
            for axis, other in self._symbols.dimensions.get(spec.name, {}).items():
                if other == name:
                    yield spec, axis

    def _is_batch(self, name: str) -> bool:
        """A first axis, wherever it stands among inputs of two and more axes."""
        places = list(self._places(name))
        return bool(places) and places[0][1] == 0

    @cached_property
    def _past(self) -> set[str]:
        """Dimensions of inputs that something is appended to."""
        inputs = {spec.name for spec in self._signature}
        found: set[str] = set()
        for node in self._view.nodes:
            if node.op_type == "Concat" and node.input[0] in inputs:
                shape = self._symbols.shapes.get(node.input[0])
                axis = attribute(node, "axis", 0)
                if shape is not None and -len(shape) <= axis < len(shape):
                    size = shape[axis]
                    found |= set() if size is None else size.dimensions()
        return found

    def _candidates(self, name: str) -> Sequence[int]:
        if name in self._past:
            return _PAST
        spec, axis = next(self._places(name))
        if self._is_batch(name):
            return BATCHES
        return _sizes_of(spec.shape or (), axis)


def _sizes_of(shape: tuple[int | str | None, ...], axis: int) -> Sequence[int]:
    rank = len(shape)
    if rank == _STATE and axis == 1 and isinstance(shape[0], int) and isinstance(shape[2], int):
        return (*BATCHES, *_LENGTHS)
    if rank not in (_IMAGE, _VIDEO):
        return _LENGTHS
    channels_last = isinstance(shape[-1], int) and not isinstance(shape[1], int)
    spatial = axis if channels_last else axis - 1
    if spatial == 0 or spatial == rank - 1:
        return _CHANNELS
    return _WIDTHS if spatial == rank - 2 else _HEIGHTS


def _fixed(symbols: SymbolicShapes, given: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Sizes that the given shapes fix.

    Raises:
        UsageError: They give one dimension two sizes.
    """
    sizes: dict[str, int] = {}
    for name, shape in given.items():
        for axis, called in symbols.dimensions.get(name, {}).items():
            if sizes.setdefault(called, shape[axis]) != shape[axis]:
                raise UsageError(
                    f"the given shapes make {called!r} both {sizes[called]} and {shape[axis]}",
                    hint="give it the same size in every input",
                )
    return sizes
