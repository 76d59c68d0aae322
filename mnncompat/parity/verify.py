"""Run two models on the same feeds and judge their outputs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from mnncompat.graph.model_file import from_proto, load
from mnncompat.mnn import Limits, interface
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.judge import Judge, agreement_on_data, problems_of, tolerances_by_output
from mnncompat.parity.real_data import Given, real_data
from mnncompat.parity.real_draws import Feeder, run_reference_on
from mnncompat.parity.recorded_noise import NoiseRecorder
from mnncompat.parity.reference import Reference
from mnncompat.parity.rounding import Rounding, inconclusive
from mnncompat.parity.runners import InputSpec, MnnRunner, OnnxRunner, input_signature, output_names
from mnncompat.parity.save_data import Saving
from mnncompat.parity.tolerance import REWRITE
from mnncompat.parity.undetermined import random_outputs, undetermined_outputs
from mnncompat.results.failures import Failure
from mnncompat.results.parity_report import OutputParity, ParityReport, RunnerFailure, Tolerance, UndeterminedOutput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from mnncompat.parity.runners import Runner

    Outputs = list[dict[str, np.ndarray]]

ORIGINAL = "the original under onnxruntime"
"""Name of the reference in `compare_models`."""

OnnxModel = Path | str | onnx.ModelProto


def verify(  # noqa: PLR0913 - options
    model: OnnxModel,
    mnn_file: Path,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    tolerance: Tolerance | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    seed: int = 0,
    memory: int | None = None,
    limits: Limits | None = None,
    save_data: Path | None = None,
) -> ParityReport:
    """Prove that an `.mnn` file computes what an ONNX model computes, ONNX Runtime being the reference.

    Args:
        model: The original ONNX model.
        mnn_file: The converted file.
        shapes: Shapes of inputs with dynamic dimensions; chosen when left out (see `mnncompat.parity.shapes`).
        inputs: Real data: arrays or paths by input name, or a series of feeds, see `mnncompat.parity.real_data`. They
            are draws beside the drawn ones; what is not given is drawn.
        tolerance: For every floating-point output; None is `FLOAT32`, or `FLOAT16` where the output is float16.
        tolerances: Overrides by output name.
        seed: What the feeds are drawn from.
        memory: Bytes that a run may take at sizes that are chosen; None for `mnncompat.parity.memory.default_limit`.
        limits: What MNN's child process may use; None for the default, with as much memory as `memory` allows.
        save_data: A folder for the feeds and the outputs of both sides, see `mnncompat.parity.save_data`.

    Returns:
        The verdict, per output and overall.

    Raises:
        UsageError: A shape, an array or an override does not fit the model.
        ModelError: The model cannot be read.
        RunnerError: MNN or ONNX Runtime is not installed.
        OutputError: The folder for the data cannot be written, or holds something else.
    """
    proto = (load(model) if isinstance(model, (str, Path)) else from_proto(model)).proto
    saving = None if save_data is None else Saving(save_data, model, mnn_file)
    limits = limits or Limits().with_memory(memory)
    random = random_outputs(proto)
    recorder = _recorder(proto, mnn_file, limits) if random else None
    subject = MnnRunner(mnn_file, outputs=output_names(proto), limits=limits)
    explain = partial(inconclusive, Rounding(lambda: _with_weights(model))) if tolerance is None else None
    # Rounding runs the original again, which draws other noise: it explains nothing about random outputs.
    judge = Judge(_tolerances(proto, tolerance, tolerances), explain, unexplained={*(tolerances or ()), *random})
    feeder = Feeder(proto, input_signature(proto), shapes or {}, real_data(inputs), seed=seed, memory=memory)
    reached = random if recorder is None else recorder.left
    return _compared(feeder, _recording(recorder, model), subject, judge, reached, recorder=recorder, saving=saving)


def compare_models(  # noqa: PLR0913 - options
    original: OnnxModel,
    rewritten: OnnxModel,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    tolerance: Tolerance | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    seed: int = 0,
    memory: int | None = None,
    folder: Path | None = None,
) -> ParityReport:
    """Prove that a rewritten ONNX model computes what the original computes, both under ONNX Runtime.

    Args:
        original: The reference.
        rewritten: The rewritten model. If it fixes a dimension that was dynamic, that size is fed.
        shapes: Shapes of inputs with dynamic dimensions; chosen when left out.
        inputs: Real data, as for `verify`.
        tolerance: For every floating-point output; None is `REWRITE`, or `FLOAT16` where the output is float16.
        tolerances: Overrides by output name.
        seed: What the feeds are drawn from.
        memory: Bytes that a run may take at sizes that are chosen.
        folder: Where the external data of models in memory lies.

    Returns:
        The verdict, per output and overall.

    Raises:
        UsageError: A shape, an array or an override does not fit the model.
        ModelError: A model cannot be read.
        RunnerError: ONNX Runtime is not installed, or a model is too large to be handed to it.
    """
    first, second = (load(each).proto if isinstance(each, (str, Path)) else each for each in (original, rewritten))
    signature = _narrowed(input_signature(first), input_signature(second))
    reference = OnnxRunner(original, name=ORIGINAL, folder=folder)
    subject = OnnxRunner(rewritten, name="the rewritten model under onnxruntime", folder=folder)
    judge = Judge(_tolerances(first, tolerance or REWRITE, tolerances))
    feeder = Feeder(first, signature, shapes or {}, real_data(inputs), seed=seed, memory=memory)
    return _compared(feeder, reference, subject, judge, random_outputs(first))


def _tolerances(
    model: onnx.ModelProto, tolerance: Tolerance | None, overrides: Mapping[str, Tolerance] | None
) -> dict[str, Tolerance]:
    half = {each.name for each in model.graph.output if each.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
    return tolerances_by_output(output_names(model), half, tolerance, overrides or {})


def compare_recorded(
    original: onnx.ModelProto,
    rewritten: onnx.ModelProto,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    seed: int = 0,
    memory: int | None = None,
) -> ParityReport:
    """Prove that a model whose noise became inputs computes what the original computes, fed with what that draws.

    Both run under ONNX Runtime, the original first. See `mnncompat.parity.recorded_noise`.

    Args:
        original: The reference, which draws.
        rewritten: What the rewrite `noise-as-input` made of it.
        shapes: Shapes of the original's inputs with dynamic dimensions; chosen when left out.
        inputs: Real data for the original's inputs, see `mnncompat.parity.real_data`.
        seed: What the feeds are drawn from.
        memory: Bytes that a run may take at sizes that are chosen.

    Returns:
        The verdict, per output and overall.

    Raises:
        UsageError: A shape or an array does not fit the model.
        RunnerError: ONNX Runtime is not installed, or a model is too large to be handed to it.
    """
    recorder = NoiseRecorder(original)
    judge = Judge(_tolerances(original, REWRITE, None))
    reference = OnnxRunner(recorder.model, name=ORIGINAL)
    subject = OnnxRunner(rewritten, name="the rewritten model under onnxruntime")
    signature = input_signature(original)
    own = {spec.name for spec in signature}
    given = {name: each for name, each in (shapes or {}).items() if name in own}
    feeder = Feeder(original, signature, given, real_data(inputs).of(own), seed=seed, memory=memory)
    return _compared(feeder, reference, subject, judge, recorder.left, recorder=recorder)


def _recording(recorder: NoiseRecorder | None, model: OnnxModel) -> OnnxRunner:
    """The reference, which gives out its noise if somebody records it."""
    if recorder is None:
        return OnnxRunner(model)
    return OnnxRunner(recorder.model, folder=None if isinstance(model, onnx.ModelProto) else Path(model).parent)


def _recorder(model: onnx.ModelProto, mnn_file: Path, limits: Limits) -> NoiseRecorder | None:
    """What records the noise of a model, if the file takes it as inputs; else None."""
    recorder = NoiseRecorder(model)
    found = interface(mnn_file, limits=limits)
    taken = set() if isinstance(found, Failure) else {each.name for each in found.inputs}
    return recorder if recorder.names and recorder.names <= taken else None


def _with_weights(model: OnnxModel) -> onnx.ModelProto:
    if isinstance(model, onnx.ModelProto):
        return model
    loaded = load(model)
    loaded.load_weights()
    return loaded.proto


def _compared(
    feeder: Feeder,
    reference: Runner,
    subject: Runner,
    judge: Judge,
    reached: Mapping[str, tuple[str, ...]],
    *,
    recorder: NoiseRecorder | None = None,
    saving: Saving | None = None,
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
    """
    found = run_reference_on(feeder, reference)
    expected = found.outputs
    if isinstance(expected, Failure):
        return _report(feeder, found, found.feeds, failure=RunnerFailure(runner=reference.name, failure=expected))
    unknown, remarks = undetermined_outputs(reached, reference, found.feeds, expected)
    found = replace(found, notes=(*found.notes, *remarks))
    fed = found.feeds if recorder is None else recorder.with_noise(found.feeds, expected)
    actual = _ran(subject, [feed.arrays for feed in fed], patient=found.evaluated)
    if isinstance(actual, Failure):
        report = _report(feeder, found, fed, failure=RunnerFailure(runner=subject.name, failure=actual))
        actual = []
    else:
        outputs = judge.outputs(found.feeds, expected, actual, without={each.name for each in unknown})
        report = _report(feeder, found, fed, outputs=outputs, undetermined=unknown)
    if saving is not None:
        saving.save(fed, expected, actual, report, judge.tolerances)
    return replace(report, notes=(*report.notes, *judge.notes, *agreement_on_data(report)))


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
    actual = subject.run(feeds)
    if isinstance(actual, Failure) and patient and isinstance(subject, OnnxRunner):
        return subject.evaluate(feeds) or actual
    return actual


def _narrowed(signature: Sequence[InputSpec], other: Sequence[InputSpec]) -> tuple[InputSpec, ...]:
    """The first signature, with the sizes that the other one fixes."""
    fixed = {spec.name: spec.shape for spec in other}
    return tuple(
        InputSpec(name=spec.name, dtype=spec.dtype, shape=_narrow(spec.shape, fixed.get(spec.name)))
        for spec in signature
    )


def _narrow(
    shape: tuple[int | str | None, ...] | None, other: tuple[int | str | None, ...] | None
) -> tuple[int | str | None, ...] | None:
    if shape is None or other is None or len(shape) != len(other):
        return shape if shape is not None else other
    return tuple(
        there if isinstance(there, int) and not isinstance(here, int) else here
        for here, there in zip(shape, other, strict=True)
    )
