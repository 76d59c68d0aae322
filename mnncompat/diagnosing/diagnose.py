"""Find out why a converted model computes something else than the original."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.diagnosing.bench import Bench
from mnncompat.diagnosing.control_flow import body_of
from mnncompat.diagnosing.crashes import culprit_in_file, culprit_of_failure
from mnncompat.diagnosing.culprits import Found, culprits_of, known_about, misread, seen_here, united, with_stored
from mnncompat.diagnosing.diagnose_options import DiagnoseOptions, Progress
from mnncompat.diagnosing.draws import Chosen, Drawing, choose, first_reference
from mnncompat.diagnosing.environment import versions
from mnncompat.diagnosing.inspection import Inspection
from mnncompat.diagnosing.lanes import MOST_SIDE_BY_SIDE, Lanes
from mnncompat.diagnosing.layer_table import layers
from mnncompat.diagnosing.minimize import minimized
from mnncompat.diagnosing.originals import Original
from mnncompat.diagnosing.repro import require_repro_folder, write_repro
from mnncompat.diagnosing.weights_apart import is_plain, may_lie_apart
from mnncompat.diagnosing.whole_model import converted, whole_attempts
from mnncompat.errors import MnncompatError, RunnerError
from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.file_copies import copy_file
from mnncompat.graph.model_file import Model, from_proto, serialised_bytes
from mnncompat.inference.model_view import view_model
from mnncompat.mnn import ConvertOptions
from mnncompat.parity import real_data
from mnncompat.parity.signature import output_names
from mnncompat.probe.on_device import tolerance_there
from mnncompat.results.diagnosis import Attempt, Diagnosis, DiagnosisVerdict
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.diagnosing.golden import GoldenValues
    from mnncompat.graph.view import GraphView


def diagnose(
    model: Model,
    file: Path | None,
    options: DiagnoseOptions,
    *,
    progress: Progress = lambda _: None,
    lanes: Lanes | None = None,
    stays: bool = True,
) -> Diagnosis:
    """Find the node, or the fused group of nodes, that makes a converted model compute something else.

    Args:
        model: The original.
        file: The `.mnn` file; None converts the model.
        options: See `DiagnoseOptions`.
        progress: Told about every step.
        lanes: Processes that are there already; None starts some.
        stays: Whether these are not ended here.

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
    rough = tolerance_there(options.where)
    inner = rough if rough is not None and options.inner.snr_db is None else options.inner
    drawing = replace(options.drawing, tolerance=options.drawing.tolerance or rough)
    options = replace(options, drawing=drawing)
    start = partial(Bench, limits=options.limits, tolerance=inner, where=options.where, lanes=lanes, stays=stays)
    several = serialised_bytes(model.skeleton) < MOST_SIDE_BY_SIDE
    with ScratchFolder() as folder, start(folder, side_by_side=several) as bench:
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
        self._original = Original(model, self._view, progress, folder, keeps=bench.pool is not None)
        self._inspection = Inspection(model, self._view, options, bench, progress)
        self._found = Diagnosis(
            source=model.name,
            file="",
            verdict=DiagnosisVerdict.UNEXPLAINED,
            shapes={},
            outputs={},
            runner=bench.name,
            seed=options.drawing.seed,
            versions=versions(),
            complete=False,
        )

    def run(self, file: Path | None) -> Diagnosis:
        """Every step; what was found until an interruption."""
        self._found = replace(self._found, file="" if file is None else str(file))
        blank, is_apart = self._found, file is None and may_lie_apart(self._view, self._options)
        try:
            if not self._steps(file, is_apart=is_apart):
                self._found = blank
                self._steps(file, is_apart=False)
        except Exception:
            raise
        except BaseException:  # noqa: BLE001 - Ctrl-C: what was found so far is worth reporting
            looked = self._inspection.seen
            seen = self._found.layers or (() if looked is None else layers(looked, self._view, set()))
            return replace(self._found, layers=seen, seconds=time.monotonic() - self._started)
        return replace(self._found, complete=True, seconds=time.monotonic() - self._started)

    def _steps(self, file: Path | None, *, is_apart: bool) -> bool:
        """All of it; False if the weights lay apart and nothing was found that the usual file needs to show as well."""
        self._progress("reference: under ONNX Runtime")
        with ThreadPoolExecutor(1) as beside:
            making = beside.submit(self._converted, file, is_apart=is_apart)
            several = self._options.where is not None
            reference = first_reference(self._model, self._options.drawing, self._original, several=several)
            early = None
            if self._bench.pool is not None and not isinstance(reference.outputs, Failure):
                early = self._original.values(reference.feeds[0].arrays)  # while MNN converts
        if isinstance(reference.outputs, Failure):
            raise RunnerError(
                f"ONNX Runtime cannot run the model: {reference.outputs.message}",
                hint=reference.outputs.way_to_a_reference(
                    "give the shapes of dynamic inputs with --shape, or data with --input"
                ),
            )
        made = making.result()
        if isinstance(made, Failure):
            if not is_apart:
                self._found = replace(self._found, failure=made, draw=reference.feeds[0].name)
                self._find_failing(made, reference.feeds[0].arrays, None)
            return not is_apart
        if early is not None and not isinstance(early, Failure):
            self._inspection.begin(made, reference.feeds[0].arrays, early)
        self._progress(f"compare: does {self._bench.name} compute the same?")
        chosen = choose(
            self._model,
            made,
            reference,
            self._options.drawing,
            limits=self._options.limits,
            runner=self._inspection.runner(made),
            folder=self._folder,
            apart=bool(self._options.inputs) or self._options.where is not None or is_apart,
        )
        return self._explained(made, chosen, is_apart=is_apart)

    def _explained(self, made: Path, chosen: Chosen, *, is_apart: bool) -> bool:
        """What follows from a draw; False as of `_steps`."""
        if is_apart and not is_plain(chosen):
            return False
        self._tell(chosen)
        if chosen.failure is not None:
            self._find_failing(chosen.failure, chosen.feeds.arrays, made)
            return True
        return self._look_inside(made, chosen, is_apart=is_apart)

    def _converted(self, file: Path | None, *, is_apart: bool) -> Path | Failure:
        if file is not None:
            return file
        self._progress("convert: as the model is, without rewrites")
        made = self._convert(self._model, replace(self._options.converter, external_weights=is_apart))
        if self._options.kept is not None and isinstance(made, Path):
            copy_file(made, self._options.kept)
        return made

    def _convert(self, model: Model, options: ConvertOptions) -> Path | Failure:
        """Convert a model into a file of its own."""
        return converted(model, options, folder=self._folder, limits=self._options.limits, performer=self._bench.near)

    def _tell(self, chosen: Chosen) -> None:
        """What is known before the file is looked into."""
        failing = (*([chosen.feeds.name] if chosen.failing or chosen.failure else ()), *chosen.also)
        drawn = chosen.compared or ((chosen.feeds.name,) if chosen.report is None else chosen.report.draws)
        notes = () if chosen.report is None else chosen.report.notes
        agrees = chosen.failure is None and not chosen.failing
        if agrees and chosen.report is not None and not chosen.report.passed:  # as of outputs that are random
            agrees, notes = False, (*chosen.report.problems, *notes)
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
        golden = self._original.values(feeds)
        if isinstance(golden, Failure):
            note = f"ONNX Runtime does not show the values inside the model: {golden.message}"
            self._found = replace(self._found, notes=(*self._found.notes, note))
            return
        findings = known_about(self._view, range(len(self._view.nodes)), self._bench)
        values = ChainMap(feeds, dict(golden))
        found: Found | None
        found = culprit_of_failure(self._view, values, failure, self._bench, self._options.converter, findings)
        if found is None and file is not None:
            measuring = self._inspection.measuring(file, feeds, golden, set())
            told = culprit_in_file(self._view, measuring, failure, output_names(self._model.skeleton))
            found = None if told is None else (with_stored(told, self._view), None)
        if found is None:
            note = (
                "no part of the model makes MNN fail in the same way; the table names what it knows: `mnncompat check`"
            )
            self._found = replace(self._found, notes=(*self._found.notes, note))
            return
        inner = self._inside(found, file, values)
        self._found = replace(self._found, verdict=DiagnosisVerdict.CULPRIT, culprits=(inner[0],))
        self._write_repro(inner, values)

    def _look_inside(self, file: Path, chosen: Chosen, *, is_apart: bool) -> bool:
        golden = self._original.values(chosen.feeds.arrays)
        if isinstance(golden, Failure):
            raise RunnerError(
                f"ONNX Runtime does not show the values inside the model: {golden.message}",
                hint="please report it with the model",
            )
        return self._blame(file, chosen, golden, frozenset(), is_apart=is_apart)

    def _blame(
        self, file: Path, chosen: Chosen, golden: GoldenValues, hidden: frozenset[str], *, is_apart: bool
    ) -> bool:
        """Find the culprits, without values that the file holds in another form; False if they need the usual file."""
        measuring = self._inspection.measured(file, chosen.feeds.arrays, golden, hidden)
        host = self._inspection.on_this_machine(file, measuring)
        culprits: list[Found] = []
        values = ChainMap(measuring.feeds, dict(measuring.golden))
        guilty: set[tuple[str, ...]] = set()
        if chosen.failing:
            self._progress("blame: which of the errors reaches the outputs?")
            culprits, guilty, notes = culprits_of(measuring, self._view, chosen, self._bench, self._options.converter)
            more = misread([each for each, _ in culprits], measuring, self._view, self._bench, self._options.converter)
            if more.intersection(measuring.tensors.numbers):
                return self._blame(file, chosen, golden, hidden | more, is_apart=is_apart)
            if is_apart and not (culprits and all(part is not None for _, part in culprits)):
                return False
            culprits = united([self._inside(each, file, values) for each in culprits])
            culprits = united([*culprits, *self._of_other_draws(file, chosen, hidden)])
            culprits = [(seen_here(with_stored(each, self._view), host), part) for each, part in culprits]
            may_be_switched = not any(part or each.in_file for each, part in culprits)
            verdict = DiagnosisVerdict.CULPRIT if culprits else DiagnosisVerdict.ACCUMULATED
            self._found = replace(
                self._found,
                verdict=verdict,
                culprits=tuple(each for each, _ in culprits),
                notes=(*self._found.notes, *notes),
                attempts=self._switched(chosen, golden) if may_be_switched else (),
            )
        self._found = replace(self._found, layers=layers(measuring, self._view, guilty, host))
        self._write_repro(culprits[0] if culprits else None, values)
        return True

    def _of_other_draws(self, file: Path, chosen: Chosen, hidden: frozenset[str]) -> Iterator[Found]:
        """Culprits of further draws that fail."""
        for other in chosen.others:
            self._progress(f"another draw: {other.feeds.name}")
            golden = self._original.values(other.feeds.arrays)
            if isinstance(golden, Failure) or not other.failing:
                continue
            measuring = self._inspection.measured(file, other.feeds.arrays, golden, hidden)
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
            runner=self._inspection.runner,
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
        options = replace(self._options, drawing=drawing, repro=None, kept=None, inputs=body.held if body.file else {})
        try:
            with ScratchFolder() as folder:
                inner = _Run(from_proto(body.model), options, lambda _: None, folder, self._bench).run(body.file)
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
        write_repro(folder, least, self._bench.attempt(least, options), culprit, options, self._options.where)
        self._found = replace(self._found, repro=folder)
