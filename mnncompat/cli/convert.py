"""`mnncompat convert`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnncompat.cli import Ended, api_options, options
from mnncompat.cli.batch import each_model, report_all
from mnncompat.cli.budget_options import NO_BUDGET, BudgetOptions
from mnncompat.cli.console import Reporting, begin_work, note
from mnncompat.cli.data_options import NO_DATA, DataOptions
from mnncompat.cli.device_options import UNDEPLOYED, DeployedDevice
from mnncompat.cli.fleet_options import ALONE, FleetOptions
from mnncompat.cli.head_options import Head, RunsOn, chosen_head
from mnncompat.cli.html_page import data_folder, keep_graphs
from mnncompat.cli.limits import MemoryLimit, Timeout, child_limits, parse_memory, parse_timeout
from mnncompat.cli.output_paths import output_paths
from mnncompat.cli.report_options import MANY_REPORTS, ManyReportOptions
from mnncompat.errors import UsageError

_DIAGNOSED = ("not-equal", "not-converted")
if TYPE_CHECKING:
    from mnncompat.converting.gate_options import GateOptions
    from mnncompat.converting.pipeline import Conversion
    from mnncompat.graph.model_file import Model
    from mnncompat.results.diagnosis import Diagnosis
    from mnncompat.results.outcomes import ConvertResult
    from mnncompat.support.head_form import HeadForm

    Converter = Callable[[Model, Path | None, GateOptions], Conversion]

_CONVERTERS: list[Converter] = []


def convert(  # noqa: PLR0913 - options
    models: options.Models = None,
    *,
    search: options.SearchOptions = options.ALL_MODELS,
    output: options.Out = None,
    dry_run: options.DryRun = False,
    fix: options.Rewritten = True,
    select: options.Select = None,
    ignore: options.Ignore = None,
    unsafe_fixes: options.Unsafe = False,
    fp16: options.Fp16 = False,
    weight_bits: options.WeightBits = 0,
    exact_gelu: options.MaybeExactGelu = None,
    storage: api_options.StorageOptions = api_options.AS_FLOATS,
    target_version: options.TargetVersion = None,
    optimize_level: options.OptimizeLevel = None,
    backend: RunsOn = None,
    head: Head = None,
    shape: options.Shapes = None,
    data: DataOptions = NO_DATA,
    memory_limit: MemoryLimit = None,
    tolerance: options.Tolerances = None,
    accept: options.Accept = None,
    require_session: api_options.RequireSession = False,
    recurrent: api_options.Recurrent = "auto",
    power: options.Power = True,
    device: DeployedDevice = UNDEPLOYED,
    diagnose: options.Diagnosed = False,
    budget: BudgetOptions = NO_BUDGET,
    seed: options.Seed = 0,
    timeout: Timeout = None,
    fleet: FleetOptions = ALONE,
    reports: ManyReportOptions = MANY_REPORTS,
) -> None:
    """Check, fix, convert and verify; OUT appears only if it is proven that MNN computes what the model computes.

    OUT is MODEL with the suffix .mnn unless given. Exit status 1 if the file does not convert, does not agree, or the
    proof lacks something that --accept does not name, or MNN's Session API does not run it and --require-session is
    given; an earlier OUT is then untouched.
    """
    reporting, paths = reports.begin(), search.models(models)
    gate = _ran(tolerance, timeout, memory_limit, seed, accept, data, exact_gelu, power)
    gate = _store(gate, fp16, weight_bits, target_version, optimize_level, recurrent, require_session)
    gate = _rewritten(gate, select, ignore, chosen_head(head, backend, None), unsafe=unsafe_fixes, fix=fix)
    gate = replace(storage.applied(gate), budget=budget.read(), time=budget.time)
    _convert_all(paths, device.applied(gate), shape, _Report(reporting, diagnose, output, dry_run), fleet=fleet)


class _Report(NamedTuple):
    """What is told of the conversions, and how."""

    reporting: Reporting
    diagnose: bool
    output: Path | None
    dry_run: bool


def _store(
    gate: GateOptions,
    fp16: bool,  # noqa: FBT001 - private
    bits: int,
    version: str | None,
    level: int | None,
    recurrent: str,
    session: bool,  # noqa: FBT001 - private
) -> GateOptions:
    """How the converter writes the file, and what has to run it."""
    from mnncompat.mnn import ConvertOptions

    converter = ConvertOptions(fp16=fp16, weight_bits=bits, target_version=version, optimize_level=level)
    return replace(gate, converter=converter, recurrent=recurrent, requires_session=session)


def _rewritten(
    gate: GateOptions,
    select: list[str] | None,
    ignore: list[str] | None,
    head: HeadForm | None,
    *,
    unsafe: bool,
    fix: bool,
) -> GateOptions:
    """What is rewritten before."""
    rewrites, rows = options.chosen_rewrites(select, ignore, unsafe=unsafe)
    return replace(gate, rewrites=rewrites if fix else (), rows=rows, head=head)


def _ran(
    tolerance: list[str] | None,
    timeout: float | None,
    memory_limit: str | None,
    seed: int,
    accept: list[str] | None,
    data: DataOptions,
    gelu: bool | None,  # noqa: FBT001 - private
    power: bool,  # noqa: FBT001 - private
) -> GateOptions:
    """With what is compared, and within which limits."""
    from mnncompat.converting.gate_options import GateOptions
    from mnncompat.diagnosing.half_precision.simulated_trial import simulated

    general, overrides = options.parse_tolerances(tolerance)
    seconds, memory = parse_timeout(timeout), parse_memory(memory_limit)
    begin_work(seconds=seconds, memory=memory, runs=True)
    limits = child_limits(seconds).with_memory(memory)
    gate = GateOptions(
        limits=limits,
        memory=memory,
        tolerance=general,
        tolerances=overrides,
        seed=seed,
        power=power,
        inputs=data.read(),
        accept=options.parse_accepted(accept),
        simulate=simulated,
    )
    return gate.with_exact_gelu(gelu)


def _convert_all(
    models: list[Path],
    gate: GateOptions,
    shape: list[str] | None,
    written: _Report,
    *,
    fleet: FleetOptions,
) -> None:
    """Convert every model, report, and end with status 1 if one could not be published."""
    from mnncompat.files.scratch import ScratchFolder
    from mnncompat.graph.model_file import load

    outputs = _outputs(models, written.output, dry_run=written.dry_run)
    targets = dict(zip(models, outputs, strict=True))

    with ScratchFolder() as folder:
        is_kept = written.diagnose or written.reporting.html is not None
        kept = {path: folder / str(number) for number, path in enumerate(models)} if is_kept else {}

        def converted(path: Path) -> ConvertResult:
            model = load(path)
            shapes = options.parse_shapes(shape, model)
            mine = replace(gate, shapes=shapes, kept=_made(kept.get(path)), save_data=data_folder(model.name))
            result = _convert(model, targets[path], mine)
            keep_graphs(model.name, model, fixed=_rewritten_model(result), file=_file_in(mine.kept))
            return result.told()

        reported, results = each_model(models, converted, fleet=fleet, output_format=written.reporting.output_format)
        failing = [each for each in results if written.diagnose and each.verdict in _DIAGNOSED]
        found = [diagnosed(each, gate, kept.get(Path(each.source), folder)) for each in failing]
    report_all([*reported, *found], [*results, *found], written.reporting)
    if any(result.verdict != "converted" for result in results):
        raise Ended(1)


def _rewritten_model(result: Conversion) -> Model | None:
    """The model after its rewrites; None if there were none."""
    return result.fix.model if result.fix is not None and result.fix.changed else None


def _file_in(folder: Path | None) -> Path | None:
    """The file that was kept."""
    return None if folder is None else folder / "model.mnn"


def _made(folder: Path | None) -> Path | None:
    """A folder, which is made."""
    if folder is not None:
        folder.mkdir(exist_ok=True)
    return folder


def _convert(model: Model, out: Path | None, gate: GateOptions) -> Conversion:
    if _CONVERTERS:
        return _CONVERTERS[-1](model, out, gate)
    from mnncompat.converting.pipeline import convert_model

    return convert_model(model, out, options=gate, progress=note)


@contextlib.contextmanager
def converting_by(converter: Converter) -> Iterator[None]:
    """Models are converted by this function meanwhile."""
    _CONVERTERS.append(converter)
    try:
        yield
    finally:
        _CONVERTERS.remove(converter)


def diagnosed(result: ConvertResult, gate: GateOptions, kept: Path) -> Diagnosis:
    """Which node it is, in the model as it was converted, and in the very file that it was converted into.

    Args:
        result: Of the conversion.
        gate: How it was converted.
        kept: Folder that holds the file, if there is one.
    """
    from mnncompat.cli.diagnose import diagnose_options, only_there
    from mnncompat.converting.gate_options import is_lossy
    from mnncompat.diagnosing.diagnose import diagnose
    from mnncompat.fixing.transaction import fix_model
    from mnncompat.graph.model_file import load
    from mnncompat.parity import real_data
    from mnncompat.support.target import Target

    model = load(Path(result.source))
    if result.fix is not None and result.fix.changed:
        target = Target(arch=gate.arch, precision=gate.precision, choice=gate.rows, head=gate.head)
        model = fix_model(model, rewrites=gate.all_rewrites, target=target, prove=False).model
    converter = replace(gate.whole_converter, recurrent_ops=result.recurrent == "ops")
    seconds = None if gate.limits is None else gate.limits.seconds
    wanted = diagnose_options(converter, seconds, gate.memory, (gate.tolerance, dict(gate.tolerances)), gate.seed)
    drawing = replace(wanted.drawing, data=real_data(gate.inputs), shapes=result.shapes)
    there = None if result.parity is None else only_there(result.parity, gate.where)
    file = kept / "model.mnn"
    is_whole = result.parity is not None and file.is_file() and (bool(result.bytes) or not is_lossy(converter))
    wanted = replace(wanted, drawing=drawing, where=there)
    found = diagnose(model, file if is_whole else None, wanted, progress=note)
    return replace(found, file="", rewritten=result.fix is not None and result.fix.changed)


def _outputs(models: list[Path], output: Path | None, *, dry_run: bool) -> list[Path | None]:
    """Where the files go."""
    if output is not None and dry_run:
        raise UsageError("-o and --dry-run exclude each other", hint="choose one")
    return [None] * len(models) if dry_run else [*output_paths(models, output, ".mnn")]
