"""Where no node alone is to blame: the whole model is converted and run again, with one thing different each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from mnncompat import mnn
from mnncompat.diagnosing.attribution import switches, without_winograd
from mnncompat.diagnosing.draws import deviations
from mnncompat.graph.model_file import Model, from_proto, save, serialised_bytes
from mnncompat.results.diagnosis import Attempt
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from mnncompat.diagnosing.draws import Chosen, Drawing
    from mnncompat.diagnosing.tracing import TraceRunner
    from mnncompat.mnn import ConvertOptions, Limits
    from mnncompat.mnn.request import Performer
    from mnncompat.results.diagnosis import Deviation

_COPIED = 500_000_000
"""Bytes of a model of which a changed copy may be made."""
Convert = Callable[[Model, "ConvertOptions"], "Path | Failure"]
"""Converts a model into a file of its own."""


def whole_attempts(
    model: Model,
    chosen: Chosen,
    golden: Mapping[str, np.ndarray],
    drawing: Drawing,
    options: ConvertOptions,
    *,
    convert: Convert,
    runner: Callable[[Path], TraceRunner],
) -> Iterator[Attempt]:
    """Try the switches of the converter, and another algorithm, on a model whose outputs are wrong.

    Args:
        model: The original.
        chosen: The draw.
        golden: The right values of its outputs, and others.
        drawing: With the tolerances of outputs.
        options: Of the conversion that is wrong.
        convert: Converts.
        runner: Runs a file.
    """
    expected = {name: golden[name] for name in chosen.outputs if name in golden}
    candidates = [(what, option, model, changed) for what, option, changed in switches(model.skeleton, options)]
    if not model.data and serialised_bytes(model.skeleton) < _COPIED:
        other = without_winograd(model.skeleton)
        candidates += [] if other is None else [("no Winograd convolution", "", from_proto(other), options)]
    for what, option, one, changed in candidates:
        file = convert(one, changed)
        ran = file if isinstance(file, Failure) else runner(file).trace(chosen.feeds.arrays, list(expected), {})
        if isinstance(ran, Failure):
            yield Attempt(what=what, option=option, helps=False, detail=ran.message)
            continue
        wrong = {name: each for name, each in deviations(model, expected, ran.values, drawing).items() if each.is_wrong}
        detail = "right" if not wrong else _told(wrong)
        yield Attempt(what=what, option=option, helps=not wrong, detail=detail)


def converted(
    model: Model, options: ConvertOptions, *, folder: Path, limits: Limits, performer: Performer
) -> Path | Failure:
    """Convert a model into a file in a folder of its own.

    Args:
        model: The model.
        options: Of the conversion.
        folder: Where that folder is made.
        limits: What the converter may use.
        performer: Carries out the request.
    """
    place = Path(mkdtemp(dir=folder))
    source, data, made = model.path, model.data, place / "model.mnn"
    if source is None:
        source = place / "model.onnx"
        data = save(model, source)
    found = mnn.convert(source, made, options=options, limits=limits, data=data, performer=performer)
    return found if isinstance(found, Failure) else made


def _told(wrong: Mapping[str, Deviation]) -> str:
    name, worst = max(wrong.items(), key=lambda each: each[1].error_ratio)
    return worst.problem or f"{name} off by up to {worst.max_abs:.3g}, {worst.snr_db:.1f} dB"
