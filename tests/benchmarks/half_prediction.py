"""The hit rate of `check --precision low`: what it predicts of models, and what a device computes.

    python tests/benchmarks/half_prediction.py [--device arm64] [--cache FILE] [--real FOLDER] [NAME ...]

Each model is converted, predicted on a draw of usual values and one of large ones, and run on the device with precision
high and low. Draws on which high is below 60 dB say nothing of half precision and are left out. Every second model was
not looked at while the simulation was made; both halves are told apart. An alarm is a finding of MNN007 or of a row
that is limited to precision low.

The cost of a prediction is the processor time, that of child processes included, of all that `check` does for the draws
of a model, in those of loading the model and running it on them: the converter's run and the construction of the
simulation are counted with the first draw. Reference runs of drawn inputs are not: the simulation is that run.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.half_models import models

from mnncompat import mnn
from mnncompat.checking.checker import check_model
from mnncompat.devices.device import Device, Precision
from mnncompat.devices.names import device_named
from mnncompat.diagnosing.half_precision.culprits import bad_outputs, nearly_lost
from mnncompat.diagnosing.half_precision.drawn import Inputs, drawn
from mnncompat.diagnosing.half_precision.findings import with_predictions
from mnncompat.diagnosing.half_precision.prediction import ALARM_DB, Prediction, Predictor
from mnncompat.graph.model_file import Model, load
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity.real_data import RealData
from mnncompat.parity.runners import OnnxRunner
from mnncompat.results.failures import Failure
from mnncompat.results.half_precision_rules import PREDICTED, UNPREDICTED

DRAWS, RIGHT_DB, LONG = 2, 60.0, 0.2
LIMITS = Limits(seconds=600)
Source = Callable[[], onnx.ModelProto]


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit status is 1 if a rate misses its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--device", default="arm64")
    parser.add_argument("--cache", type=Path, help="keeps what the device gave")
    parser.add_argument("--real", type=Path, help="a folder of further models")
    given = parser.parse_args(arguments)
    kept: dict[str, Any] = json.loads(given.cache.read_text()) if given.cache and given.cache.exists() else {}
    found = []
    with tempfile.TemporaryDirectory() as folder, Device(device_named(given.device)) as device:
        for number, (name, source) in enumerate(_chosen(given.names, given.real)):
            for each in _measured(name, source, device, Path(folder), kept):
                found.append({**each, "held out": number % 2 == 1})
                print(_line(found[-1]), flush=True)
            if given.cache:
                given.cache.write_text(json.dumps(kept))
    return _told(found)


def _chosen(names: Sequence[str], real: Path | None) -> Iterator[tuple[str, Source]]:
    every = list(models())
    if real is not None:
        every += [(f"real:{path.stem}", partial(onnx.load, path)) for path in sorted(real.glob("*.onnx"))]
    yield from (each for each in every if not names or any(part in each[0] for part in names))


def _measured(
    name: str, source: Source, device: Device, folder: Path, kept: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    path = folder / f"{name.replace(':', '-')}.onnx"
    onnx.save(source(), path)
    model = load(path)
    try:
        feeds = list(drawn(model, Inputs(data=RealData(inputs={}, feeds=()), draws=DRAWS, shapes={})))
    except Exception as error:  # noqa: BLE001 - a model that cannot be drawn for is told and left out
        print(f"{name}: {error}")
        return
    predictor = Predictor(model)
    for feed in feeds:
        started = _processor_time()
        predicted = predictor.predict(feed.name, feed.arrays)
        seconds, alone = _processor_time() - started, _seconds(path, feed.arrays)
        key = f"{name} {feed.name}"
        if key not in kept:
            kept[key] = _on_device(path, feed.arrays, device)
        if isinstance(kept[key], str) or kept[key][0] < RIGHT_DB:
            print(f"{key}: left out, {kept[key]}")
            continue
        ratio = None if isinstance(predicted, Failure) else predicted.worst_db
        yield {
            "model": name,
            "draw": feed.name,
            "predicted": ratio,
            "bad": not isinstance(predicted, Failure) and bool(bad_outputs(predicted)),
            "near": not isinstance(predicted, Failure) and bool(nearly_lost(predicted.view, predicted)),
            "measured": kept[key][1],
            "rows": _rows(model, predicted),
            "seconds": seconds,
            "run": alone,
        }


def _processor_time() -> float:
    """Of this process and of children that have ended, in seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _seconds(path: Path, feeds: Mapping[str, np.ndarray]) -> float:
    """Processor time of loading and running the model alone."""
    started = time.process_time()
    OnnxRunner(path).run([feeds])
    return time.process_time() - started


def _rows(model: Model, predicted: Prediction | Failure) -> list[str]:
    """Rows that hold with precision low alone, and that these values do not make harmless."""
    low, high = (check_model(model, arch="aarch64", precision=each, rewrites=None) for each in ("low", "high"))
    codes = {each.code for each in high.diagnostics} | {PREDICTED.code, UNPREDICTED.code}
    found = with_predictions(low, model, [predicted]).diagnostics
    return sorted({each.code for each in found if each.code not in codes and each.severity.rank < 2})


def _on_device(path: Path, feeds: Mapping[str, np.ndarray], device: Device) -> tuple[float, float] | str:
    """Ratios of the worst output with precision high and low, or why there are none."""
    expected = OnnxRunner(path).run([feeds])
    if isinstance(expected, Failure):
        return expected.message
    file = path.with_suffix(".mnn")
    made = mnn.convert(path, file, options=ConvertOptions(), limits=LIMITS)
    if isinstance(made, Failure):
        return made.message
    ratios = []
    for precision in (Precision.HIGH, Precision.LOW):
        performer = device.performer(precision)
        ran = mnn.run(file, [feeds], output_names=list(expected[0]), limits=LIMITS, performer=performer)
        if isinstance(ran, Failure):
            return ran.message
        ratios.append(min(_ratio(each, ran.outputs[0][name]) for name, each in expected[0].items()))
    return (ratios[0], ratios[1])


def _ratio(expected: np.ndarray, actual: np.ndarray) -> float:
    if expected.shape != actual.shape or expected.dtype.kind != "f":
        return math.inf if np.array_equal(expected, actual) else -999.0
    wanted, found = expected.astype(np.float64), actual.astype(np.float64)
    if not np.isfinite(found).all():
        return -999.0
    error, signal = np.square(found - wanted).sum(), np.square(wanted).sum()
    return 999.0 if error == 0 else -999.0 if signal == 0 else float(10 * np.log10(signal / error))


def _is_alarm(each: Mapping[str, Any]) -> bool:
    return bool(each["rows"]) or each["near"] or each["bad"]


def _line(each: Mapping[str, Any]) -> str:
    predicted = "-" if each["predicted"] is None else f"{each['predicted']:.1f}"
    is_low, alarm = each["measured"] < ALARM_DB, _is_alarm(each)
    mark = "" if is_low == alarm else "  MISSED" if is_low else "  FALSE"
    half = "held out" if each["held out"] else "seen"
    rows = " ".join(each["rows"])
    name = f"{each['model']} {each['draw']}"
    ratios = f"predicted {predicted:>7}  measured {each['measured']:>7.1f}"
    return f"{name:<40} {ratios}  {each['seconds'] / max(each['run'], 1e-3):.1f}x  {half} {rows}{mark}"


def _told(found: Sequence[Mapping[str, Any]]) -> int:
    missed_goal = False
    costs = sorted(_costs(found))
    if costs:
        worst = f"{costs[-1]:.1f}, median {statistics.median(costs):.1f}"
        print(f"cost of {len(costs)} models that take {LONG} s and more: at most {worst} runs")
    for title, part in (
        ("all", found),
        ("seen", [each for each in found if not each["held out"]]),
        ("held out", [each for each in found if each["held out"]]),
    ):
        low = [each for each in part if each["measured"] < ALARM_DB]
        right = [each for each in part if each["measured"] >= ALARM_DB]
        flagged, false = sum(map(_is_alarm, low)), sum(map(_is_alarm, right))
        names, many = len({each["model"] for each in part}), f"{len(part)} runs"
        told = f"below {ALARM_DB:.0f} dB {len(low)}, flagged {flagged} ({flagged / max(len(low), 1):.0%})"
        others = f"others {len(right)}, flagged {false} ({false / max(len(right), 1):.0%})"
        print(f"{title}: {names} models, {many}; {told}; {others}")
        missed_goal |= flagged < 0.85 * len(low) or false > 0.1 * len(right)
    return int(missed_goal)


def _costs(found: Sequence[Mapping[str, Any]]) -> Iterator[float]:
    """Runs of each model that a draw costs; start-up decides those of models that take no time."""
    for name in dict.fromkeys(each["model"] for each in found):
        runs = [each for each in found if each["model"] == name]
        if min(each["run"] for each in runs) >= LONG:
            yield sum(each["seconds"] for each in runs) / sum(each["run"] for each in runs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
