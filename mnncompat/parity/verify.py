"""Prove that an `.mnn` file computes what an ONNX model computes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from mnncompat.mnn import Limits, interface
from mnncompat.parity.comparison import (
    OnnxModel,
    compared,
    loaded,
    tolerances_of,
    with_weights,
)
from mnncompat.parity.judge import Judge
from mnncompat.parity.output_scale import coarse_outputs
from mnncompat.parity.power.analysis import PowerAnalysis
from mnncompat.parity.real_data import Given, real_data
from mnncompat.parity.real_draws import Feeder
from mnncompat.parity.recorded_noise import NoiseRecorder
from mnncompat.parity.rounded_weights import Rounded, rounded_weights
from mnncompat.parity.rounding import Rounding, inconclusive
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.save_data import Saving
from mnncompat.parity.scores import NO_SCORES, Scores, ScoringRunner, scores_in_file, scores_of
from mnncompat.parity.session_check import SessionCheck
from mnncompat.parity.settled import is_settled
from mnncompat.parity.signature import input_signature, output_names
from mnncompat.parity.undetermined import random_outputs
from mnncompat.results.failures import Failure
from mnncompat.results.parity_report import ParityReport, Tolerance

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import numpy as np

    from mnncompat.devices.device import Where
    from mnncompat.graph.model_file import Model
    from mnncompat.parity.device_check import DeviceCheck

    Outputs = list[dict[str, np.ndarray]]


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
    power: bool = True,
    read: Model | None = None,
    as_stored: bool = False,
    session: bool = True,
    where: Where | None = None,
) -> ParityReport:
    """Prove that an `.mnn` file computes what an ONNX model computes, ONNX Runtime being the reference.

    Args:
        model: The original ONNX model.
        mnn_file: The converted file.
        shapes: Shapes of inputs with dynamic dimensions; chosen when left out (see `mnncompat.parity.shapes`).
        inputs: Real data: arrays or paths by input name, or a series of feeds, see `mnncompat.parity.real_data`. They
            are draws beside the drawn ones; what is not given is drawn.
        tolerance: For every floating-point output; None is `FLOAT32`, or `FLOAT16` where the output is float16. With
            `Tolerance.scaled` its absolute part follows small outputs.
        tolerances: Overrides by output name.
        seed: What the feeds are drawn from.
        memory: Bytes that a run may take at sizes that are chosen; None for `mnncompat.parity.memory.default_limit`.
        limits: What MNN's child process may use; None for the default, with as much memory as `memory` allows.
        save_data: A folder for the feeds and the outputs of both sides, see `mnncompat.parity.save_data`.
        power: Whether to find out which operators the proof would have caught, see `mnncompat.parity.power`. Classes
            that are saturated in every draw are judged before the function in any case.
        read: The model in `model`, if that is a file that was read already.
        as_stored: Judge outputs without a tolerance as the file's weights are rounded, if they do not agree otherwise.
        session: Whether to run the file in MNN's Session API as well, see `mnncompat.parity.session_check`.
        where: A device to run the file on as well, see `mnncompat.parity.device_check`.

    Returns:
        The verdict, per output and overall.

    Raises:
        UsageError: A shape, an array or an override does not fit the model.
        ModelError: The model cannot be read.
        RunnerError: MNN or ONNX Runtime is not installed.
        OutputError: The folder for the data cannot be written, or holds something else.
    """
    proto, folder = loaded(model, read)
    saving = None if save_data is None else Saving(save_data, model, mnn_file)
    limits = limits or Limits().with_memory(memory)
    random = random_outputs(proto)
    recorder = _recorder(proto, mnn_file, limits) if random else None
    # Rounding runs the original again, which draws other noise: it explains nothing about random outputs.
    scores, notes = (NO_SCORES, []) if random else scores_in_file(scores_of(proto), mnn_file)
    scored = scores.exposed(proto)
    subject = ScoringRunner(mnn_file, outputs=output_names(proto), scores=tuple(scores.labels), limits=limits)
    rounded = partial(rounded_weights, mnn_file) if as_stored and tolerance is None else None
    judge = _judge(model, scored, scores, tolerance, tolerances, random, rounded)
    judge.facts += notes
    feeder = Feeder(proto, input_signature(proto), shapes or {}, real_data(inputs), seed=seed, memory=memory)
    shown = recorder.model if recorder is not None else scored if scores.labels else None
    reference = OnnxRunner(model, known=proto) if shown is None else OnnxRunner(shown, folder=folder)
    reached = random if recorder is None else recorder.left
    noise = None if recorder is None else recorder.recorded
    analysis = PowerAnalysis(shown or scored, folder=folder, noise=noise, ask=subject.ask, plants=power)
    there = None if where is None else _device_check(where, mnn_file, limits, tolerance, scored)
    run = partial(compared, feeder, reference, subject, judge, reached, device=there)
    return run(recorder=recorder, saving=saving, analysis=analysis, session=SessionCheck(subject if session else None))


def _device_check(
    where: Where, mnn_file: Path, limits: Limits, tolerance: Tolerance | None, model: onnx.ModelProto
) -> DeviceCheck:
    from mnncompat.parity.device_check import DeviceCheck

    coarse = coarse_outputs(model, output_names(model))
    return DeviceCheck(where, mnn_file, limits=limits, given=tolerance, coarse=coarse)


def _judge(
    model: OnnxModel,
    scored: onnx.ModelProto,
    scores: Scores,
    tolerance: Tolerance | None,
    tolerances: Mapping[str, Tolerance] | None,
    random: Collection[str],
    rounded: Callable[[], Rounded | None] | None,
) -> Judge:
    rounding = Rounding(lambda: scores.exposed(with_weights(model)))
    return Judge(
        tolerances_of(scored, tolerance, tolerances),
        partial(inconclusive, rounding) if tolerance is None else None,
        unexplained={*(tolerances or ()), *random},
        coarse=coarse_outputs(scored, output_names(scored)),
        scores=scores,
        rounded=rounded,
        settled=partial(is_settled, scored),
        loose=[name for name in output_names(scored) if name not in {*(tolerances or ()), *random}],
    )


def _recorder(model: onnx.ModelProto, mnn_file: Path, limits: Limits) -> NoiseRecorder | None:
    """What records the noise of a model, if the file takes it as inputs; else None."""
    recorder = NoiseRecorder(model)
    found = interface(mnn_file, limits=limits)
    taken = set() if isinstance(found, Failure) else {each.name for each in found.inputs}
    return recorder if recorder.names and recorder.names <= taken else None
