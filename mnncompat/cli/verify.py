"""`mnncompat verify`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from mnncompat.cli import Ended, api_options, options
from mnncompat.cli.batch import report_all
from mnncompat.cli.console import Reporting, begin_work, note
from mnncompat.cli.data_options import NO_DATA, DataOptions
from mnncompat.cli.declared import argument, option
from mnncompat.cli.device_options import HERE, OnDevice
from mnncompat.cli.fleet_options import ALONE, FleetOptions
from mnncompat.cli.html_page import data_folder, keep_graphs
from mnncompat.cli.limits import MemoryLimit, Timeout, child_limits, parse_memory, parse_timeout
from mnncompat.cli.pairs import each_pair, pairs_of
from mnncompat.cli.report_options import REPORTS, ReportOptions
from mnncompat.cli.task_options import NO_TASK, TaskOptions
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.parity import RealData, Tolerance
    from mnncompat.report import Verified
    from mnncompat.results.diagnosis import Diagnosis
    from mnncompat.results.parity_report import ParityReport

    _Tolerances = tuple[Tolerance | None, dict[str, Tolerance]]

Model = Annotated[Path | None, argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
File = Annotated[Path | None, argument(metavar="FILE.mnn", help="The converted file.", show_default=False)]
SaveData = Annotated[
    Path | None,
    option("--save-data", metavar="DIR", help="Keep the inputs and the outputs of both sides in a folder."),
]
LoadData = Annotated[
    Path | None,
    option(
        "--load-data",
        metavar="DIR",
        help="Judge what --save-data kept, by --tolerance, and run nothing; MODEL and FILE.mnn may be left out.",
    ),
]


def verify(  # noqa: PLR0913 - options
    model: Model = None,
    file: File = None,
    *,
    shape: options.Shapes = None,
    data: DataOptions = NO_DATA,
    task: TaskOptions = NO_TASK,
    save_data: SaveData = None,
    load_data: LoadData = None,
    memory_limit: MemoryLimit = None,
    tolerance: options.Tolerances = None,
    accept: options.Accept = None,
    require_session: api_options.RequireSession = False,
    power: options.Power = True,
    device: OnDevice = HERE,
    diagnose: options.Diagnosed = False,
    seed: options.Seed = 0,
    timeout: Timeout = None,
    fleet: FleetOptions = ALONE,
    reports: ReportOptions = REPORTS,
) -> None:
    """Compare MODEL under ONNX Runtime with FILE.mnn under MNN on the same inputs.

    Two folders are models and their files of the same names. Exit status 1 if any output differs, is missing, or
    nothing could be compared; and if the proof lacks something that --accept does not name, or MNN's Session API does
    not run the file and --require-session is given.
    """
    reporting, tolerances = reports.begin(), options.parse_tolerances(tolerance)
    told = partial(_with_requirements, accepted=options.parse_accepted(accept), session=require_session)
    if load_data is not None:
        _require_nothing_run(shape, data != NO_DATA, task != NO_TASK, diagnose, save_data, session=require_session)
        begin_work(seconds=parse_timeout(timeout), memory=parse_memory(memory_limit), whole=True)
        judged = told(_judged(load_data, model, file, tolerances))
        _end([judged], [judged], (), reporting)
        return
    files = _files(model, file, save_data)
    inputs = _Inputs(data, task, shape, seed, memory_limit)
    way = _way(inputs, tolerances, timeout, device, save_data, power=power)
    reported, done = each_pair(files, lambda path: told(way.compared(path, files[path], inputs)), fleet, reporting)
    found = [way.diagnosed(each, inputs) for each in done if diagnose]
    _end(reported, done, [each for several in found for each in several], reporting, save_data)


class _Inputs(NamedTuple):
    """What the inputs of comparisons come from, as the options say."""

    data: DataOptions
    task: TaskOptions
    shape: list[str] | None
    seed: int
    memory_limit: str | None

    def drawn(self, model: Path) -> _Drawn:
        """Those of a model."""
        return _Drawn(self.task.read(self.data, model), self.task, self.seed, self.memory_limit)


class _Way(NamedTuple):
    """How models are compared."""

    tolerances: _Tolerances
    timeout: float | None
    device: OnDevice
    save_data: Path | None
    power: bool

    def compared(self, model: Path, file: Path, inputs: _Inputs) -> Verified:
        """Compare a model with its file."""
        drawn = inputs.drawn(model)
        run = partial(_run(drawn, self.tolerances, self.timeout, power=self.power), where=self.device.where())
        found = _compared(model, file, inputs.shape, drawn, run, self.save_data)
        return drawn.told(found, inputs.data, self.timeout, inputs.shape, self.device)

    def diagnosed(self, verified: Verified, inputs: _Inputs) -> tuple[Diagnosis, ...]:
        """Which node it is, if the outputs differ."""
        drawn = inputs.drawn(Path(verified.source))
        return _diagnosed(verified, inputs.shape, drawn, self.tolerances, self.timeout, self.device)


def _way(
    inputs: _Inputs,
    tolerances: _Tolerances,
    timeout: float | None,
    device: OnDevice,
    save_data: Path | None,
    *,
    power: bool,
) -> _Way:
    """How models are compared, with the limits of that."""
    begin_work(seconds=parse_timeout(timeout), memory=parse_memory(inputs.memory_limit), runs=True)
    device.where()
    return _Way(tolerances, timeout, device, save_data, power)


def _end(
    reported: Sequence[Any],
    done: Sequence[Verified],
    more: Sequence[Diagnosis],
    reporting: Reporting,
    save_data: Path | None = None,
) -> None:
    """Report, and end with the status that it means."""
    report_all([*reported, *more], [*done, *more], reporting)
    if save_data is not None and all(each.parity.draws for each in done):
        note(f"wrote {save_data}")
    lacking = (each.parity.lacks and not each.accepted for each in done)
    if any(lacking) or any(each.fails_requirement or each.fails_task for each in done):
        raise Ended(1)


def _files(model: Path | None, file: Path | None, save_data: Path | None) -> dict[Path, Path]:
    """The models, each with its file."""
    if model is None or file is None:
        missing = "MODEL and FILE.mnn are" if model is None else "FILE.mnn is"
        raise UsageError(f"{missing} missing", hint="mnncompat verify MODEL FILE.mnn, or --load-data DIR")
    found = pairs_of(model, file)
    if len(found) > 1 and save_data is not None:
        raise UsageError("--save-data is about one model", hint="name one, and its file")
    return {path: each for path, each in found.items() if each is not None}


def _with_requirements(verified: Verified, *, accepted: Collection[str], session: bool) -> Verified:
    """With what was accepted of it, and what is required."""
    proven = verified.parity.is_accepted(accepted)
    return replace(verified, accepted=verified.parity.lacks if proven else (), requires_session=session)


def _noted(verified: Verified, device: OnDevice) -> Verified:
    """With what is said of a deployment that nothing was run on."""
    if not device.untried:
        return verified
    return replace(verified, parity=replace(verified.parity, notes=(*verified.parity.notes, device.untried)))


def _diagnosed(
    verified: Verified,
    shape: list[str] | None,
    drawn: _Drawn,
    tolerances: _Tolerances,
    timeout: float | None,
    device: OnDevice,
) -> tuple[Diagnosis, ...]:
    """Which node it is, if the outputs differ."""
    from mnncompat.cli.diagnose import diagnose_options, only_there
    from mnncompat.diagnosing.diagnose import diagnose
    from mnncompat.graph.model_file import load
    from mnncompat.mnn import ConvertOptions

    there = only_there(verified.parity, device.where())
    if there is None and (verified.parity.passed or not verified.parity.differs):
        return ()
    model = load(Path(verified.source))
    wanted = diagnose_options(ConvertOptions(), parse_timeout(timeout), drawn.memory, tolerances, drawn.seed)
    drawing = replace(wanted.drawing, data=drawn.inputs, shapes=options.parse_shapes(shape, model))
    return (diagnose(model, Path(verified.file), replace(wanted, drawing=drawing, where=there), progress=note),)


def _require_nothing_run(*inputs: object, session: bool) -> None:
    if session:
        hint = "add --no-require-session if pyproject.toml demands it"
        raise UsageError("--load-data runs nothing, so it does not say what a Session gives", hint=hint)
    if any(inputs):
        raise UsageError("--load-data runs nothing, so it takes no inputs", hint="add --tolerance alone")


class _Drawn:
    """What the inputs of a comparison come from."""

    def __init__(self, samples: RealData, task: TaskOptions, seed: int, memory_limit: str | None) -> None:
        self.inputs = task.compared(samples)
        self.seed = seed
        self.memory = parse_memory(memory_limit)
        self._samples = samples
        self._task = task

    def told(
        self,
        verified: Verified,
        data: DataOptions,
        timeout: float | None,
        shape: list[str] | None,
        device: OnDevice,
    ) -> Verified:
        """With what was found about the preprocessing and the accuracy, and what was not run."""
        limits = child_limits(parse_timeout(timeout)).with_memory(self.memory)
        return _noted(self._task.told(verified, data, self._samples, limits, shape), device)


def _run(drawn: _Drawn, tolerances: _Tolerances, timeout: float | None, *, power: bool) -> Callable[..., ParityReport]:
    """The comparison, but for the files and their shapes."""
    from mnncompat import parity

    seconds = parse_timeout(timeout)
    begin_work(seconds=seconds, memory=drawn.memory, runs=True)
    return partial(
        parity.verify,
        inputs=drawn.inputs,
        tolerance=tolerances[0],
        tolerances=tolerances[1],
        seed=drawn.seed,
        memory=drawn.memory,
        limits=child_limits(seconds).with_memory(drawn.memory),
        power=power,
        as_stored=True,
    )


def _compared(
    model: Path,
    file: Path,
    shape: list[str] | None,
    drawn: _Drawn,
    run: Callable[..., ParityReport],
    save_data: Path | None,
) -> Verified:
    from mnncompat.converting.near_misses import random_hint
    from mnncompat.graph.model_file import load
    from mnncompat.report import Verified

    if not file.is_file():
        raise UsageError(f"{file}: no such file", hint="make it with `mnncompat convert`")
    loaded = load(model)
    shapes = options.parse_shapes(shape, loaded)
    saved = save_data or data_folder(str(model))
    result = run(model, file, shapes=shapes, read=loaded, save_data=saved)
    keep_graphs(str(model), loaded, file=file, data=saved)
    hint = ""
    if not result.differs:
        hint = random_hint(loaded, shapes=shapes, inputs=drawn.inputs, seed=drawn.seed, memory=drawn.memory)
    notes = (*result.notes, hint) if hint else result.notes
    return Verified(source=str(model), file=str(file), parity=replace(result, notes=notes))


def _judged(folder: Path, model: Path | None, file: Path | None, tolerances: _Tolerances) -> Verified:
    from mnncompat.graph.model_file import load
    from mnncompat.parity import load_data
    from mnncompat.report import Verified

    saved = load_data(folder)
    saved.require_same(model=model, mnn_file=file)
    source, converted = model or saved.model, file or saved.mnn_file
    if model is not None:
        keep_graphs(str(model), load(model), file=Path(converted), data=folder)
    return Verified(source=str(source), file=str(converted), parity=saved.judge(*tolerances))
