"""Predictions as findings beside those of the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.diagnosing.half_precision.culprits import Culprit, bad_outputs, culprits, nearly_lost
from mnncompat.diagnosing.half_precision.prediction import ALARM_DB, Prediction
from mnncompat.diagnosing.half_precision.ranges import half_ranges
from mnncompat.inference.model_view import view_model
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Location, Severity
from mnncompat.results.failures import Failure
from mnncompat.results.half_precision_rules import PREDICTED, UNPREDICTED
from mnncompat.support.table import shipped_table

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model
    from mnncompat.graph.view import GraphView

_SURE_DB, _LIKELY_DB = 25.0, 35.0
_ADVICE = "`mnncompat verify --device arm64 --precision low` runs it; precision high or normal computes in float32"


def with_predictions(result: CheckResult, model: Model, found: Sequence[Prediction | Failure]) -> CheckResult:
    """Add what was predicted to the result of a check, with the ranges of the values inside.

    Args:
        result: The result of the check.
        model: The model that was checked.
        found: The prediction of each draw.
    """
    view = view_model(model).main
    failures = [each for each in found if isinstance(each, Failure)]
    added = [_failed(each, model) for each in failures[:1]]
    worst: dict[tuple[int, str], tuple[float, Diagnostic]] = {}
    for each in found:
        if isinstance(each, Failure):
            continue
        for diagnostic in _of_prediction(view, each):
            key = (diagnostic.location.index or 0, diagnostic.name)
            if key not in worst or each.worst_db < worst[key][0]:
                worst[key] = (each.worst_db, diagnostic)
    added += [diagnostic for _, diagnostic in worst.values()]
    items = [*(_decided(each, found) for each in result.diagnostics), *added]
    items.sort(key=lambda item: item.severity.rank)
    ranges = half_ranges(view, [each for each in found if not isinstance(each, Failure)])
    return replace(result, diagnostics=tuple(items), ranges=ranges)


def _decided(diagnostic: Diagnostic, found: Sequence[Prediction | Failure]) -> Diagnostic:
    """A finding of a row about half precision that values decide: no warning where the draws say that all is well."""
    if diagnostic.status != "partial" or not _is_about_low(diagnostic) or not found:
        return diagnostic
    predictions = [each for each in found if not isinstance(each, Failure)]
    if len(predictions) < len(found) or any(bad_outputs(each) for each in predictions):
        return diagnostic
    worst = min(each.worst_db for each in predictions)
    words = "exact" if worst == math.inf else f"at {worst:.0f} dB"
    told = f"not on these inputs, of which the worst output is predicted {words}: {diagnostic.message}"
    return replace(diagnostic, severity=Severity.INFO, message=told)


def _is_about_low(diagnostic: Diagnostic) -> bool:
    rows = shipped_table().rows(diagnostic.location.op_type)
    return any(row.code == diagnostic.code and row.precision == ("low",) for row in rows)


def _of_prediction(view: GraphView, prediction: Prediction) -> list[Diagnostic]:
    if not bad_outputs(prediction):
        return [
            _finding(
                view, prediction, each, f"it holds in draw {prediction.draw}, and may not for inputs of twice the size"
            )
            for each in nearly_lost(prediction.view, prediction)
        ]
    return [
        _finding(view, prediction, each, f"{_outcome(prediction, each.outputs)} ({_trust(prediction)})")
        for each in culprits(prediction.view, prediction)
    ]


def _finding(view: GraphView, prediction: Prediction, culprit: Culprit, outcome: str) -> Diagnostic:
    inner = prediction.view.location(culprit.index)
    where = f"in the branch taken, {inner.op_type} {inner.node}: " if prediction.inside[culprit.index] else ""
    return PREDICTED.finding(
        view.location(prediction.origins[culprit.index]),
        f"{where}{culprit.why}; {outcome}",
        status="partial",
        hint=_ADVICE,
        evidence=PREDICTED.evidence,
    )


def _outcome(prediction: Prediction, outputs: Sequence[str]) -> str:
    name = outputs[0]
    others = f" and {len(outputs) - 1} more" if len(outputs) > 1 else ""
    loss = prediction.outputs[name]
    if loss.lost:
        return f"output {name}{others} is predicted to hold infinities or NaN"
    few = ", which is little for so few numbers" if loss.snr_db >= ALARM_DB else f", below {ALARM_DB:.0f}"
    return f"output {name}{others} is predicted at {loss.snr_db:.0f} dB{few}"


def _trust(prediction: Prediction) -> str:
    """The draw, and how far the prediction is from the limit: it is off by some dB."""
    worst = prediction.worst_db
    sure = "high" if worst < _SURE_DB else "medium" if worst < _LIKELY_DB else "low"
    return f"draw {prediction.draw}; confidence: {sure}"


def _failed(failure: Failure, model: Model) -> Diagnostic:
    return UNPREDICTED.finding(
        Location(model=model.name),
        f"half precision could not be simulated: {failure.message}",
        status="unknown",
        hint="`mnncompat verify --device arm64 --precision low` runs the converted file",
    )
