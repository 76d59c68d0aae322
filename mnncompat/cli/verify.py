"""`mnncompat verify`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, check_format, report
from mnncompat.errors import UsageError


def verify(
    model: options.OneModel,
    file: Annotated[Path, typer.Argument(metavar="FILE.mnn", help="The converted file.", show_default=False)],
    *,
    shape: options.Shapes = None,
    data: options.Inputs = None,
    tolerance: options.Tolerances = None,
    seed: options.Seed = 0,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds that MNN may take.")] = 300.0,
    output_format: options.Format = "text",
) -> None:
    """Compare MODEL under ONNX Runtime with FILE.mnn under MNN on the same inputs.

    Exit status 1 if any output differs, is missing, or nothing could be compared.
    """
    check_format(output_format)
    from mnncompat import parity
    from mnncompat.converting.near_misses import random_hint
    from mnncompat.graph.model_file import load
    from mnncompat.mnn import Limits
    from mnncompat.report import Verified

    if not file.is_file():
        raise UsageError(f"{file}: no such file", hint="make it with `mnncompat convert`")
    begin_work()
    loaded = load(model)
    general, overrides = options.parse_tolerances(tolerance)
    shapes, inputs = options.parse_shapes(shape, loaded), options.parse_inputs(data)
    result = parity.verify(
        model,
        file,
        shapes=shapes,
        inputs=inputs,
        tolerance=general,
        tolerances=overrides,
        seed=seed,
        limits=Limits(seconds=timeout),
    )
    if not result.differs:
        hint = random_hint(loaded, shapes=shapes, inputs=inputs, seed=seed)
        result = replace(result, notes=(*result.notes, hint)) if hint else result
    report([Verified(source=str(model), file=str(file), parity=result)], output_format)
    if not result.passed:
        raise typer.Exit(1)
