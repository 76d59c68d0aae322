"""How long the converted file takes to run, beside the file that the model makes without the rewrites."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from mnncompat.converting.handed_model import convert_handed
from mnncompat.graph.model_file import Model
from mnncompat.results.failures import Failure
from mnncompat.results.latency import Latency

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from onnx import ModelProto

    from mnncompat.converting.gate_options import GateOptions
    from mnncompat.fixing.transaction import FixedModel
    from mnncompat.mnn import ConvertOptions, Limits

ROUNDS = 20
THREADS = 1


class Timed(NamedTuple):
    """A conversion that is to be timed.

    Attributes:
        model: The model, as it was exported.
        fixed: What was rewritten; None if fixing was switched off.
        file: The converted file; the other one is written beside it.
        converter: Options of both conversions.
        limits: What MNN's child processes may use.
    """

    model: Model
    fixed: FixedModel | None
    file: Path
    converter: ConvertOptions
    limits: Limits


def measure_latency(done: Timed, options: GateOptions) -> Latency:
    """Run the file, and the one without rewrites where there is one, in turn, at the sizes of a comparison's begin.

    Raises:
        RunnerError: MNN is not installed.
    """
    from mnncompat.mnn.timing import time_runs
    from mnncompat.parity.signature import output_names

    before = _unfixed(done)
    reason = before if isinstance(before, str) else ""
    rough = None if done.fixed is None else done.fixed.approximated
    proto = (done.model if rough is None else rough).skeleton
    feed = _feed(proto, options)
    if not feed:
        return Latency(rounds=0, threads=THREADS, reason="no inputs were found that the model takes")
    files = [each for each in (before, done.file) if not isinstance(each, str)]
    names = output_names(proto)
    found = time_runs(files, feed, output_names=names, rounds=ROUNDS, threads=THREADS, limits=done.limits)
    sizes = {name: tuple(array.shape) for name, array in feed.items()}
    if isinstance(found, Failure):
        return Latency(rounds=0, threads=THREADS, shapes=sizes, reason=f"MNN could not run them: {found.message}")
    *others, after = (statistics.median(column) for column in zip(*found, strict=True))
    ratio = statistics.median(each[0] / each[1] for each in found) if others else None
    told = {"before": others[0] if others else None, "after": after, "ratio": ratio}
    return Latency(rounds=ROUNDS, threads=THREADS, shapes=sizes, reason=reason, **told)


def _unfixed(done: Timed) -> Path | str:
    """The file that the model makes without the rewrites, or why there is none to compare with."""
    if done.fixed is None or not done.fixed.changed:
        return "nothing was rewritten"
    if done.fixed.recorded is not None:
        return "the noise of the original has become an input"
    before = done.file.with_name("before.mnn")
    spare = done.file.with_name("before.onnx")
    found = convert_handed(done.model, spare, before, done.converter, done.limits, is_original=True)
    return f"MNN does not convert the original: {found.message}" if isinstance(found, Failure) else before


def _feed(proto: ModelProto, options: GateOptions) -> dict[str, np.ndarray]:
    """Values that the model takes, of the sizes that a comparison begins with; empty if there are none."""
    from mnncompat.parity.input_planner import InputPlanner
    from mnncompat.parity.memory import COMFORTABLE
    from mnncompat.parity.signature import input_signature

    signature = input_signature(proto)
    memory = options.memory or COMFORTABLE
    planner = InputPlanner(proto, signature, options.shapes, {}, seed=options.seed, memory=memory)
    plan = next(planner.plans(), None)
    draws = [] if plan is None else plan.feeds(["uniform"])
    return dict(draws[0].arrays) if draws else {}
