"""Looking into a file: which of its tensors are values of the model, and both errors of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat import mnn
from mnncompat.diagnosing.correspondence import Correspondence, corresponding
from mnncompat.diagnosing.layer_table import layout_differences, other_contents
from mnncompat.diagnosing.measuring import Measuring
from mnncompat.diagnosing.tracing import FileRunner, TraceRunner
from mnncompat.parity.output_scale import coarse_outputs
from mnncompat.parity.signature import output_names
from mnncompat.report.measures import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import numpy as np

    from mnncompat.diagnosing.bench import Bench
    from mnncompat.diagnosing.diagnose_options import DiagnoseOptions, Progress
    from mnncompat.graph.model_file import Model
    from mnncompat.graph.view import GraphView
    from mnncompat.mnn import MnnGraph

_MOST_HIDDEN = 4


class Inspection:
    """Looks into converted files of one model.

    Args:
        model: The model.
        view: Its main graph.
        options: Of the diagnosis.
        bench: Has the processes.
        progress: Told about every step.

    Attributes:
        seen: What was measured last; None before.
    """

    def __init__(
        self, model: Model, view: GraphView, options: DiagnoseOptions, bench: Bench, progress: Progress
    ) -> None:
        self._view = view
        self._skeleton = model.skeleton
        self._options = options
        self._bench = bench
        self._progress = progress
        self._hidden: set[str] = set()
        self._graph: tuple[Path, MnnGraph] | None = None
        self._begun: tuple[Path, Measuring] | None = None
        self.seen: Measuring | None = None

    def runner(self, file: Path) -> TraceRunner:
        """What runs a file: the device, if there is one."""
        limits, bench = self._options.limits, self._bench
        return FileRunner(
            file, limits=limits, performer=bench.server.perform, name=bench.name, inputs=self._options.inputs
        )

    def measuring(
        self, file: Path, feeds: Mapping[str, np.ndarray], golden: Mapping[str, np.ndarray], hidden: Collection[str]
    ) -> Measuring:
        """What measures a file; nothing is measured yet.

        Args:
            file: The file.
            feeds: Input of the model -> array.
            golden: Value -> what ONNX Runtime computes.
            hidden: Values that the file holds in another form.
        """
        coarse = coarse_outputs(self._skeleton, list(golden))
        bench, tensors = self._bench, self._tensors(file, hidden)
        return Measuring(self.runner(file), tensors, golden, feeds, bench.tolerance, coarse, pool=bench.pool)

    def begin(self, file: Path, feeds: Mapping[str, np.ndarray], golden: Mapping[str, np.ndarray]) -> None:
        """Begin what `measured` does first, before it is known that it is needed.

        Args:
            file: The file.
            feeds: Input of the model -> array.
            golden: Value -> what ONNX Runtime computes.
        """
        if self._bench.pool is not None:
            measuring = self.measuring(file, feeds, golden, self._hidden)
            measuring.begin_accumulated(output_names(self._skeleton))
            self._begun = file, measuring

    def _first(
        self, file: Path, feeds: Mapping[str, np.ndarray], golden: Mapping[str, np.ndarray], hidden: Collection[str]
    ) -> Measuring:
        """What `begin` began, if it is the same."""
        begun, self._begun = self._begun, None
        is_same = begun is not None and begun[0] == file and begun[1].golden is golden and hidden == self._hidden
        return begun[1] if begun and is_same else self.measuring(file, feeds, golden, hidden)

    def measured(
        self, file: Path, feeds: Mapping[str, np.ndarray], golden: Mapping[str, np.ndarray], known: Collection[str]
    ) -> Measuring:
        """Both errors of every value, without values that the file holds in another form.

        Args:
            file: The file.
            feeds: Input of the model -> array.
            golden: Value -> what ONNX Runtime computes.
            known: Values that are known to be held in another form.
        """
        names, hidden = output_names(self._skeleton), self._hidden | set(known)
        measuring = self.seen = self._first(file, feeds, golden, hidden)
        self._progress(f"look inside: {counted(len(measuring.tensors.numbers), 'tensor')}, as the file computes them")
        measuring.measure_accumulated(names)
        more = set(layout_differences(measuring, names)) - hidden
        while more and len(hidden) <= _MOST_HIDDEN * len(names):
            hidden |= more
            measuring.hide(self._tensors(file, hidden))
            more = set(layout_differences(measuring, names)) - hidden
        self._progress("look inside: each one by itself, fed with right values")
        measuring.measure_own(list(measuring.tensors.numbers))
        more = other_contents(measuring, names) - hidden
        while more:
            hidden |= more
            measuring.measure_own(measuring.hide(self._tensors(file, hidden)))
            more = other_contents(measuring, names) - hidden
        self._hidden = hidden
        return measuring

    def on_this_machine(self, file: Path, there: Measuring) -> Measuring | None:
        """The same on this machine, by its own tolerance; None if it is this machine that was measured."""
        if self._bench.where is None:
            return None
        self._progress("look inside: the same on this machine")
        runner = FileRunner(file, limits=self._options.limits, performer=self._bench.near, inputs=self._options.inputs)
        coarse = coarse_outputs(self._skeleton, list(there.golden))
        here = Measuring(runner, there.tensors, there.golden, there.feeds, self._options.inner, coarse)
        here.measure_accumulated(output_names(self._skeleton))
        here.measure_own(list(here.tensors.numbers))
        return here

    def _tensors(self, file: Path, hidden: Collection[str]) -> Correspondence:
        """The tensors of a file, which is read once, that are values of the model."""
        if self._graph is None or self._graph[0] != file:
            self._graph = file, mnn.read_graph(file)
        return corresponding(self._graph[1], self._view, hidden)
