"""`mnncompat diagnose`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mnncompat.cli import EXIT_ERROR, Ended, options
from mnncompat.cli.console import begin_work, check_format, note, report
from mnncompat.cli.declared import argument, option
from mnncompat.cli.limits import MemoryLimit, Timeout, parse_memory, parse_timeout
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.diagnosing.diagnose import DiagnoseOptions
    from mnncompat.mnn import ConvertOptions
    from mnncompat.results.diagnosis import Diagnosis

Model = Annotated[Path | None, argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
File = Annotated[
    Path | None,
    argument(metavar="[FILE.mnn]", help="The converted file; without it MODEL is converted as it is."),
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
All = Annotated[bool, option("--all", help="Show every layer, not only the telling ones.")]


def diagnose(  # noqa: PLR0913 - options
    model: Model = None,
    file: File = None,
    *,
    fp16: options.Fp16 = False,
    weight_bits: options.WeightBits = 0,
    optimize_level: options.OptimizeLevel = None,
    shape: options.Shapes = None,
    data: options.Inputs = None,
    preprocess: options.Preprocessing = None,
    feeds: options.Feeds = None,
    data_only: options.DataOnly = False,
    memory_limit: MemoryLimit = None,
    tolerance: options.Tolerances = None,
    every: All = False,
    repro: Repro = None,
    replay: Replay = None,
    seed: options.Seed = 0,
    timeout: Timeout = None,
    output_format: options.Format = "text",
    quiet: options.Quiet = False,
) -> None:
    """Say which node makes a converted model compute something else than MODEL, why, and what helps.

    FILE.mnn itself is looked into: each of its tensors is compared with the value of the same name under ONNX Runtime,
    as the file computes it and fed with right values. Exit status 1 if the outputs differ or MNN fails.
    """
    from mnncompat.diagnosing.diagnose import diagnose as find
    from mnncompat.graph.model_file import load
    from mnncompat.mnn import ConvertOptions

    check_format(output_format)
    if replay is not None:
        finish(_replayed(replay, parse_timeout(timeout), parse_memory(memory_limit)), output_format)
        return
    if model is None:
        raise UsageError("MODEL is missing", hint="mnncompat diagnose MODEL [FILE.mnn], or --replay DIR")
    if file is not None and not file.is_file():
        raise UsageError(f"{file}: no such file", hint="make it with `mnncompat convert`, or leave it out")
    inputs = options.parse_data(data, preprocess, feeds, only=data_only)
    seconds, memory = parse_timeout(timeout), parse_memory(memory_limit)
    begin_work(seconds=seconds, memory=memory, runs=True, measures=True)
    loaded = load(model)
    converter = ConvertOptions(fp16=fp16, weight_bits=weight_bits, optimize_level=optimize_level)
    wanted = diagnose_options(converter, seconds, memory, tolerance, seed)
    wanted = replace(wanted, repro=repro)
    drawing = replace(wanted.drawing, shapes=options.parse_shapes(shape, loaded), data=inputs)
    found = find(loaded, file, replace(wanted, drawing=drawing), progress=(lambda _: None) if quiet else note)
    finish(replace(found, every_layer=every), output_format)


def diagnose_options(
    converter: ConvertOptions, seconds: float | None, memory: int | None, tolerance: list[str] | None, seed: int
) -> DiagnoseOptions:
    """The options of a diagnosis, without shapes and data."""
    from mnncompat.converting.pipeline import default_tolerance
    from mnncompat.diagnosing.diagnose import DiagnoseOptions
    from mnncompat.diagnosing.draws import Drawing
    from mnncompat.mnn import Limits
    from mnncompat.parity import FLOAT32, real_data

    general, overrides = options.parse_tolerances(tolerance)
    rough = default_tolerance(converter)
    drawing = Drawing(
        shapes={}, data=real_data(None), tolerance=general or rough, tolerances=overrides, seed=seed, memory=memory
    )
    limits = (Limits() if seconds is None else Limits(seconds=seconds)).with_memory(memory)
    return DiagnoseOptions(drawing=drawing, converter=converter, limits=limits, inner=rough or FLOAT32)


def _replayed(folder: Path, seconds: float | None, memory: int | None) -> Diagnosis:
    from mnncompat.diagnosing.replay import replay
    from mnncompat.mnn import Limits

    begin_work(seconds=seconds, memory=memory, whole=True)
    return replay(folder, limits=Limits() if seconds is None else Limits(seconds=seconds))


def finish(found: Diagnosis, output_format: str) -> None:
    """Report, and end with the status that it means."""
    from mnncompat.results.diagnosis import DiagnosisVerdict

    report([found], output_format)
    if not found.complete:
        raise Ended(EXIT_ERROR)
    if found.verdict is not DiagnosisVerdict.AGREES:
        raise Ended(1)
