"""How near a model comes to the original in half precision, by a simulation: where no device is at hand."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.fixing.device_trial import Draws, Ratios
    from mnncompat.graph.model_file import Model

_WORST, _BEST = -10.0, 60.0
_INSIDE = "values inside"


class SimulatedTrial:
    """Simulates forms of one model on the same draws.

    Args:
        draws: What it is given.
    """

    decides = False
    where = "simulation of low, mean of the values inside"

    def __init__(self, draws: Draws) -> None:
        self._draws = draws

    def measure(self, model: Model) -> Ratios | str:
        """Simulate a form of the model.

        A single output's error is one draw of chance, and may be dominated by few elements: the mean of all values
        inside tells more of what a rewrite does.

        Returns:
            Draw -> the mean ratio of the values inside and the outputs to the form's own in float32, each between -10
            and 60 dB, and minus infinity for each output that is lost; or why there are none.
        """
        from mnncompat.diagnosing.half_precision.prediction import Predictor

        predictor = Predictor(model, limits=self._draws.limits)
        found: Ratios = {}
        for feeds in self._draws.feeds:
            predicted = predictor.predict(feeds.name, feeds.arrays)
            if isinstance(predicted, Failure):
                return predicted.message
            losses = [*predicted.values.values(), *predicted.outputs.values()]
            ratios = [_WORST if each.lost else min(max(each.snr_db, _WORST), _BEST) for each in losses]
            if not ratios:
                return "no value is a floating-point number"
            found[feeds.name, _INSIDE] = sum(ratios) / len(ratios)
            found |= {(feeds.name, name): -math.inf for name, each in predicted.outputs.items() if each.lost}
        return found


@contextmanager
def simulated(draws: Draws) -> Iterator[SimulatedTrial]:
    """What judges rewrites for half precision where there is no device."""
    yield SimulatedTrial(draws)
