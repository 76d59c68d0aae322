"""How often a prediction of half precision comes true, on measured micro-models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx import ModelProto

from mnncompat.diagnosing.half_precision.prediction import ALARM_DB, Predictor
from mnncompat.errors import ModelError
from mnncompat.graph.model_file import from_proto
from mnncompat.parity.tolerance import HALF_PRECISION
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.probe.case import Case

_RAN = (Outcome.OK, Outcome.WRONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRate:
    """What the simulation said of cases that are right with precision high, and what a device computed with low.

    Attributes:
        wrong: Cases that are wrong there.
        missed: Those of them that the simulation takes for right.
        right: Cases that are right there.
        false: Those of them that it takes for wrong.
        unknown: Cases that could not be simulated.
    """

    wrong: tuple[str, ...]
    missed: tuple[str, ...]
    right: tuple[str, ...]
    false: tuple[str, ...]
    unknown: tuple[str, ...]


def hit_rate(cases: Iterable[Case], high: Mapping[str, Measurement], low: Mapping[str, Measurement]) -> HitRate:
    """Simulate each case on its own inputs, and compare.

    A case counts as predicted wrong below the ratio at which its measurement does.

    Args:
        cases: The corpus.
        high: What was measured with precision high, by case.
        low: The same with precision low.
    """
    found: dict[str, list[str]] = {"wrong": [], "missed": [], "right": [], "false": [], "unknown": []}
    for case in cases:
        before, after = high.get(case.id), low.get(case.id)
        if before is None or after is None or before.outcome is not Outcome.OK or after.outcome not in _RAN:
            continue
        is_wrong = after.outcome is Outcome.WRONG
        predicted = _is_predicted_wrong(case)
        if predicted is None:
            found["unknown"].append(case.id)
            continue
        found["wrong" if is_wrong else "right"].append(case.id)
        if predicted is not is_wrong:
            found["missed" if is_wrong else "false"].append(case.id)
    return HitRate(**{name: tuple(each) for name, each in found.items()})


def _is_predicted_wrong(case: Case) -> bool | None:
    try:
        model = from_proto(ModelProto.FromString(case.model))
    except ModelError:
        return None
    predicted = Predictor(model).predict(case.id, case.feeds)
    return None if isinstance(predicted, Failure) else predicted.worst_db < (HALF_PRECISION.snr_db or ALARM_DB)
