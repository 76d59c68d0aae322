"""`mnncompat verify`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, check_format, note, report
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.mnn import Limits
    from mnncompat.parity import RealData
    from mnncompat.report import Verified

Model = Annotated[Path | None, typer.Argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
File = Annotated[Path | None, typer.Argument(metavar="FILE.mnn", help="The converted file.", show_default=False)]
SaveData = Annotated[
    Path | None,
    typer.Option("--save-data", metavar="DIR", help="Keep the inputs and the outputs of both sides in a folder."),
]
LoadData = Annotated[
    Path | None,
    typer.Option(
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
    data: options.Inputs = None,
    preprocess: options.Preprocessing = None,
    feeds: options.Feeds = None,
    data_only: options.DataOnly = False,
    save_data: SaveData = None,
    load_data: LoadData = None,
    memory_limit: options.MemoryLimit = None,
    tolerance: options.Tolerances = None,
    seed: options.Seed = 0,
    timeout: options.Timeout = None,
    output_format: options.Format = "text",
) -> None:
    """Compare MODEL under ONNX Runtime with FILE.mnn under MNN on the same inputs.

    Exit status 1 if any output differs, is missing, or nothing could be compared.
    """
    check_format(output_format)
    if load_data is not None:
        if shape or data or preprocess or feeds or data_only or save_data is not None:
            raise UsageError("--load-data runs nothing, so it takes no inputs", hint="add --tolerance alone")
        verified = _judged(load_data, model, file, tolerance)
    else:
        from mnncompat.mnn import Limits

        given = options.parse_data(data, preprocess, feeds, only=data_only)
        memory = options.parse_memory(memory_limit)
        seconds = options.parse_timeout(timeout)
        limits = (Limits() if seconds is None else Limits(seconds=seconds)).with_memory(memory)
        begin_work(seconds=seconds, memory=memory, runs=True)
        verified = _compared(
            model, file, shape, tolerance, inputs=given, seed=seed, memory=memory, limits=limits, save_data=save_data
        )
    report([verified], output_format)
    if save_data is not None and verified.parity.draws:
        note(f"wrote {save_data}")
    if not verified.parity.passed:
        raise typer.Exit(1)


def _compared(  # noqa: PLR0913 - options
    model: Path | None,
    file: Path | None,
    shape: list[str] | None,
    tolerance: list[str] | None,
    *,
    inputs: RealData,
    seed: int,
    memory: int | None,
    limits: Limits,
    save_data: Path | None,
) -> Verified:
    from mnncompat import parity
    from mnncompat.converting.near_misses import random_hint
    from mnncompat.graph.model_file import load
    from mnncompat.report import Verified

    if model is None or file is None:
        raise UsageError("MODEL and FILE.mnn are missing", hint="mnncompat verify MODEL FILE.mnn, or --load-data DIR")
    if not file.is_file():
        raise UsageError(f"{file}: no such file", hint="make it with `mnncompat convert`")
    general, overrides = options.parse_tolerances(tolerance)
    loaded = load(model)
    shapes = options.parse_shapes(shape, loaded)
    result = parity.verify(
        model,
        file,
        shapes=shapes,
        inputs=inputs,
        tolerance=general,
        tolerances=overrides,
        seed=seed,
        memory=memory,
        limits=limits,
        save_data=save_data,
    )
    hint = "" if result.differs else random_hint(loaded, shapes=shapes, inputs=inputs, seed=seed, memory=memory)
    notes = (*result.notes, hint) if hint else result.notes
    return Verified(source=str(model), file=str(file), parity=replace(result, notes=notes))


def _judged(folder: Path, model: Path | None, file: Path | None, tolerance: list[str] | None) -> Verified:
    from mnncompat.parity import load_data
    from mnncompat.report import Verified

    general, overrides = options.parse_tolerances(tolerance)
    begin_work()
    saved = load_data(folder)
    saved.require_same(model=model, mnn_file=file)
    source, converted = model or saved.model, file or saved.mnn_file
    return Verified(source=str(source), file=str(converted), parity=saved.judge(general, overrides))
