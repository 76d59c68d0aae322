"""Run labelled samples under ONNX Runtime, in MNN, on devices and with rounded weights, and score what comes out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat import mnn
from mnncompat.errors import RunnerError, UsageError
from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.atomic_files import weights_of
from mnncompat.parity.given_inputs import given_draws
from mnncompat.parity.real_data import RealData
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.signature import input_signature, output_names
from mnncompat.results.accuracy import AccuracyReport, TaskAccuracy
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.deploying.labels import Metric
    from mnncompat.devices.device import Where
    from mnncompat.graph.model_file import Model
    from mnncompat.mnn import Limits

    Outputs = list[dict[str, np.ndarray]]
    Feeds = Sequence[Mapping[str, np.ndarray]]
    Convert = Callable[[int, Path], Path | Failure]

_AT_ONCE = 64
"""Samples in one child process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Another way in which the model may be deployed.

    Attributes:
        weights: Bits of weights, 2 to 8, or 16 for float16; 0 for those of the file.
        where: A device; None for this machine.
    """

    weights: int = 0
    where: Where | None = None

    @property
    def words(self) -> str:
        """What the table calls it."""
        found = "MNN"
        if self.weights:
            found += f", weights of {self.weights} bits"
        return found if self.where is None else f"{found}, on {self.where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Samples with labels.

    Attributes:
        path: Where the labels are from.
        feeds: Of each sample: input name -> array.
        labels: Of each sample.
        metric: What scores the outputs.
        output: The output that it reads; empty for all.
    """

    path: Path
    feeds: Feeds
    labels: Sequence[Any]
    metric: Metric
    output: str


def sample_names(model: Model, data: RealData, shapes: Mapping[str, tuple[int, ...]]) -> tuple[list[str], Feeds]:
    """Names of the samples that data hold, and what to feed of each.

    Raises:
        UsageError: There are none, they do not fit the model, or an input has no data.
    """
    signature = input_signature(model.skeleton)
    draws = given_draws(signature, shapes, data)
    if not draws:
        raise UsageError("--labels needs samples", hint="--input NAME=FOLDER, or an .npz")
    lacking = [each.name for each in signature if each.name not in draws[0].arrays]
    if lacking:
        raise UsageError(f"--labels: input {lacking[0]!r} has no samples", hint=f"--input {lacking[0]}=PATH")
    return [each.name.removeprefix("sample ") for each in draws], [each.arrays for each in draws]


def scored_output(model: Model) -> str:
    """The output that top-1 reads: the first one.

    Raises:
        UsageError: The model has no outputs.
    """
    names = output_names(model.skeleton)
    if not names:
        raise UsageError("the model has no outputs", hint="--labels needs one")
    return names[0]


def measure_accuracy(
    model: Model, file: Path, labelled: Labelled, variants: Sequence[Variant], *, convert: Convert, limits: Limits
) -> AccuracyReport:
    """Score a model, its converted file, and variants of it.

    Args:
        model: The model.
        file: The converted file.
        labelled: The samples.
        variants: Further ways of deployment.
        convert: Converts the model into a file with weights of so many bits, 16 for float16.
        limits: What each child process may use.

    Raises:
        UsageError: The labels do not fit the outputs, or the metric fails.
        RunnerError: ONNX Runtime or MNN is not installed.
    """
    names = output_names(model.skeleton)
    runner = OnnxRunner(model.path or model.skeleton)
    reference = runner.run(labelled.feeds)
    if isinstance(reference, Failure):
        raise RunnerError(f"ONNX Runtime does not run the samples: {reference.message}", hint="check the model")
    size = model.path.stat().st_size if model.path is not None else 0
    size += sum(each.stat().st_size for each in model.data.values())
    rows = [_row("ONNX Runtime", labelled, reference, None, size, runner.timings.settled(labelled.feeds[0]))]
    with ScratchFolder() as folder:
        for each in (Variant(), *variants):
            made = file if not each.weights else convert(each.weights, folder / f"{each.weights}.mnn")
            if isinstance(made, Failure):
                rows.append(TaskAccuracy(where=each.words, scores={}, problem=made.message))
                continue
            ran, took = _run(made, labelled.feeds, names, each.where, limits)
            size = sum(part.stat().st_size for part in (made, weights_of(made)) if part.exists())
            if isinstance(ran, Failure):
                rows.append(TaskAccuracy(where=each.words, scores={}, bytes=size, problem=ran.message))
            else:
                rows.append(_row(each.words, labelled, ran, reference, size, took))
    return AccuracyReport(
        labels=str(labelled.path), samples=len(labelled.labels), output=labelled.output, rows=tuple(rows)
    )


def _row(
    where: str, labelled: Labelled, outputs: Outputs, reference: Outputs | None, size: int, took: list[float]
) -> TaskAccuracy:
    return TaskAccuracy(
        where=where,
        scores=labelled.metric(outputs, labelled.labels),
        agreement=_agreement(labelled.output, outputs, reference),
        bytes=size,
        snr_db=None if reference is None else _snr(outputs, reference),
        seconds=statistics.median(took) if took else None,
    )


def _agreement(output: str, outputs: Outputs, reference: Outputs | None) -> float | None:
    if not output or reference is None:
        return None
    pairs = zip(outputs, reference, strict=True)
    same = [np.array_equal(one[output].argmax(-1), two[output].argmax(-1)) for one, two in pairs]
    return sum(same) / len(same)


def _snr(outputs: Outputs, reference: Outputs) -> float:
    """Over all samples and outputs of floats, in dB."""
    signal = noise = 0.0
    for one, two in zip(outputs, reference, strict=True):
        for name, right in two.items():
            if right.dtype.kind == "f" and one[name].shape == right.shape:
                signal += float((right.astype(np.float64) ** 2).sum())
                noise += float(((one[name].astype(np.float64) - right) ** 2).sum())
    return float("inf") if not noise else 10 * float(np.log10(signal / noise)) if signal else float("nan")


def _run(
    file: Path, feeds: Feeds, names: Sequence[str], where: Where | None, limits: Limits
) -> tuple[Outputs | Failure, list[float]]:
    if where is None:
        return _in_parts(file, feeds, names, limits, {})
    from mnncompat.devices.device import Device
    from mnncompat.devices.names import ARM64

    with Device(where.device) as device:
        how = {"performer": device.performer(where.precision, where.threads)}
        outputs, took = _in_parts(file, feeds, names, limits, how)
    return outputs, [] if where.device.kind == ARM64 else took  # an emulator does not tell how fast it is


def _in_parts(
    file: Path, feeds: Feeds, names: Sequence[str], limits: Limits, how: Mapping[str, Any]
) -> tuple[Outputs | Failure, list[float]]:
    outputs: Outputs = []
    took: list[float] = []
    for at in range(0, len(feeds), _AT_ONCE):
        ran = mnn.run(file, feeds[at : at + _AT_ONCE], output_names=names, limits=limits, **how)
        if isinstance(ran, Failure):
            return ran, []
        outputs += ran.outputs
        took += ran.draw_seconds
    return outputs, took
