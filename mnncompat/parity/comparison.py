"""One comparison: run the reference, then the other side on the same feeds, and judge the outputs."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from mnncompat.graph.external_data import follow_links
from mnncompat.graph.model_file import Model, from_proto, load
from mnncompat.graph.payloads import forget_pages
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.judge import Judge, agreement_on_data, problems_of, tolerances_by_output
from mnncompat.parity.power.analysis import PowerAnalysis
from mnncompat.parity.real_draws import Feeder, run_reference_on
from mnncompat.parity.recorded_noise import NoiseRecorder
from mnncompat.parity.reference import Reference
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.save_data import Saving
from mnncompat.parity.scores import ScoringRunner
from mnncompat.parity.session_check import NO_SESSION, SessionCheck
from mnncompat.parity.signature import output_names
from mnncompat.parity.size_coverage import coverage
from mnncompat.parity.speed import Timings, speed_of
from mnncompat.parity.undetermined import undetermined_outputs
from mnncompat.results.failures import Failure
from mnncompat.results.parity_report import OutputParity, ParityReport, RunnerFailure, Tolerance, UndeterminedOutput

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import numpy as np

    from mnncompat.parity.device_check import DeviceCheck
    from mnncompat.parity.runners import Runner

    Outputs = list[dict[str, np.ndarray]]

OnnxModel = Path | str | onnx.ModelProto


def compared(  # noqa: PLR0913 - all that a comparison is made of
    feeder: Feeder,
    reference: OnnxRunner,
    subject: Runner,
    judge: Judge,
    reached: Mapping[str, tuple[str, ...]],
    *,
    recorder: NoiseRecorder | None = None,
    saving: Saving | None = None,
    analysis: PowerAnalysis | None = None,
    session: SessionCheck = NO_SESSION,
    device: DeviceCheck | None = None,
) -> ParityReport:
    """Run both sides and judge.

    Args:
        feeder: Finds the inputs.
        reference: The original.
        subject: What is compared with it.
        judge: Of the outputs.
        reached: Outputs that depend on random nodes whose numbers the subject is not fed with, and these nodes.
        recorder: Of the noise that the reference draws and the subject is fed with.
        saving: Where the data go.
        analysis: Of the power; None to leave it out.
        session: Of MNN's Session API.
        device: Of a device; None for none.
    """
    found, took = _timed(feeder, reference)
    expected = found.outputs
    if isinstance(expected, Failure):
        return _report(feeder, found, found.feeds, failure=RunnerFailure(runner=reference.name, failure=expected))
    unknown, remarks = undetermined_outputs(reached, reference, found.feeds, expected)
    found = replace(found, notes=(*found.notes, *remarks))
    random = {each.name for each in unknown}
    if analysis is not None:
        found, expected = analysis.measure(reference, found, expected, _judgeable(judge, expected, random), took=took)
    reference.release()
    session.choose(found.feeds, expected)
    fed = found.feeds if recorder is None else recorder.with_noise(found.feeds, expected)
    actual = _ran(subject, [feed.arrays for feed in fed], patient=found.evaluated)
    if isinstance(actual, Failure):
        report, actual = _failed(feeder, found, fed, subject, actual), []
    else:
        outputs = _judged(judge, analysis, found, expected, actual, without=random)
        report = _report(feeder, found, fed, outputs=outputs, undetermined=unknown)
        report = _elsewhere(report, session, device, fed, expected, actual, judge.tolerances)
    power = None if analysis is None else analysis.conclude(report.outputs, judge.scores.labels)
    dimensions = feeder.dimensions(found.settled)
    speed = speed_of(found.feeds, reference.timings, fed, _timings(subject))
    report = replace(report, sizes=coverage(report, dimensions), speed=speed, power=power)
    report = replace(report, notes=(*report.notes, *judge.facts))
    if saving is not None:
        saving.save(fed, expected, actual, report, judge.tolerances, dimensions, judge.scores)
    return replace(report, notes=(*report.notes, *judge.notes, *agreement_on_data(report)))


def _failed(
    feeder: Feeder, found: Reference, fed: Sequence[NamedFeeds], subject: Runner, failure: Failure
) -> ParityReport:
    """On a subject that gave no outputs."""
    found = replace(found, notes=(*found.notes, *_at_first_sizes(subject, found, fed)))
    return _report(feeder, found, fed, failure=RunnerFailure(runner=subject.name, failure=failure))


def _elsewhere(
    report: ParityReport,
    session: SessionCheck,
    device: DeviceCheck | None,
    fed: Sequence[NamedFeeds],
    expected: Outputs,
    actual: Outputs,
    tolerances: Mapping[str, Tolerance],
) -> ParityReport:
    """With what MNN's Session gives, and a device."""
    report = replace(report, session=session.conclude(report, expected, actual, tolerances))
    return report if device is None else replace(report, device=device.conclude(report, fed, expected, tolerances))


def _timed(feeder: Feeder, reference: OnnxRunner) -> tuple[Reference, float]:
    """What the reference computed, and its processor time in seconds."""
    start = time.process_time()
    found = run_reference_on(feeder, reference)
    return found, time.process_time() - start


def _timings(subject: Runner) -> Timings | None:
    """What MNN's runs took."""
    return subject.timings if isinstance(subject, ScoringRunner) else None


def _judged(
    judge: Judge,
    analysis: PowerAnalysis | None,
    found: Reference,
    expected: Outputs,
    actual: Outputs,
    *,
    without: Collection[str],
) -> tuple[OutputParity, ...]:
    outputs = judge.outputs(found.feeds, expected, actual, without=without)
    return outputs if analysis is None else analysis.before_functions(outputs, actual[0])


def _judgeable(judge: Judge, expected: Outputs, random: Collection[str]) -> dict[str, Tolerance]:
    """The tolerances of the outputs that can be compared."""
    judge.fit(expected)
    return {name: each for name, each in judge.tolerances.items() if name not in random}


def _at_first_sizes(subject: Runner, found: Reference, fed: Sequence[NamedFeeds]) -> Iterator[str]:
    """A note if a model that fails runs at the first sizes alone."""
    first = fed[: len(fed) - found.varied]
    if not found.varied or isinstance(_ran(subject, [feed.arrays for feed in first], patient=found.evaluated), Failure):
        return
    other = ", ".join(feed.name for feed in fed[len(first) :])
    yield (
        f"without the draws at other sizes ({other}) {subject.name} gives outputs: it fails at these; if they are not "
        "needed, `mnncompat fix --shape` fixes the sizes in the model"
    )


def _report(
    feeder: Feeder,
    found: Reference,
    fed: Sequence[NamedFeeds],
    *,
    outputs: tuple[OutputParity, ...] = (),
    failure: RunnerFailure | None = None,
    undetermined: Sequence[UndeterminedOutput] = (),
) -> ParityReport:
    """What was found, without the judge's notes."""
    failures = () if failure is None else (failure,)
    return ParityReport(
        outputs=outputs,
        failures=failures,
        problems=problems_of(outputs, failures, undetermined),
        draws=tuple(feed.name for feed in fed),
        shapes=tuple(feed.shapes for feed in fed),
        notes=found.notes,
        seed=feeder.seed,
        assumptions=found.assumptions,
        given=found.given,
        undetermined=tuple(undetermined),
    )


def _ran(subject: Runner, feeds: Sequence[Mapping[str, np.ndarray]], *, patient: bool) -> Outputs | Failure:
    """Run a model; if the reference needed the reference evaluator, the other model may use it as well."""
    forget_pages()  # before it takes its memory
    actual = subject.run(feeds)
    if isinstance(actual, Failure) and patient and isinstance(subject, OnnxRunner):
        return subject.evaluate(feeds) or actual
    return actual


def tolerances_of(
    model: onnx.ModelProto, tolerance: Tolerance | None, overrides: Mapping[str, Tolerance] | None
) -> dict[str, Tolerance]:
    """The tolerance of each output: the user's, or the default of its type."""
    half = {each.name for each in model.graph.output if each.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
    return tolerances_by_output(output_names(model), half, tolerance, overrides or {})


def loaded(model: OnnxModel, read: Model | None = None) -> tuple[onnx.ModelProto, Path | None]:
    """A model that runs in memory: its weights as it has them, and the folder of its external data if it is a file.

    Args:
        model: The model.
        read: The same as it was read already, to do so but once; taken if it is whole.

    Raises:
        ModelError: It cannot be read.
    """
    if isinstance(model, onnx.ModelProto):
        return from_proto(model).skeleton, None
    if read is not None and read.weights_loaded and not read.external:
        return read.skeleton, Path(model).parent
    proto = load(model).skeleton
    return proto, follow_links(proto, Path(model))


def with_weights(model: OnnxModel) -> onnx.ModelProto:
    """The model, its external data loaded."""
    if isinstance(model, onnx.ModelProto):
        return model
    loaded = load(model)
    loaded.load_weights()
    return loaded.skeleton
