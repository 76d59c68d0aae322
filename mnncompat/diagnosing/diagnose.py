"""Find out why a converted model computes something else than the original."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat import mnn
from mnncompat.diagnosing.bench import Bench
from mnncompat.diagnosing.control_flow import body_of
from mnncompat.diagnosing.correspondence import Correspondence, corresponding
from mnncompat.diagnosing.crashes import culprit_in_file, culprit_of_failure
from mnncompat.diagnosing.culprits import Found, culprits_of, known_about, misread, united
from mnncompat.diagnosing.diagnose_options import DiagnoseOptions, Progress
from mnncompat.diagnosing.draws import Chosen, Drawing, choose, first_reference
from mnncompat.diagnosing.environment import versions
from mnncompat.diagnosing.golden import GoldenValues, golden_values
from mnncompat.diagnosing.layer_table import layers, layout_differences, other_contents
from mnncompat.diagnosing.measuring import Measuring
from mnncompat.diagnosing.minimize import minimized
from mnncompat.diagnosing.repro import require_repro_folder, write_repro
from mnncompat.diagnosing.tracing import HostRunner, TraceRunner
from mnncompat.diagnosing.whole_model import converted, whole_attempts
from mnncompat.errors import MnncompatError, RunnerError
from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.external_data import follow_links
from mnncompat.graph.model_file import Model, from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.mnn import ConvertOptions, MnnGraph
from mnncompat.parity import real_data
from mnncompat.parity.output_scale import coarse_outputs
from mnncompat.parity.signature import output_names
from mnncompat.report.measures import counted
from mnncompat.results.diagnosis import Attempt, Diagnosis, DiagnosisVerdict
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.graph.view import GraphView

_MOST_HIDDEN = 4


def diagnose(
    model: Model, file: Path | None, options: DiagnoseOptions, *, progress: Progress = lambda _: None
) -> Diagnosis:
    """Find the node, or the fused group of nodes, that makes a converted model compute something else.

    Args:
        model: The original.
        file: The `.mnn` file; None converts the model.
        options: See `DiagnoseOptions`.
        progress: Told about every step.

    Returns:
        What was found. An interruption (Ctrl-C) ends it early: `Diagnosis.complete` is False then.

    Raises:
        RunnerError: MNN or ONNX Runtime is not installed, or ONNX Runtime does not run the model.
        ModelError: The model or the file cannot be read.
        UsageError: A shape or an array does not fit.
        OutputError: The folder of the repro cannot be written, or holds something else.
    """
    if options.repro is not None:
        require_repro_folder(options.repro)
    model.load_weights()
    with ScratchFolder() as folder, Bench(folder, limits=options.limits, tolerance=options.inner) as bench:
        return _Run(model, options, progress, folder, bench).run(file)


class _Run:
    """One diagnosis, in a folder of its own."""

    def __init__(self, model: Model, options: DiagnoseOptions, progress: Progress, folder: Path, bench: Bench) -> None:
        self._model = model
        self._options = options
        self._progress = progress
        self._folder = folder
        self._bench = bench
        self._view: GraphView = view_model(model).main
        self._started = time.monotonic()
        self._hidden: set[str] = set()
        self._seen: Measuring | None = None
        self._graph: tuple[Path, MnnGraph] | None = None
        self._found = Diagnosis(
            source=model.name,
            file="",
            verdict=DiagnosisVerdict.UNEXPLAINED,
            shapes={},
            outputs={},
            seed=options.drawing.seed,
            versions=versions(),
            complete=False,
        )

    def run(self, file: Path | None) -> Diagnosis:
        """Every step; what was found until an interruption."""
        self._found = replace(self._found, file="" if file is None else str(file))
        try:
            self._steps(file)
        except Exception:
            raise
        except BaseException:  # noqa: BLE001 - Ctrl-C: what was found so far is worth reporting
            seen = self._found.layers or (() if self._seen is None else layers(self._seen, self._view, set()))
            return replace(self._found, layers=seen, seconds=time.monotonic() - self._started)
        return replace(self._found, complete=True, seconds=time.monotonic() - self._started)

    def _steps(self, file: Path | None) -> None:
        self._progress("reference: one draw under ONNX Runtime")
        reference = first_reference(self._model, self._options.drawing)
        if isinstance(reference.outputs, Failure):
            raise RunnerError(
                f"ONNX Runtime cannot run the model: {reference.outputs.message}",
                hint=reference.outputs.way_to_a_reference(
                    "give the shapes of dynamic inputs with --shape, or data with --input"
                ),
            )
        made = self._converted() if file is None else file
        if isinstance(made, Failure):
            self._found = replace(self._found, failure=made, draw=reference.feeds[0].name)
            self._find_failing(made, reference.feeds[0].arrays, None)
            return
        self._progress("compare: does MNN compute the same?")
        chosen = choose(
            self._model,
            made,
            reference,
            self._options.drawing,
            limits=self._options.limits,
            runner=self._runner(made),
            folder=self._folder,
            apart=bool(self._options.inputs),
        )
        self._tell(chosen)
        if chosen.failure is not None:
            self._find_failing(chosen.failure, chosen.feeds.arrays, made)
            return
        self._look_inside(made, chosen)

    def _converted(self) -> Path | Failure:
        self._progress("convert: as the model is, without rewrites")
        return self._convert(self._model, self._options.converter)

    def _convert(self, model: Model, options: ConvertOptions) -> Path | Failure:
        """Convert a model into a file of its own."""
        perform = self._bench.server.perform
        return converted(model, options, folder=self._folder, limits=self._options.limits, performer=perform)

    def _tell(self, chosen: Chosen) -> None:
        """What is known before the file is looked into."""
        failing = (*([chosen.feeds.name] if chosen.failing or chosen.failure else ()), *chosen.also)
        drawn = (chosen.feeds.name,) if chosen.report is None else chosen.report.draws
        notes = () if chosen.report is None else chosen.report.notes
        agrees = chosen.failure is None and not chosen.failing
        self._found = replace(
            self._found,
            verdict=DiagnosisVerdict.AGREES if agrees else DiagnosisVerdict.UNEXPLAINED,
            draw=chosen.feeds.name,
            draws=drawn,
            failing=failing,
            shapes=chosen.feeds.shapes,
            outputs=chosen.failing,
            failure=chosen.failure,
            notes=notes,
        )

    def _find_failing(self, failure: Failure, feeds: dict[str, np.ndarray], file: Path | None) -> None:
        """The node on which MNN fails."""
        self._progress(f"MNN fails ({failure.message}): on which node?")
        golden = self._golden(feeds)
        if isinstance(golden, Failure):
            note = f"ONNX Runtime does not show the values inside the model: {golden.message}"
            self._found = replace(self._found, notes=(*self._found.notes, note))
            return
        findings = known_about(self._view, range(len(self._view.nodes)))
        values = ChainMap(feeds, dict(golden))
        found: Found | None
        found = culprit_of_failure(self._view, values, failure, self._bench, self._options.converter, findings)
        if found is None and file is not None:
            measuring, names = self._measuring(file, feeds, golden, set()), output_names(self._model.skeleton)
            told = culprit_in_file(self._view, measuring, failure, names)
            found = None if told is None else (told, None)
        if found is None:
            note = (
                "no part of the model makes MNN fail in the same way; the table names what it knows: `mnncompat check`"
            )
            self._found = replace(self._found, notes=(*self._found.notes, note))
            return
        inner = self._inside(found, file, values)
        self._found = replace(self._found, verdict=DiagnosisVerdict.CULPRIT, culprits=(inner[0],))
        self._write_repro(inner, values)

    def _golden(self, feeds: dict[str, np.ndarray]) -> GoldenValues | Failure:
        """Every value of the main graph under ONNX Runtime."""
        values = [name for node in self._view.nodes for name in node.output if name]
        self._progress(f"reference: {counted(len(values), 'value')} under ONNX Runtime")
        data = None if self._model.path is None else follow_links(self._model.skeleton, self._model.path)
        return golden_values(self._model.skeleton, self._view, values, feeds, folder=self._folder, data=data)

    def _look_inside(self, file: Path, chosen: Chosen) -> None:
        golden = self._golden(chosen.feeds.arrays)
        if isinstance(golden, Failure):
            raise RunnerError(
                f"ONNX Runtime does not show the values inside the model: {golden.message}",
                hint="please report it with the model",
            )
        self._blame(file, chosen, golden, frozenset())

    def _blame(self, file: Path, chosen: Chosen, golden: GoldenValues, hidden: frozenset[str]) -> None:
        """Find the culprits, without values that the file holds in another form."""
        measuring = self._measured(file, chosen, golden, hidden)
        culprits: list[Found] = []
        values = ChainMap(measuring.feeds, dict(measuring.golden))
        guilty: set[tuple[str, ...]] = set()
        if chosen.failing:
            self._progress("blame: which of the errors reaches the outputs?")
            culprits, guilty, notes = culprits_of(measuring, self._view, chosen, self._bench, self._options.converter)
            more = misread([each for each, _ in culprits], measuring, self._view, self._bench, self._options.converter)
            if more.intersection(measuring.tensors.numbers):
                self._blame(file, chosen, golden, hidden | more)
                return
            culprits = united([self._inside(each, file, values) for each in culprits])
            culprits = united([*culprits, *self._of_other_draws(file, chosen, hidden)])
            may_be_switched = not any(part or each.in_file for each, part in culprits)
            verdict = DiagnosisVerdict.CULPRIT if culprits else DiagnosisVerdict.ACCUMULATED
            self._found = replace(
                self._found,
                verdict=verdict,
                culprits=tuple(each for each, _ in culprits),
                notes=(*self._found.notes, *notes),
                attempts=self._switched(chosen, golden) if may_be_switched else (),
            )
        self._found = replace(self._found, layers=layers(measuring, self._view, guilty))
        self._write_repro(culprits[0] if culprits else None, values)

    def _of_other_draws(self, file: Path, chosen: Chosen, hidden: frozenset[str]) -> Iterator[Found]:
        """Culprits of further draws that fail."""
        for other in chosen.others:
            self._progress(f"another draw: {other.feeds.name}")
            golden = self._golden(other.feeds.arrays)
            if isinstance(golden, Failure) or not other.failing:
                continue
            measuring = self._measured(file, other, golden, hidden)
            values = ChainMap(measuring.feeds, dict(measuring.golden))
            for each in culprits_of(measuring, self._view, other, self._bench, self._options.converter)[0]:
                yield self._inside(each, file, values)

    def _switched(self, chosen: Chosen, golden: GoldenValues) -> tuple[Attempt, ...]:
        """The whole model with one switch after the other; a body is no model that could be converted alone."""
        if self._options.inputs:
            return ()
        self._progress("switches: the whole model again, converted otherwise")
        tried = whole_attempts(
            self._model,
            chosen,
            golden,
            self._options.drawing,
            self._options.converter,
            convert=self._convert,
            runner=self._runner,
        )
        return tuple(tried)

    def _inside(self, found: Found, file: Path | None, values: Mapping[str, np.ndarray]) -> Found:
        """A culprit that holds bodies: the node inside, where that can be told."""
        culprit, part = found
        index = next((each.index for each in culprit.nodes if each.op_type in ("If", "Loop")), None)
        beside = [name for each in culprit.nodes for name in each.outputs]
        body = None if index is None else body_of(self._view, index, values, file, self._folder, beside)
        if index is None or body is None:
            return found
        where = self._view.location(index)
        self._progress(f"inside {where.path}: which node of its {body.name}?")
        drawing = Drawing(shapes={}, data=real_data(list(body.feeds), only=True), seed=self._options.drawing.seed)
        options = replace(self._options, drawing=drawing, repro=None, inputs=body.held if body.file else {})
        try:
            inner = diagnose(from_proto(body.model), body.file, options)
        except MnncompatError:
            return found
        if not inner.culprits or inner.culprits[0].status != culprit.status:
            return found
        first = inner.culprits[0]
        path = (*where.graph, f"{where.node}.{body.name}")
        nodes = tuple(replace(each, model=where.model, graph=(*path, *each.graph)) for each in first.nodes)
        shown = (*culprit.shown_by, *(f"inside {where.path}: {each}" for each in first.shown_by))
        return replace(first, nodes=nodes, outputs=culprit.outputs, draws=culprit.draws, shown_by=shown), part

    def _write_repro(self, found: Found | None, values: Mapping[str, np.ndarray]) -> None:
        """Write the repro of the first culprit, if that is wanted and it shows alone."""
        folder, options = self._options.repro, self._options.converter
        if folder is None or found is None:
            return
        culprit, part = found
        if part is None:
            shown = "the culprit is right, so there is no ONNX model that shows it"
            note = f"no repro: converted anew, {shown if culprit.in_file else 'no part of the model shows it'}"
            self._found = replace(self._found, notes=(*self._found.notes, note))
            return
        self._progress("repro: removing nodes and halving dimensions as long as it shows")
        least = minimized(part, self._view, values, self._bench, options)
        write_repro(folder, least, self._bench.attempt(least, options), culprit, options)
        self._found = replace(self._found, repro=folder)

    def _measured(self, file: Path, chosen: Chosen, golden: GoldenValues, known: Collection[str]) -> Measuring:
        """Both errors of every value, without values that the file holds in another form."""
        names, hidden = output_names(self._model.skeleton), self._hidden | set(known)
        measuring = self._seen = self._measuring(file, chosen.feeds.arrays, golden, hidden)
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

    def _runner(self, file: Path) -> TraceRunner:
        """What runs a file."""
        limits, performer = self._options.limits, self._bench.server.perform
        if self._options.make_runner is not None:
            return self._options.make_runner(file, limits, performer)
        return HostRunner(file, limits=limits, performer=performer, inputs=self._options.inputs)

    def _tensors(self, file: Path, hidden: Collection[str]) -> Correspondence:
        """The tensors of a file, which is read once, that are values of the model."""
        if self._graph is None or self._graph[0] != file:
            self._graph = file, mnn.read_graph(file)
        return corresponding(self._graph[1], self._view, hidden)

    def _measuring(
        self, file: Path, feeds: dict[str, np.ndarray], golden: GoldenValues, hidden: Collection[str]
    ) -> Measuring:
        """What measures a file; nothing is measured yet."""
        runner = self._runner(file)
        tensors = self._tensors(file, hidden)
        coarse = coarse_outputs(self._model.skeleton, list(golden))
        return Measuring(runner, tensors, golden, feeds, self._options.inner, coarse)
