"""What values inside a model need of the range of float16."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.diagnosing.half_precision.culprits import entering, winograd_block
from mnncompat.diagnosing.half_precision.winograd import amplification
from mnncompat.results.diagnostics import HalfRange
from mnncompat.support.half_conditions import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mnncompat.diagnosing.half_precision.prediction import Prediction
    from mnncompat.graph.view import GraphView


def half_ranges(view: GraphView, predictions: Iterable[Prediction]) -> tuple[HalfRange, ...]:
    """The ranges of all values over all draws, the furthest first.

    Args:
        view: The main graph of the model that was checked.
        predictions: Of the draws.
    """
    furthest: dict[tuple[int | None, str], HalfRange] = {}
    for prediction in predictions:
        for each in _of_draw(view, prediction):
            key = (each.location.index, each.value)
            if key not in furthest or _rank(each) > _rank(furthest[key]):
                furthest[key] = each
    return tuple(sorted(furthest.values(), key=_rank, reverse=True))


def _rank(found: HalfRange) -> tuple[bool, float]:
    return (found.lost, found.reach)


def _of_draw(view: GraphView, prediction: Prediction) -> Iterator[HalfRange]:
    for name, loss in prediction.values.items():
        index = prediction.view.producers[name]
        block = winograd_block(prediction.view, prediction, name)
        operand = None if block is None else entering(prediction.view, prediction, prediction.view.nodes[index])
        inside = 0.0 if block is None or operand is None else operand * amplification(*block)
        yield HalfRange(
            location=view.location(prediction.origins[index]),
            value=name,
            draw=prediction.draw,
            largest=loss.largest,
            reach=max(loss.largest, inside) / LARGEST,
            snr_db=loss.snr_db,
            lost=loss.lost,
        )
