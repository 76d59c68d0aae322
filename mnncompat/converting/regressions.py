"""What has become worse since a lock file was written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mnncompat.converting.lock_record import is_good
from mnncompat.results.kept import KeptOutput, KeptResult
from mnncompat.results.kept_record import OutputRecord, Record

GROWTH = 1.05
"""A file may grow by a twentieth: another converter writes other tables, and a retrained model other scales."""
POWER_LOSS = 0.05
"""Share of operators that may fall silent: the draws are the same, but retrained rectifiers cut off other channels."""
ROUGH_LOSS_DB = 3.0
"""Of a file within a ratio, e.g. one with rounded weights: half of the signal's distance to the noise."""
TOP1_LOSS = 0.01
SAME_FUNCTION_DB = 10.0
"""A retrained model has to give values that are at least this near to the ones before; ten times its error's power.

Fine-tuning moves outputs by some per cent of their spread (20 dB and more); weights in another order, or of another
model, give values that have nothing to do with the ones before (about -3 to 3 dB).
"""
LATENCY_LOSS = 1.15
_MOST_NAMES = 5


class Limits(NamedTuple):
    """How much worse a model may become; see the constants of this module.

    Attributes:
        growth: Largest ratio of sizes.
        same_function_db: Least signal-to-noise ratio of a changed model's outputs to those that are kept.
    """

    growth: float = GROWTH
    same_function_db: float = SAME_FUNCTION_DB


def compared(
    now: Record, before: Record | None, *, before_is: str, written: bool, source: str = "", limits: Limits | None = None
) -> KeptResult:
    """What has become of a model.

    Args:
        now: What was measured.
        before: What is kept; None if nothing is.
        before_is: What keeps it, for the report.
        written: Whether `now` is kept from now on.
        source: The model's path; as it is recorded if empty.
        limits: How much worse it may become.
    """
    was = Record(path="", sha256="", mnn="", options="", converted=False, verdict="") if before is None else before
    gone, new = Counter(was.nodes) - Counter(now.nodes), Counter(now.nodes) - Counter(was.nodes)
    return KeptResult(
        source=source or now.path,
        before=before_is,
        now=f"MNN {now.mnn}",
        was=None if before is None else before.verdict,
        verdict=now.verdict,
        worse=() if before is None else tuple(regressions(before, now, limits or Limits())),
        otherwise=() if before is None else tuple(changes(before, now)),
        written=written,
        sizes=(was.size, now.size),
        gone=() if before is None else tuple(gone.elements()),
        new=() if before is None else tuple(new.elements()),
        outputs=_ratios(was, now),
    )


def _ratios(before: Record, now: Record) -> tuple[KeptOutput, ...]:
    """The outputs of both, and how near they are to the original."""

    def ratio(record: Record, name: str) -> float | None:
        return record.outputs[name].snr_db if name in record.outputs else None

    names = dict.fromkeys((*before.outputs, *now.outputs))
    return tuple(KeptOutput(name=name, snr_db=(ratio(before, name), ratio(now, name))) for name in names)


def regressions(before: Record, now: Record, limits: Limits = Limits()) -> list[str]:  # noqa: B008 - immutable
    """What is worse, one line each; empty if nothing is."""
    return [*_proof(before, now), *_file(before, now, limits), *_outputs(before, now, limits)]


def changes(before: Record, now: Record) -> list[str]:
    """What is otherwise and not worse, one line each."""
    found = []
    if before.sha256 != now.sha256:
        found.append("the model's file is another one")
    if before.mnn != now.mnn:
        found.append(f"MNN {before.mnn} -> {now.mnn}")
    if before.options != now.options:
        found.append(f"options: {before.options or 'none'} -> {now.options or 'none'}")
    if before.verdict != now.verdict and not any(_proof(before, now)):
        found.append(f"was {before.verdict}, is {now.verdict}")
    if now.size < before.size:
        found.append(f"smaller: {before.size} -> {now.size} bytes")
    if Counter(before.nodes) != Counter(now.nodes):
        found.append(f"ops: {_difference(before, now)}")
    return found


def _proof(before: Record, now: Record) -> Iterator[str]:
    if before.converted and not now.converted:
        yield f"no file is published any more: {now.verdict}"
    elif is_good(before.verdict) and not is_good(now.verdict):
        yield f"was {before.verdict}, is {now.verdict}"
    elif before.verdict == "equal" and now.verdict == "within":
        yield "was equal, is within a ratio only"
    if before.session and now.session is False:
        yield "MNN's Session API does not run the file any more as the Module API does"
    if before.tried and now.tried and _share(now) < _share(before) - POWER_LOSS:
        yield (
            f"the proof exercises fewer operators: {before.exercised} of {before.tried} before, "
            f"{now.exercised} of {now.tried} now"
        )
    for code in sorted(set(now.errors) - set(before.errors)):
        yield f"{code} is an error in the model that is converted, and was not before"


def _file(before: Record, now: Record, limits: Limits) -> Iterator[str]:
    if before.size and now.size > before.size * limits.growth:
        yield f"the file has grown from {before.size} to {now.size} bytes ({now.size / before.size:.2f} times)"
    if before.nodes and now.nodes and len(now.nodes) > len(before.nodes):
        yield f"more ops: {len(before.nodes)} before, {len(now.nodes)} now: {_difference(before, now)}"
    elif _new_types(before, now):
        yield f"other ops: {_difference(before, now)}"
    gained = list((Counter(now.fallbacks) - Counter(before.fallbacks)).elements())
    if gained and len(now.fallbacks) > len(before.fallbacks):
        yield f"falls back: {_listed(gained)}"
    if before.latency_ratio and now.latency_ratio and now.latency_ratio * LATENCY_LOSS < before.latency_ratio:
        yield f"slower against the model as it is: {before.latency_ratio:.2f} before, {now.latency_ratio:.2f} now"


def _new_types(before: Record, now: Record) -> set[str]:
    if not before.nodes or not now.nodes:
        return set()
    return {each.split(" ")[0] for each in now.nodes} - {each.split(" ")[0] for each in before.nodes}


def _difference(before: Record, now: Record) -> str:
    """`Convolution conv1 is gone; Raster conv1 is new`."""
    gone, new = Counter(before.nodes) - Counter(now.nodes), Counter(now.nodes) - Counter(before.nodes)
    parts = [_named(list(gone), "gone"), _named(list(new), "new")]
    return "; ".join(filter(None, parts)) or "in another order"


def _named(nodes: Sequence[str], what: str) -> str:
    if not nodes:
        return ""
    return f"{_listed(nodes)} {'is' if len(nodes) == 1 else 'are'} {what}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"


def _outputs(before: Record, now: Record, limits: Limits) -> Iterator[str]:
    if not now.outputs:
        return
    for name, was in before.outputs.items():
        found = now.outputs.get(name)
        if found is None:
            yield f"output '{name}' is gone"
            continue
        yield from (f"output '{name}': {told}" for told in _output(was, found, rough=now.verdict == "within"))
        moved = _moved(was, found)
        if before.sha256 != now.sha256 and moved < limits.same_function_db:
            yield (
                f"output '{name}': the model computes something else: {moved:.1f} dB to the values that are kept, "
                f"wanted {limits.same_function_db:.0f}"
            )


def _output(was: OutputRecord, found: OutputRecord, *, rough: bool) -> Iterator[str]:
    if was.dtype != found.dtype:
        yield f"was {was.dtype}, is {found.dtype}"
    if rough and found.snr_db < was.snr_db - ROUGH_LOSS_DB:
        yield f"{was.snr_db:.1f} dB before, {found.snr_db:.1f} now"
    if was.top1 is not None and found.top1 is not None and found.top1 < was.top1 - TOP1_LOSS:
        yield f"top-1 {was.top1:.1%} before, {found.top1:.1%} now"


def _moved(was: OutputRecord, found: OutputRecord) -> float:
    """Signal-to-noise ratio of the kept values to those of today, in dB."""
    if len(was.sample) != len(found.sample):
        return -math.inf
    if not was.sample or was.sample == found.sample:
        return math.inf
    kept, new = np.array(was.sample), np.array(found.sample)
    power, noise = float(np.square(kept).sum()), float(np.square(new - kept).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(power / noise) if power > 0 else -math.inf


def _share(record: Record) -> float:
    return record.exercised / record.tried
