"""`mnncompat report`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from mnncompat.cli import options
from mnncompat.cli.batch import each_model, report_all
from mnncompat.cli.console import begin_work, emit, note
from mnncompat.cli.data_options import NO_DATA, DataOptions
from mnncompat.cli.declared import argument, option
from mnncompat.cli.html_page import (
    begin_keeping,
    data_folder,
    keep_graphs,
    require_page,
    write_model_explorer,
    write_page,
)
from mnncompat.cli.limits import MemoryLimit, Timeout, child_limits, parse_memory, parse_timeout
from mnncompat.cli.report_options import REPORTS, ReportOptions
from mnncompat.errors import MnncompatError, UsageError

if TYPE_CHECKING:
    from mnncompat.cli.console import Reporting
    from mnncompat.converting.gate_options import GateOptions
    from mnncompat.converting.pipeline import Conversion
    from mnncompat.graph.model_file import Model
    from mnncompat.results.diagnosis import Diagnosis
    from mnncompat.results.parity_report import ParityReport

    _Result = TypeVar("_Result")

_KINDS = ("html", "model-explorer", "dot")
_TIMED_RUNS = 7
"""Runs of which the median is what an op takes."""
_SLOW = 60.0
"""Seconds of a conversion after which no layer is looked at: that takes several times as long."""
ModelArgument = Annotated[Path, argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
Out = Annotated[
    Path | None,
    argument(
        metavar="OUT",
        help="The page; or with --to the folder or file. MODEL with the suffix .html unless given.",
        show_default=False,
    ),
]
To = Annotated[
    str,
    option(
        "--to", metavar="KIND", help="html, model-explorer (a folder for Google's Model Explorer) or dot (Graphviz)."
    ),
]


def report(  # noqa: PLR0913 - options
    model: ModelArgument,
    out: Out = None,
    *,
    to: To = "html",
    shape: options.Shapes = None,
    data: DataOptions = NO_DATA,
    seed: options.Seed = 0,
    memory_limit: MemoryLimit = None,
    timeout: Timeout = None,
    reports: ReportOptions = REPORTS,
) -> None:
    """Look at a model in the browser: all that is cheap is run, and what was found is one page with the graph.

    MODEL is checked, rewritten, converted and compared in memory, its ops are placed on all backends, and if that was
    quick each layer is compared as well. Nothing is published, and the page says what was left out. Exit status 0 if it
    was written, whatever it says: `mnncompat convert` is the gate.
    """
    if to not in _KINDS:
        raise UsageError(f"unknown kind of report: {to}", hint=f"there are: {', '.join(_KINDS)}")
    reporting = reports.begin()
    seconds, memory = parse_timeout(timeout), parse_memory(memory_limit)
    made = _Report(model, _target(model, out, to, reporting), to, reporting)
    begin_work(seconds=seconds, memory=memory, runs=True, measures=True)
    if reporting.output_format == "text":
        made.run(shape, data, seed, seconds, memory)
        return
    reported, done = each_model(
        [model], lambda _: made.run(shape, data, seed, seconds, memory), output_format=reporting.output_format
    )
    if not done:  # a program that reads the report finds the error there
        report_all(reported, done, reporting._replace(html=None))


def _target(model: Path, out: Path | None, to: str, reporting: Reporting) -> Path | None:
    """Where the report goes; None for standard output.

    Raises:
        UsageError: It is named twice.
        OutputError: It cannot be written.
    """
    if reporting.html is not None:
        if out is not None or to != "html":
            raise UsageError("--html names the page, and so does OUT or --to", hint="choose one")
        return reporting.html
    from mnncompat.cli.output_paths import require_report

    if to == "html":
        target = out or model.with_suffix(".html")
        require_page(target, "OUT")
        return target
    if to == "dot":
        if out is not None:
            require_report(out, "OUT")
        return out
    if out is None:
        raise UsageError("--to model-explorer writes a folder", hint="mnncompat report MODEL --to model-explorer DIR")
    begin_keeping()
    return out


class _Report:
    """One report: what was found so far, and what was not done."""

    def __init__(self, path: Path, target: Path | None, to: str, reporting: Reporting) -> None:
        self._path = path
        self._target = target
        self._to = to
        self._reporting = reporting
        self._results: list[Any] = []
        self._notes: list[str] = []

    def run(
        self, shape: list[str] | None, data: DataOptions, seed: int, seconds: float | None, memory: int | None
    ) -> None:
        """Do all steps, and write after each: what is stopped leaves the page of the steps before."""
        from mnncompat.checking.checker import check_model
        from mnncompat.graph.model_file import load

        model = load(self._path)
        shapes = options.parse_shapes(shape, model)
        self._results.append(self._step("check", lambda: check_model(model, rewrites=None)))
        keep_graphs(model.name, model)
        if self._to == "dot":
            self._write_dot(model)
            return
        self._write(unfinished="fix, convert and verify")
        gate = _gate(model, shapes, data, seed, seconds, memory)
        started = time.monotonic()
        converted = self._step("fix, convert and verify", lambda: _converted(model, gate))
        took = time.monotonic() - started
        if converted is not None:
            self._results[:] = [converted.told()]
            self._diagnose(converted, gate, took)
        self._write()

    def _diagnose(self, converted: Conversion, gate: GateOptions, took: float) -> None:
        file = None if gate.kept is None else gate.kept / "model.mnn"
        if file is None or not file.is_file():
            self._notes.append("layers: not looked at, there is no file")
            return
        if took > _SLOW:
            self._notes.append(f"layers: not looked at, the comparison took {took:.0f} s; `mnncompat diagnose` does it")
            return
        self._write(unfinished="the comparison of layers")
        found = self._step("the comparison of layers", lambda: _diagnosed(converted, gate, file))
        if found is not None:
            self._results.append(found)

    def _step(self, name: str, work: Callable[[], _Result]) -> _Result | None:
        """The result of a step; None if it cannot be done, which is noted."""
        started = time.monotonic()
        try:
            result = work()
        except MnncompatError as error:
            if name == "check":
                raise
            self._notes.append(f"{name}: {error.message}; {error.hint}")
            note(f"{name}: {error.message}")
            return None
        self._notes.append(f"{name}: {time.monotonic() - started:.1f} s")
        return result

    def _write(self, unfinished: str = "") -> None:
        """Write what there is."""
        assert self._target is not None  # noqa: S101 - only dot goes to standard output
        notes = [*self._notes, *([f"{unfinished}: was not finished"] if unfinished else [])]
        if not unfinished:
            from mnncompat.cli.console import report as report_text

            report_text(self._results, self._reporting._replace(html=None))
        if self._to == "html":
            write_page(self._target, self._results, notes, is_last=not unfinished)
        elif not unfinished:
            write_model_explorer(self._target, self._results)

    def _write_dot(self, model: Model) -> None:
        """The graph with its findings for Graphviz, to the file or to standard output."""
        from mnncompat.graph.atomic_files import write_atomically
        from mnncompat.report import findings
        from mnncompat.viewing.dot import dot

        found = [each for result in self._results for each in findings(result)]
        text = dot(model, found)
        if self._target is None:
            emit(text)
            return
        write_atomically(self._target, text.encode(errors="surrogateescape"))
        note(f"wrote {self._target}")


def _gate(
    model: Model,
    shapes: dict[str, tuple[int, ...]],
    data: DataOptions,
    seed: int,
    seconds: float | None,
    memory: int | None,
) -> GateOptions:
    """A conversion as `mnncompat convert` does it, without a destination."""
    from mnncompat.converting.gate_options import GateOptions

    rewrites, rows = options.chosen_rewrites(None, None, unsafe=False)
    saved = data_folder(model.name)
    kept = None if saved is None else saved.with_name("file")
    if kept is not None:
        kept.mkdir(exist_ok=True)
    limits = child_limits(seconds).with_memory(memory)
    gate = GateOptions(rewrites=rewrites, rows=rows, limits=limits, memory=memory, shapes=shapes, seed=seed)
    return replace(gate, inputs=data.read(), save_data=saved, kept=kept)


def _converted(model: Model, gate: GateOptions) -> Conversion:
    from mnncompat.backends.registry import names
    from mnncompat.converting.pipeline import convert_model

    result = convert_model(model, None, options=gate, progress=note)
    fixed = result.fix.model if result.fix is not None and result.fix.changed else None
    file = None if gate.kept is None else gate.kept / "model.mnn"
    seconds = () if file is None or result.parity is None else _op_seconds(result.parity, file, gate)
    keep_graphs(model.name, model, fixed=fixed, file=file, backends=names(), seconds=seconds)
    return result


def _op_seconds(parity: ParityReport, file: Path, gate: GateOptions) -> Sequence[tuple[str, str, float]]:
    """What each op takes, at the sizes of the first draw; nothing if a Session does not run the file."""
    from mnncompat.mnn.options import Limits
    from mnncompat.mnn.timing import time_ops
    from mnncompat.results.failures import Failure

    if parity.session is None or not parity.session.agrees or not parity.shapes:
        return ()
    found = time_ops(file, parity.shapes[0], runs=_TIMED_RUNS, limits=gate.limits or Limits())
    return () if isinstance(found, Failure) else found


def _diagnosed(result: Conversion, gate: GateOptions, file: Path) -> Diagnosis:
    from mnncompat.cli.convert import diagnosed

    return diagnosed(result, gate, file.parent)
