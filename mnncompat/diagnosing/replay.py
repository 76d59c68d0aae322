"""Run a repro again, on the MNN that is installed now."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.diagnosing.bench import Bench
from mnncompat.diagnosing.environment import versions
from mnncompat.diagnosing.minimize import symptom
from mnncompat.diagnosing.repro import read_repro, replayed
from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.mnn import Limits
from mnncompat.parity import FLOAT32
from mnncompat.probe.on_device import tolerance_there
from mnncompat.results.diagnosis import Culprit, Diagnosis, DiagnosisVerdict

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.diagnosing.lanes import Lanes


def replay(folder: Path, *, limits: Limits, where: Where | None = None, lanes: Lanes | None = None) -> Diagnosis:
    """Convert, run and judge what `write_repro` wrote.

    Args:
        folder: Its folder.
        limits: What MNN's processes may use.
        where: A device to run it on; None for this machine.
        lanes: Processes that are there already, and stay; None starts some.

    Raises:
        UsageError: It is no repro, or the device is not set up.
        ModelError: Its model is malformed.
        RunnerError: MNN is not installed.
    """
    started = time.monotonic()
    found = read_repro(folder)
    tolerance = tolerance_there(where) or FLOAT32
    start = partial(Bench, limits=limits, tolerance=tolerance, where=where, side_by_side=False, lanes=lanes, stays=True)
    with ScratchFolder() as scratch, start(scratch) as bench:
        outcome = replayed(found, bench)
        runner = bench.name
    now = symptom(outcome)
    view = view_model(from_proto(found.part.model)).main
    culprit = Culprit(
        nodes=tuple(view.location(index) for index in range(len(view.nodes))),
        status="wrong" if outcome.failure is None else outcome.failure.kind.value,
        stage="" if outcome.failure is None else outcome.failure.stage.value,
        reason=outcome.words,
    )
    changed = {name: f"{was} -> {versions().get(name)}" for name, was in found.versions.items()}
    other = ", ".join(
        f"{name} {each}" for name, each in changed.items() if versions().get(name) != found.versions[name]
    )
    notes = [f"it was {found.symptom}, and is {now}"] if now != found.symptom else ["it shows what it showed"]
    if where is None and found.device and now != found.symptom:
        device, _, precision = found.device.rpartition(" ")
        notes.append(f"it was seen on {found.device}: --device {device} --precision {precision} runs it there")
    return Diagnosis(
        source=str(folder / "model.onnx"),
        file="",
        verdict=DiagnosisVerdict.AGREES if outcome.is_right else DiagnosisVerdict.CULPRIT,
        culprits=() if outcome.is_right else (culprit,),
        draws=("recorded",),
        failing=() if outcome.is_right else ("recorded",),
        draw="recorded",
        shapes={name: array.shape for name, array in found.part.feeds.items()},
        outputs=outcome.deviations,
        runner=runner,
        failure=outcome.failure,
        notes=(*notes, *([f"versions: {other}"] if other else [])),
        versions=versions(),
        seconds=time.monotonic() - started,
    )
