"""`mnncompat diagnose`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mnncompat.cli import EXIT_ERROR, Ended, options
from mnncompat.cli.batch import report_all
from mnncompat.cli.console import Reporting, begin_work, note, report
from mnncompat.cli.data_options import NO_DATA, DataOptions
from mnncompat.cli.declared import argument, option
from mnncompat.cli.device_options import HERE, OnDevice
from mnncompat.cli.fleet_options import ALONE, FleetOptions
from mnncompat.cli.html_page import data_folder, keep_graphs
from mnncompat.cli.limits import MemoryLimit, Timeout, child_limits, parse_memory, parse_timeout
from mnncompat.cli.output_paths import require_report
from mnncompat.cli.pairs import each_pair, pairs_of
from mnncompat.cli.report_options import REPORTS, ReportOptions
from mnncompat.errors import UsageError
from mnncompat.files.reachable import is_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mnncompat.devices.device import Where
    from mnncompat.diagnosing.diagnose_options import DiagnoseOptions
    from mnncompat.diagnosing.draws import Drawing
    from mnncompat.diagnosing.lanes import Lanes
    from mnncompat.mnn import ConvertOptions
    from mnncompat.parity import Tolerance
    from mnncompat.results.diagnosis import Diagnosis
    from mnncompat.results.parity_report import ParityReport

Model = Annotated[Path | None, argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
File = Annotated[
    Path | None,
    argument(
        metavar="FILE.mnn", help="The converted file; without it MODEL is converted as it is.", show_default=False
    ),
]
Repro = Annotated[
    Path | None,
    option(
        "--repro",
        metavar="DIR",
        help="Write the smallest ONNX model that shows the fault, its data, a script that needs no mnncompat, and an "
        "issue that is ready to be filed.",
    ),
]
Replay = Annotated[
    Path | None, option("--replay", metavar="DIR", help="Run what --repro wrote again; MODEL is left out.")
]
Picture = Annotated[Path | None, option("--svg", metavar="FILE", help="Draw the error along the graph.")]
All = Annotated[bool, option("--all", help="Show every layer, not only the telling ones.")]

_PROCESSES = 12
_CHILD_SECONDS = 100.0
"""Processes that may hang before the time for all of it is over: a node that hangs is found by bisection."""

_NOT_REPLAYED = (
    *("MODEL", "--svg", "--repro", "--all", "data of your own", "--fp16", "--weight-bits", "--exact-gelu"),
    *("--optimize-level", "--shape", "--tolerance", "--seed", "options for several models"),
)
"""What `--replay` takes none of."""


def diagnose(  # noqa: PLR0913 - options
    model: Model = None,
    file: File = None,
    *,
    fp16: options.Fp16 = False,
    weight_bits: options.WeightBits = 0,
    exact_gelu: options.ExactGelu = False,
    optimize_level: options.OptimizeLevel = None,
    shape: options.Shapes = None,
    data: DataOptions = NO_DATA,
    memory_limit: MemoryLimit = None,
    tolerance: options.Tolerances = None,
    every: All = False,
    repro: Repro = None,
    replay: Replay = None,
    svg: Picture = None,
    seed: options.Seed = 0,
    device: OnDevice = HERE,
    timeout: Timeout = None,
    fleet: FleetOptions = ALONE,
    reports: ReportOptions = REPORTS,
) -> None:
    """Say which node makes a converted model compute something else than MODEL, why, and what helps.

    A folder is all its models; then FILE.mnn, if given, is the folder of their files of the same names.
    FILE.mnn itself is looked into: each of its tensors is compared with the value of the same name under ONNX Runtime,
    as the file computes it and fed with right values. With --device it is that device that computes them, and the
    table shows this machine beside it. Exit status 1 if the outputs differ or MNN fails.
    """
    reporting = reports.begin()
    limits = parse_timeout(timeout), parse_memory(memory_limit)
    where = device.where()
    if replay is not None:
        asked = model, svg, repro, every, data != NO_DATA, fp16, weight_bits, exact_gelu, optimize_level is not None
        _require_alone((*asked, shape, tolerance, seed, fleet != ALONE))
        finish(_replayed(replay, *limits, where), reporting)
        return
    files = _files(model, file, {"--repro": repro, "--svg": svg})
    with _begun(files, fleet, where) as lanes:
        converter = _converter(fp16, weight_bits, optimize_level, exact_gelu)
        wanted = diagnose_options(converter, *limits, options.parse_tolerances(tolerance), seed)
        begin_work(seconds=limits[0], memory=limits[1], runs=True, measures=True)
        wanted = replace(wanted, repro=repro, drawing=replace(wanted.drawing, data=data.read()), where=where)
        one = partial(_one, files=files, wanted=wanted, shape=shape, every=every, untried=device.untried, lanes=lanes)
        found = each_pair(files, one, fleet, reporting)
    _finish_all(*found, reporting, svg)


@contextmanager
def _begun(files: Mapping[Path, Path | None], fleet: FleetOptions, where: Where | None) -> Iterator[Lanes | None]:
    """MNN's processes, which import it while this one imports what it needs; None if they are not for one model."""
    if len(files) > 1 or where is not None or not fleet.is_alone(tuple(files)) or not all(map(is_file, files)):
        yield None
        return
    from mnncompat.diagnosing.lanes import MOST_SIDE_BY_SIDE, Lanes

    (model,) = files
    with Lanes(side_by_side=model.stat().st_size < MOST_SIDE_BY_SIDE) as lanes:
        yield lanes


def _one(
    path: Path,
    *,
    files: Mapping[Path, Path | None],
    wanted: DiagnoseOptions,
    shape: list[str] | None,
    every: bool,
    untried: str,
    lanes: Lanes | None,
) -> Diagnosis:
    """The diagnosis of one model."""
    found = replace(_found(path, files[path], wanted, shape, lanes), every_layer=every)
    return replace(found, notes=(*found.notes, *filter(None, [untried])))


def _files(model: Path | None, file: Path | None, for_one: Mapping[str, Path | None]) -> dict[Path, Path | None]:
    """The models, each with its file.

    Raises:
        UsageError: They are not there, or are several and an option is about one.
    """
    if model is None:
        require_files(model, file)
    assert model is not None  # noqa: S101 - require_files
    found = pairs_of(model, file)
    named = [name for name, value in for_one.items() if value is not None]
    if len(found) > 1 and named:
        raise UsageError(f"{named[0]} is about one model", hint="name one")
    for path, each in found.items():
        require_files(path, each)
    picture = for_one.get("--svg")
    if picture is not None:
        require_report(picture, "--svg")
    return found


def _finish_all(
    reported: Sequence[object], done: Sequence[Diagnosis], reporting: Reporting, picture: Path | None
) -> None:
    """Report on all models, and end with the worst status."""
    if len(reported) == len(done) == 1:
        finish(done[0], reporting, picture)
        return
    from mnncompat.results.diagnosis import DiagnosisVerdict

    report_all(reported, done, reporting)
    if any(not each.complete for each in done):
        raise Ended(EXIT_ERROR)
    if any(each.verdict is not DiagnosisVerdict.AGREES for each in done):
        raise Ended(1)


def _require_alone(given: Sequence[object]) -> None:
    """A repro is run as it was recorded: nothing else is given.

    Args:
        given: What was, in the order of `_NOT_REPLAYED`.

    Raises:
        UsageError: Something is.
    """
    others = [name for name, value in zip(_NOT_REPLAYED, given, strict=True) if value]
    if others:
        raise UsageError(
            f"--replay runs a repro as it was recorded, and takes no {', '.join(others)}",
            hint="leave that out, or name a model instead of --replay",
        )


def _converter(fp16: bool, weight_bits: int, optimize_level: int | None, exact_gelu: bool) -> ConvertOptions:  # noqa: FBT001 - options
    from mnncompat.mnn import ConvertOptions

    gelu = False if exact_gelu else None
    return ConvertOptions(fp16=fp16, weight_bits=weight_bits, optimize_level=optimize_level, gelu_approximation=gelu)


def require_files(model: Path | None, file: Path | None) -> None:
    """The files are named, and there.

    Raises:
        UsageError: One is not.
    """
    if model is None:
        raise UsageError("MODEL is missing", hint="mnncompat diagnose MODEL [FILE.mnn], or --replay DIR")
    if file is not None and not file.is_file():
        raise UsageError(f"{file}: no such file", hint="make it with `mnncompat convert`, or leave it out")


def _found(
    model: Path | None, file: Path | None, wanted: DiagnoseOptions, shape: list[str] | None, lanes: Lanes | None
) -> Diagnosis:
    from mnncompat.diagnosing.diagnose import diagnose as find
    from mnncompat.graph.model_file import load

    assert model is not None  # noqa: S101 - require_files
    loaded = load(model)
    drawing: Drawing = replace(wanted.drawing, shapes=options.parse_shapes(shape, loaded))
    saved = data_folder(loaded.name)
    made = None if saved is None or file is not None else saved.with_name("model.mnn")
    wanted = replace(wanted, drawing=drawing, kept=made)
    found = find(loaded, file, wanted, progress=note, lanes=lanes, stays=False)
    keep_graphs(loaded.name, loaded, file=file or made)
    return found


def diagnose_options(
    converter: ConvertOptions,
    seconds: float | None,
    memory: int | None,
    tolerances: tuple[Tolerance | None, dict[str, Tolerance]],
    seed: int,
) -> DiagnoseOptions:
    """The options of a diagnosis, without shapes and data."""
    from mnncompat.converting.gate_options import default_tolerance
    from mnncompat.diagnosing.diagnose_options import DiagnoseOptions
    from mnncompat.diagnosing.draws import Drawing
    from mnncompat.parity import FLOAT32, real_data

    general, overrides = tolerances
    rough = default_tolerance(converter)
    drawing = Drawing(
        shapes={}, data=real_data(None), tolerance=general or rough, tolerances=overrides, seed=seed, memory=memory
    )
    limits = child_limits(_CHILD_SECONDS if seconds is None else seconds / _PROCESSES).with_memory(memory)
    return DiagnoseOptions(drawing=drawing, converter=converter, limits=limits, inner=rough or FLOAT32)


def only_there(parity: ParityReport, where: Where | None) -> Where | None:
    """The device, if it computes something else and this machine does not."""
    there = parity.device
    is_wrong_here = parity.differs and not parity.passed
    return None if there is None or there.passed or is_wrong_here else where


def _replayed(folder: Path, seconds: float | None, memory: int | None, where: Where | None) -> Diagnosis:
    from mnncompat.diagnosing.replay import replay

    begin_work(seconds=seconds, memory=memory, runs=True, measures=True)
    return replay(folder, limits=child_limits(seconds), where=where)


def finish(found: Diagnosis, reporting: Reporting, picture: Path | None = None) -> None:
    """Report, and end with the status that it means."""
    from mnncompat.graph.atomic_files import write_atomically
    from mnncompat.report.svg import svg
    from mnncompat.results.diagnosis import DiagnosisVerdict

    if picture is not None:
        write_atomically(picture, svg(found).encode())
        note(f"wrote {picture}")
    report([found], reporting)
    if not found.complete:
        raise Ended(EXIT_ERROR)
    if found.verdict is not DiagnosisVerdict.AGREES:
        raise Ended(1)
