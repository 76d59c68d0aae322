"""The draws that half precision is predicted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnncompat.diagnosing.half_precision.findings import with_predictions
from mnncompat.diagnosing.half_precision.prediction import Predictor
from mnncompat.diagnosing.half_precision.simulating_runner import SimulatingRunner
from mnncompat.errors import RunnerError
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.real_draws import Feeder, run_on_data
from mnncompat.parity.reference import Reference, run_reference
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.signature import input_signature
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model
    from mnncompat.mnn import Limits
    from mnncompat.parity import RealData
    from mnncompat.parity.runners import Runner
    from mnncompat.results.diagnostics import CheckResult

ORDER = ("normal", "large", "uniform", "zeros", "negative")
"""The draws of `verify`, those first that tell most of half precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a model is fed with.

    Attributes:
        data: Real data.
        draws: Number of drawn inputs beside them, at most as many as there are in `ORDER`.
        shapes: Shapes of inputs with dynamic dimensions.
        seed: Of the drawn inputs.
        memory: Bytes that a run may take at sizes that are chosen.
    """

    data: RealData
    draws: int
    shapes: Mapping[str, tuple[int, ...]]
    seed: int = 0
    memory: int | None = None


def predicted(model: Model, result: CheckResult, inputs: Inputs, limits: Limits) -> CheckResult:
    """Add to a check what half precision does on each of the draws.

    Args:
        model: The model.
        result: Of the check.
        inputs: What it is fed with.
        limits: What MNN's converter may use.

    Raises:
        RunnerError: ONNX Runtime cannot run the model.
        UsageError: A shape or an array does not fit.
    """
    runner = SimulatingRunner(Predictor(model, limits=limits), OnnxRunner(model.path or model.skeleton))
    found = [runner.prediction(each) for each in drawn(model, inputs, runner)]
    return with_predictions(result, model, found)


def drawn(model: Model, inputs: Inputs, runner: Runner | None = None) -> Iterator[NamedFeeds]:
    """The draws; the model is run once for each that is not given as a whole.

    Args:
        model: The model.
        inputs: What it is fed with.
        runner: Runs it; None for ONNX Runtime.

    Raises:
        RunnerError: It cannot.
        UsageError: A shape or an array does not fit.
    """
    signature = input_signature(model.skeleton)
    feeder = Feeder(model.skeleton, signature, inputs.shapes, inputs.data, seed=inputs.seed, memory=inputs.memory)
    runner = runner or OnnxRunner(model.path or model.skeleton)
    incomplete = [each for each in feeder.draws if not feeder.is_complete(each)]
    if incomplete:
        yield from _ran(run_on_data(feeder, runner, feeder.draws))
    else:
        yield from (NamedFeeds(name=each.name, arrays=each.arrays) for each in feeder.draws)
    for name in ORDER[: inputs.draws]:
        yield from _ran(run_reference(feeder.planner(feeder.shapes, {}), runner, draws=(name,)))


def _ran(found: Reference) -> list[NamedFeeds]:
    if isinstance(found.outputs, Failure):
        raise RunnerError(
            f"ONNX Runtime cannot run the model: {found.outputs.message}",
            hint=found.outputs.way_to_a_reference(
                "give the shapes of dynamic inputs with --shape, or data with --input"
            ),
        )
    return found.feeds
