"""The draw that a diagnosis is about: the first one if it fails plainly, else the worst of those of `verify`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.diagnosing.deviations import deviation
from mnncompat.mnn import Limits
from mnncompat.parity import FLOAT32, NamedFeeds, load_data, verify
from mnncompat.parity.device_check import HALF_DRAWS
from mnncompat.parity.output_scale import coarse_outputs
from mnncompat.parity.real_draws import Feeder, run_on_data
from mnncompat.parity.reference import run_reference
from mnncompat.parity.sampling import DRAWS
from mnncompat.parity.signature import input_signature, output_names
from mnncompat.parity.tolerance import OUTLIER
from mnncompat.parity.undetermined import random_outputs
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.diagnosing.tracing import TraceRunner
    from mnncompat.graph.model_file import Model
    from mnncompat.parity import RealData, Tolerance
    from mnncompat.parity.reference import Reference
    from mnncompat.parity.runners import Runner
    from mnncompat.results.diagnosis import Deviation
    from mnncompat.results.parity_report import ParityReport


_MOST_OTHERS = 2
_DRAWS = "draws"
_PATIENCE = 60.0
"""Seconds after which a draw that fails is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How inputs are chosen.

    Attributes:
        shapes: Shapes of inputs with dynamic dimensions.
        data: Real data.
        tolerance: Of outputs; None for the default.
        tolerances: By output name.
        seed: Of the drawn inputs.
        memory: Bytes that a run may take at sizes that are chosen.
    """

    shapes: Mapping[str, tuple[int, ...]]
    data: RealData
    tolerance: Tolerance | None = None
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    seed: int = 0
    memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The draw to look at.

    Attributes:
        feeds: It.
        failing: Outputs that are wrong there -> how far.
        outputs: Outputs of MNN there; empty if it failed.
        also: Names of the further draws that are known to fail.
        failure: How MNN failed; None if it gave outputs.
        report: What `verify` found; None if the first draw was plain enough.
        others: The worst of the further draws that fail, to be looked at as well.
        compared: Names of the draws that were compared without `verify`.
    """

    feeds: NamedFeeds
    failing: dict[str, Deviation]
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    failure: Failure | None = None
    report: ParityReport | None = None
    others: tuple[Chosen, ...] = ()
    compared: tuple[str, ...] = ()


def first_reference(model: Model, drawing: Drawing, runner: Runner, *, several: bool = False) -> Reference:
    """The first draw that the model accepts, and what ONNX Runtime computes of it.

    Args:
        model: The model.
        drawing: How inputs are chosen.
        runner: Runs it.
        several: The draws that tell most of half precision, if the model accepts them.
    """
    signature = input_signature(model.skeleton)
    feeder = Feeder(model.skeleton, signature, drawing.shapes, drawing.data, seed=drawing.seed, memory=drawing.memory)
    if feeder.draws:
        most = len(HALF_DRAWS) if several else 1
        return run_on_data(feeder, runner, feeder.draws if feeder.only else feeder.draws[:most])
    for draws in (HALF_DRAWS, DRAWS[:1]) if several else (DRAWS[:1],):
        found = run_reference(feeder.planner(feeder.shapes, {}), runner, draws=draws)
        if not isinstance(found.outputs, Failure):
            break
    return found


def choose(
    model: Model,
    file: Path,
    reference: Reference,
    drawing: Drawing,
    *,
    limits: Limits,
    runner: TraceRunner,
    folder: Path,
    apart: bool = False,
) -> Chosen:
    """Find a draw in which the file computes something else.

    Args:
        model: The original.
        file: The `.mnn` file.
        reference: The first draw.
        drawing: How inputs are chosen.
        limits: What MNN's children may use.
        runner: Runs the file.
        folder: For files.
        apart: The first draws are all there is: the file is a body, which `verify` cannot run, or a device runs it.
    """
    assert not isinstance(reference.outputs, Failure)  # noqa: S101 - the caller looked
    if apart:
        return _worst(model, reference, runner, drawing)
    feeds, expected = reference.feeds[0], reference.outputs[0]
    names = output_names(model.skeleton)
    ran = runner.trace(feeds.arrays, names, {})
    if isinstance(ran, Failure):
        return Chosen(feeds=feeds, failing={}, failure=ran)
    outputs = ran.values
    off = deviations(model, expected, outputs, drawing)
    failing = {name: each for name, each in off.items() if each.error_ratio > OUTLIER}
    if failing and not random_outputs(model.skeleton):
        return Chosen(feeds=feeds, failing=failing, outputs=outputs)
    found = _verified(model, file, drawing, limits, folder)
    return found if found.failure is None else _that_fails(found, load_data(folder / _DRAWS).feeds, names, runner)


def _that_fails(found: Chosen, draws: Sequence[NamedFeeds], names: Sequence[str], runner: TraceRunner) -> Chosen:
    """The first of the draws on which the file fails, which need not be the first one: as of a loop that never runs."""
    for feeds in draws:
        ran = runner.trace(feeds.arrays, names, {})
        if isinstance(ran, Failure):
            return replace(found, feeds=feeds, failing={}, failure=ran)
    return found


def _worst(model: Model, reference: Reference, runner: TraceRunner, drawing: Drawing) -> Chosen:
    """The worst of the draws, the first one if all agree; once some fail, no more are run beyond a time."""
    end = time.monotonic() + _PATIENCE
    assert not isinstance(reference.outputs, Failure)  # noqa: S101 - the caller looked
    found: list[Chosen] = []
    for feeds, expected in zip(reference.feeds, reference.outputs, strict=True):
        ran = runner.trace(feeds.arrays, output_names(model.skeleton), {})
        if isinstance(ran, Failure):
            return Chosen(
                feeds=feeds, failing={}, failure=ran, compared=(*(each.feeds.name for each in found), feeds.name)
            )
        off = deviations(model, expected, ran.values, drawing)
        wrong = {name: each for name, each in off.items() if each.is_wrong}
        found.append(Chosen(feeds=feeds, failing=wrong, outputs=ran.values))
        if wrong and time.monotonic() > end:
            break
    order = sorted(found, key=lambda each: -max((one.error_ratio for one in each.failing.values()), default=0.0))
    also = tuple(each.feeds.name for each in order[1:] if each.failing)
    return replace(order[0], also=also, compared=tuple(each.feeds.name for each in found))


def deviations(
    model: Model, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], drawing: Drawing
) -> dict[str, Deviation]:
    """How far outputs are off."""
    coarse = coarse_outputs(model.skeleton, list(expected))
    return {
        name: deviation(
            each,
            actual[name],
            drawing.tolerances.get(name, drawing.tolerance or FLOAT32),
            is_coarse=name in coarse,
        )
        for name, each in expected.items()
        if name in actual
    }


def _verified(model: Model, file: Path, drawing: Drawing, limits: Limits, folder: Path) -> Chosen:
    """What `verify` says; the worst draw, if one fails."""
    kept = folder / _DRAWS
    report = verify(
        model.path or model.skeleton,
        file,
        shapes=drawing.shapes,
        inputs=drawing.data,
        tolerance=drawing.tolerance,
        tolerances=drawing.tolerances,
        seed=drawing.seed,
        memory=drawing.memory,
        limits=limits,
        save_data=kept,
        power=False,
    )
    return of_report(model, report, kept, drawing)


def of_report(model: Model, report: ParityReport, kept: Path, drawing: Drawing) -> Chosen:
    """The draw to look at first, and others, of a comparison whose data were kept."""
    saved = load_data(kept)
    by_name = {feed.name: at for at, feed in enumerate(saved.feeds)}
    wrong: dict[str, dict[str, float]] = {}
    for output in report.outputs:
        for each in output.comparisons:
            if not each.passed and each.draw in by_name:
                wrong.setdefault(each.draw, {})[output.name] = each.error_ratio
    worst = sorted(wrong, key=lambda draw: -max(wrong[draw].values()))
    side = next((each.failure for each in report.failures if each.runner == "MNN"), None)

    def chosen(draw: str) -> Chosen:
        at = by_name[draw]
        outputs = saved.actual[at] if saved.actual else {}
        off = deviations(model, saved.expected[at], outputs, drawing) if outputs else {}
        failing = {name: each for name, each in off.items() if name in wrong.get(draw, ())}
        return Chosen(feeds=saved.feeds[at], failing=failing, outputs=outputs)

    first = chosen(worst[0] if worst else saved.feeds[0].name)
    others = tuple(chosen(draw) for draw in worst[1 : 1 + _MOST_OTHERS])
    return replace(first, also=tuple(worst[1:]), failure=side, report=report, others=others)
