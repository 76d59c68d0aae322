"""The reference while draws are looked for: the same run gives what half precision does to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.diagnosing.half_precision.prediction import Prediction
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from mnncompat.diagnosing.half_precision.prediction import Predictor
    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.parity.runners import OnnxRunner


class SimulatingRunner:
    """ONNX Runtime on the simulation, and on the model alone where that fails or memory is bounded.

    Args:
        predictor: Of the model.
        runner: Of the model alone.
    """

    name = "onnxruntime"

    def __init__(self, predictor: Predictor, runner: OnnxRunner) -> None:
        self._predictor = predictor
        self._runner = runner
        self._found: list[tuple[Mapping[str, np.ndarray], Prediction]] = []
        self._is_bounded = False

    def load(self) -> None:
        """Load the model, which is not counted where memory is bounded."""
        self._is_bounded = True
        self._runner.load()

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | Failure:
        """Run the model on each of the feeds; a failure is that of the model alone."""
        outputs: list[dict[str, np.ndarray]] = []
        for feed in feeds:
            found = None if self._is_bounded else self._tried(feed)
            if not isinstance(found, Prediction):
                return self._runner.run(feeds)
            self._found.append((feed, found))
            outputs.append(dict(found.exact))
        return outputs

    def _tried(self, feed: Mapping[str, np.ndarray]) -> Prediction | Failure | None:
        try:
            return self._predictor.predict("", feed)
        except Exception:  # noqa: BLE001 - the model may not take these inputs, and then no shape inside fits
            return None

    def prediction(self, feeds: NamedFeeds) -> Prediction | Failure:
        """What half precision does to a draw."""
        for feed, found in self._found:
            if feed is feeds.arrays:
                return replace(found, draw=feeds.name)
        return self._predictor.predict(feeds.name, feeds.arrays)
