"""Run two models on the same feeds and judge their outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from mnncompat.errors import UsageError
from mnncompat.graph.model_file import load
from mnncompat.mnn import Limits, interface
from mnncompat.parity.given_inputs import checked
from mnncompat.parity.input_plan import InputPlanner, NamedFeeds
from mnncompat.parity.memory import default_limit
from mnncompat.parity.metrics import compare
from mnncompat.parity.recorded_noise import NoiseRecorder
from mnncompat.parity.reference import Reference, run_reference
from mnncompat.parity.rounding import Rounding, inconclusive
from mnncompat.parity.runners import InputSpec, MnnRunner, OnnxRunner, input_signature, output_names
from mnncompat.parity.tolerance import FLOAT16, FLOAT32, REWRITE
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
    inputs: Mapping[str, np.ndarray] | None = None,
    tolerance: Tolerance | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    seed: int = 0,
    memory: int | None = None,
    limits: Limits | None = None,
) -> ParityReport:
    """Prove that an `.mnn` file computes what an ONNX model computes, ONNX Runtime being the reference.

    Args:
        model: The original ONNX model.
        mnn_file: The converted file.
        shapes: Shapes of inputs with dynamic dimensions; chosen when left out (see `mnncompat.parity.shapes`).
        inputs: Real data, by input name. What is not given is drawn.
        tolerance: For every floating-point output; None is `FLOAT32`, or `FLOAT16` where the output is float16.
        tolerances: Overrides by output name.
        seed: What the feeds are drawn from.
        memory: Bytes that a run may take at sizes that are chosen; None for `mnncompat.parity.memory.default_limit`.
        limits: What MNN's child process may use.

    Returns:
        The verdict, per output and overall.

    Raises:
        UsageError: A shape, an array or an override does not fit the model.
        ModelError: The model cannot be read.
        RunnerError: MNN or ONNX Runtime is not installed.
    """
    proto = load(model).proto if isinstance(model, (str, Path)) else model
    recorder = _recorder(proto, mnn_file, limits or Limits())
    reference = _recording(recorder, model)
    subject = MnnRunner(mnn_file, outputs=output_names(proto), limits=limits or Limits())
    rounding = Rounding(lambda: _with_weights(model)) if tolerance is None else None
    judge = _Judge(proto, tolerance, tolerances or {}, rounding)
    planner = _planner(proto, input_signature(proto), shapes or {}, inputs or {}, seed, memory)
    return _compared(planner, reference, subject, judge, recorder)


def compare_models(  # noqa: PLR0913 - options
    original: OnnxModel,
    rewritten: OnnxModel,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
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
        inputs: Real data, by input name.
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
    judge = _Judge(first, tolerance or REWRITE, tolerances or {})
    return _compared(_planner(first, signature, shapes or {}, inputs or {}, seed, memory), reference, subject, judge)


def compare_recorded(
    original: onnx.ModelProto,
    rewritten: onnx.ModelProto,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
    memory: int | None = None,
) -> ParityReport:
    """Prove that a model whose noise became inputs computes what the original computes, fed with what that draws.

    Both run under ONNX Runtime, the original first. See `mnncompat.parity.recorded_noise`.

    Args:
        original: The reference, which draws.
        rewritten: What the rewrite `noise-as-input` made of it.
        shapes: Shapes of the original's inputs with dynamic dimensions; chosen when left out.
        inputs: Real data for the original's inputs.
        seed: What the feeds are drawn from.
        memory: Bytes that a run may take at sizes that are chosen.

    Returns:
        The verdict, per output and overall.

    Raises:
        UsageError: A shape or an array does not fit the model.
        RunnerError: ONNX Runtime is not installed, or a model is too large to be handed to it.
    """
    recorder = NoiseRecorder(original)
    judge = _Judge(original, REWRITE, {})
    reference = OnnxRunner(recorder.model, name=ORIGINAL)
    subject = OnnxRunner(rewritten, name="the rewritten model under onnxruntime")
    own = {spec.name for spec in input_signature(original)}
    given = {name: each for name, each in (shapes or {}).items() if name in own}
    arrays = {name: each for name, each in (inputs or {}).items() if name in own}
    planner = _planner(original, input_signature(original), given, arrays, seed, memory)
    return _compared(planner, reference, subject, judge, recorder)


def _recording(recorder: NoiseRecorder | None, model: OnnxModel) -> OnnxRunner:
    """The reference, which gives out its noise if somebody records it."""
    if recorder is None:
        return OnnxRunner(model)
    return OnnxRunner(recorder.model, folder=None if isinstance(model, onnx.ModelProto) else Path(model).parent)


def _recorder(model: onnx.ModelProto, mnn_file: Path, limits: Limits) -> NoiseRecorder | None:
    """What records the noise of a model, if the file takes it as inputs; else None."""
    if not random_outputs(model):
        return None
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


class _Judge:
    """Judges outputs, each by its tolerance."""

    def __init__(
        self,
        model: onnx.ModelProto,
        tolerance: Tolerance | None,
        overrides: Mapping[str, Tolerance],
        rounding: Rounding | None = None,
    ) -> None:
        self.model = model
        self.names = output_names(model)
        self.notes: list[str] = []
        self._rounding = rounding
        self._tolerance = tolerance
        self._overrides = overrides
        self._half = {
            each.name for each in model.graph.output if each.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
        }
        for name in overrides:
            if name not in self.names:
                listed = ", ".join(repr(each) for each in self.names)
                raise UsageError(
                    f"a tolerance names the output {name!r}, which the model does not have", hint=f"it has: {listed}"
                )

    def tolerance(self, name: str) -> Tolerance:
        if name in self._overrides:
            return self._overrides[name]
        if name in self._half and self._tolerance in (None, REWRITE):
            return FLOAT16
        return self._tolerance or FLOAT32

    def output(self, name: str, feeds: Sequence[NamedFeeds], expected: Outputs, actual: Outputs) -> OutputParity:
        tolerance = self.tolerance(name)
        comparisons = tuple(
            compare(wanted[name], found.get(name), tolerance, draw=feed.name)
            for feed, wanted, found in zip(feeds, expected, actual, strict=True)
        )
        if self._rounding is not None and name not in self._overrides and not all(each.passed for each in comparisons):
            pairs = zip(comparisons, expected, actual, strict=True)
            found_again = [(each, wanted[name], found.get(name)) for each, wanted, found in pairs]
            comparisons, notes = inconclusive(self._rounding, feeds, name, found_again)
            self.notes.extend(notes)
        problems = [f"{each.draw}: {problem}" for each in comparisons for problem in each.problems]
        has_elements = any(wanted[name].size for wanted in expected)
        if not problems and has_elements and not any(each.compared for each in comparisons):
            problems = ["nothing was compared: no element of the reference is finite in any draw"]
        if (
            not problems
            and any(each.error_ratio for each in comparisons)
            and not any(each.discriminative for each in comparisons)
        ):
            problems = ["nothing was proven: the reference is nearly zero in every draw; give real data with --input"]
        return OutputParity(name=name, tolerance=tolerance, comparisons=comparisons, problems=tuple(problems))


def _planner(
    proto: onnx.ModelProto,
    signature: Sequence[InputSpec],
    shapes: Mapping[str, tuple[int, ...]],
    inputs: Mapping[str, np.ndarray],
    seed: int,
    memory: int | None,
) -> InputPlanner:
    given, arrays = checked(signature, shapes, inputs)
    limit = default_limit() if memory is None else memory
    return InputPlanner(proto, signature, given, arrays, seed=seed, memory=limit)


def _compared(
    planner: InputPlanner,
    reference: Runner,
    subject: Runner,
    judge: _Judge,
    recorder: NoiseRecorder | None = None,
) -> ParityReport:
    """Run both sides and judge; with a recorder, the subject is fed with what the reference drew as well."""
    found = run_reference(planner, reference)
    if isinstance(found.outputs, Failure):
        return _report(planner, found, judge, failures=[RunnerFailure(runner=reference.name, failure=found.outputs)])
    reached = random_outputs(judge.model) if recorder is None else recorder.left
    unknown, remarks = undetermined_outputs(reached, reference, found.feeds, found.outputs)
    judge.notes += remarks
    fed = [feed.arrays for feed in found.feeds]
    if recorder is not None:
        fed = [arrays | recorder.feeds(drawn) for arrays, drawn in zip(fed, found.outputs, strict=True)]
    actual = _ran(subject, fed, patient=found.evaluated)
    if isinstance(actual, Failure):
        return _report(planner, found, judge, failures=[RunnerFailure(runner=subject.name, failure=actual)])
    left = [name for name in judge.names if name not in {each.name for each in unknown}]
    outputs = [judge.output(name, found.feeds, found.outputs, actual) for name in left]
    return _report(planner, found, judge, outputs=outputs, undetermined=unknown)


def _report(
    planner: InputPlanner,
    found: Reference,
    judge: _Judge,
    *,
    outputs: Sequence[OutputParity] = (),
    failures: Sequence[RunnerFailure] = (),
    undetermined: Sequence[UndeterminedOutput] = (),
) -> ParityReport:
    problems = [f"{each.runner}: {each.failure.message}" for each in failures]
    problems += [f"output {each.name!r}, {problem}" for each in outputs for problem in each.problems]
    problems += [f"output {each.name!r} {each.reason}" for each in undetermined]
    if not problems and not outputs:
        problems = ["nothing was compared: the model has no outputs"]
    return ParityReport(
        outputs=tuple(outputs),
        failures=tuple(failures),
        problems=tuple(problems),
        draws=tuple(feed.name for feed in found.feeds),
        shapes=tuple(feed.shapes for feed in found.feeds),
        notes=(*found.notes, *judge.notes),
        seed=planner.seed,
        assumptions=found.assumptions,
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
