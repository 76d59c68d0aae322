"""The original under ONNX Runtime: its outputs, and the values inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.diagnosing.golden import GoldenValues, are_same, golden_values, parts_of
from mnncompat.graph.external_data import follow_links
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.signature import output_names
from mnncompat.report.measures import counted
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from mnncompat.diagnosing.diagnose_options import Progress
    from mnncompat.graph.model_file import Model
    from mnncompat.graph.view import GraphView


class Original:
    """A model under ONNX Runtime. As a runner it keeps the values inside of a run on one draw, if memory holds them.

    Args:
        model: The model.
        view: Its main graph.
        progress: Told about every step.
        folder: For values that do not fit into memory.
        keeps: Whether a run as it is keeps them.
    """

    def __init__(self, model: Model, view: GraphView, progress: Progress, folder: Path, *, keeps: bool) -> None:
        self._model = model
        self._view = view
        self._progress = progress
        self._folder = folder
        self._keeps = keeps
        self._plain = OnnxRunner(model.path or model.skeleton)
        self._known: tuple[Mapping[str, np.ndarray], GoldenValues | Failure] | None = None
        self.name, self.evaluate = self._plain.name, self._plain.evaluate

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | Failure:
        """Run the model on each of the feeds, see `mnncompat.parity.runners.Runner`."""
        names = output_names(self._model.skeleton)
        found = self._at_once(feeds[0]) if self._keeps and len(feeds) == 1 else None
        if found is None or isinstance(found, Failure) or any(name not in found for name in names):
            return self._plain.run(feeds)  # several draws, too many values, or it does not run when it is looked into
        return [{name: found[name] for name in names}]

    def values(self, feeds: Mapping[str, np.ndarray]) -> GoldenValues | Failure:
        """Every value of the main graph; what was computed last is kept."""
        if self._known is None or not are_same(self._known[0], feeds):
            self._known = feeds, self._computed(feeds, parts_of(self._model.skeleton, self._view, feeds))
        return self._known[1]

    def _at_once(self, feeds: Mapping[str, np.ndarray]) -> GoldenValues | Failure | None:
        """Every value of the main graph, unless one run cannot hold them."""
        parts = parts_of(self._model.skeleton, self._view, feeds)
        if len(parts) != 1:
            return None
        self._known = feeds, self._computed(feeds, parts)
        return self._known[1]

    def _computed(self, feeds: Mapping[str, np.ndarray], parts: list[list[str]]) -> GoldenValues | Failure:
        self._progress(f"reference: {counted(sum(map(len, parts)), 'value')} under ONNX Runtime")
        data = None if self._model.path is None else follow_links(self._model.skeleton, self._model.path)
        return golden_values(self._model.skeleton, parts, feeds, folder=self._folder, data=data)
