"""The reference on the user's data and on drawn inputs.

Every sample is a draw of its own, in which inputs without data are drawn. Beside them stand the draws in which
everything is drawn, with the shapes of the first sample; where the model does not accept them, inputs with data keep
those of the first sample, and where it does not accept that either, the data stand alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from onnx import GraphProto

from mnncompat.graph.model_file import Model
from mnncompat.inference.model_view import view_model
from mnncompat.inference.shape_propagation import Propagation
from mnncompat.parity.given_inputs import GivenDraw, checked, given_draws
from mnncompat.parity.input_plan import InputPlan, NamedFeeds
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.memory import default_limit
from mnncompat.parity.plan_runs import run_plan
from mnncompat.parity.reference import Reference, run_reference
from mnncompat.parity.sampling import DRAWS
from mnncompat.parity.size_coverage import dimensions_of, places
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import onnx

    from mnncompat.parity.real_data import RealData
    from mnncompat.parity.runners import Runner
    from mnncompat.parity.signature import InputSpec
    from mnncompat.parity.size_coverage import Dimension


class Feeder:
    """What a model is fed with.

    Args:
        proto: The model; weights need not be loaded.
        signature: Its inputs.
        shapes: Shapes that the user gave, by input name.
        data: Data that the user gave.
        seed: What the values are drawn from.
        memory: Bytes that a run may take at sizes that are chosen; None for `mnncompat.parity.memory.default_limit`.

    Raises:
        UsageError: A shape or an array does not fit the model.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        signature: Sequence[InputSpec],
        shapes: Mapping[str, tuple[int, ...]],
        data: RealData,
        *,
        seed: int = 0,
        memory: int | None = None,
    ) -> None:
        self.draws = given_draws(signature, shapes, data)
        """Those of the user's data."""
        self.shapes = self.draws[0].shapes if self.draws else checked(signature, shapes, {})[0]
        """Shapes that drawn inputs have, where the user says them."""
        self._proto, self._signature = _with_ranks(
            proto, signature, [each.shapes for each in self.draws] or [self.shapes]
        )
        self.only = data.only
        self.seed = seed
        self._memory = default_limit() if memory is None else memory

    def planner(self, shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, np.ndarray]) -> InputPlanner:
        """What finds the inputs that are not given."""
        return InputPlanner(self._proto, self._signature, shapes, arrays, seed=self.seed, memory=self._memory)

    def dimensions(self, settled: Mapping[str, str]) -> tuple[Dimension, ...]:
        """The dynamic dimensions.

        Args:
            settled: Why one of them has no other sizes, by its name.
        """
        view = view_model(Model(proto=self._proto)).main
        assert isinstance(view.graph, GraphProto)  # noqa: S101 - the main graph
        named = Propagation(view, infer=False).declare_inputs(view.graph)
        return dimensions_of(places(self._signature, named), settled)

    def is_complete(self, draw: GivenDraw) -> bool:
        """Whether every input is given."""
        return all(spec.name in draw.arrays for spec in self._signature)


def _with_ranks(
    proto: onnx.ModelProto, signature: Sequence[InputSpec], given: Sequence[Mapping[str, tuple[int, ...]]]
) -> tuple[onnx.ModelProto, Sequence[InputSpec]]:
    """Inputs of unknown rank have that of the shapes that were given, if they have one; their axes are then dynamic."""
    ranks = {spec.name: {len(shapes[spec.name]) for shapes in given} for spec in signature if spec.shape is None}
    known = {name: each.pop() for name, each in ranks.items() if len(each) == 1}
    if not known:
        return proto, signature
    declared = type(proto)()
    declared.CopyFrom(proto)
    for value in declared.graph.input:
        for _ in range(known.get(value.name, 0)):
            value.type.tensor_type.shape.dim.add()
    found = (replace(spec, shape=(None,) * known[spec.name]) if spec.name in known else spec for spec in signature)
    return declared, tuple(found)


def run_reference_on(feeder: Feeder, runner: Runner) -> Reference:
    """Run the reference on the user's data and on drawn inputs; a failure on the data is the result."""
    if not feeder.draws:
        return run_reference(feeder.planner(feeder.shapes, {}), runner)
    given = run_on_data(feeder, runner, feeder.draws)
    if isinstance(given.outputs, Failure) or feeder.only:
        return given
    drawn = _drawn(feeder, runner)
    if isinstance(drawn.outputs, Failure):
        reason = drawn.outputs.words.strip().partition("\n")[0] or drawn.outputs.message
        note = f"drawn inputs: left out beside the data, the model does not accept them ({reason})"
        return replace(given, notes=(*given.notes, note))
    return replace(
        drawn,
        feeds=[*given.feeds, *drawn.feeds],
        outputs=[*given.outputs, *drawn.outputs],
        notes=(*given.notes, *drawn.notes),
        evaluated=given.evaluated or drawn.evaluated,
        given=given.given,
    )


def run_on_data(feeder: Feeder, runner: Runner, draws: Sequence[GivenDraw]) -> Reference:
    """Run the reference on draws of the user's data alone."""
    plans: dict[object, InputPlan] = {}
    found = Reference(feeds=[], outputs=[])
    for draw in draws:
        one = _complete(draw, runner) if feeder.is_complete(draw) else _completed(feeder, draw, runner, plans)
        if isinstance(one.outputs, Failure) or isinstance(found.outputs, Failure):
            return _told(one, draw.name if len(draws) > 1 else "")
        found = replace(
            found,
            feeds=[*found.feeds, NamedFeeds(name=draw.name, arrays=one.feeds[0].arrays)],
            outputs=[*found.outputs, one.outputs[0]],
            evaluated=found.evaluated or one.evaluated,
            assumptions=found.assumptions or one.assumptions,
            given=(*found.given, draw.name),
        )
    return found


def _told(failed: Reference, draw: str) -> Reference:
    if not draw or not isinstance(failed.outputs, Failure):
        return failed
    return replace(failed, outputs=replace(failed.outputs, message=f"{draw}: {failed.outputs.message}"))


def _complete(draw: GivenDraw, runner: Runner) -> Reference:
    """A draw in which every input is given. If ONNX Runtime fails, ONNX's reference evaluator is asked."""
    feeds = [NamedFeeds(name=draw.name, arrays=draw.arrays)]
    outputs = runner.run([draw.arrays])
    evaluate = getattr(runner, "evaluate", None)
    if isinstance(outputs, Failure) and evaluate is not None:
        evaluated = evaluate([draw.arrays])
        if evaluated is not None:
            return Reference(feeds=feeds, outputs=evaluated, evaluated=True)
    return Reference(feeds=feeds, outputs=outputs)


def _completed(feeder: Feeder, draw: GivenDraw, runner: Runner, plans: dict[object, InputPlan]) -> Reference:
    """A draw whose other inputs are drawn; samples of the same shapes share what was found for the first of them."""
    key = (frozenset(draw.shapes.items()), frozenset(draw.arrays))
    if key in plans:
        plan = replace(plans[key], arrays=draw.arrays)
        again = run_plan(plan, runner, DRAWS[:1])
        if not isinstance(again, Failure):
            return Reference(feeds=again[0], outputs=again[1], assumptions=plan.assumptions())
    found = run_reference(feeder.planner(draw.shapes, draw.arrays), runner, draws=DRAWS[:1])
    if found.plan is not None:
        plans[key] = found.plan
    return found


def _drawn(feeder: Feeder, runner: Runner) -> Reference:
    found = run_reference(feeder.planner(feeder.shapes, {}), runner)
    first = feeder.draws[0]
    if isinstance(found.outputs, Failure) and not feeder.is_complete(first):
        return run_reference(feeder.planner(feeder.shapes, first.arrays), runner)
    return found
