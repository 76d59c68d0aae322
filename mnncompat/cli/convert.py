"""`mnncompat convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, check_format, note, report
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.converting.pipeline import GateOptions
    from mnncompat.graph.model_file import Model
    from mnncompat.results.outcomes import ConvertResult


def convert(  # noqa: PLR0913 - options
    models: options.Models,
    *,
    output: options.Out = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but write the .mnn file.")] = False,
    fix: Annotated[bool, typer.Option("--fix/--no-fix", help="Rewrite before the conversion.")] = True,
    select: options.Select = None,
    ignore: options.Ignore = None,
    unsafe_fixes: options.Unsafe = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Store weights as float16.")] = False,
    weight_bits: Annotated[int, typer.Option("--weight-bits", help="Quantise weights to 2 to 8 bits; 0: do not.")] = 0,
    exact_gelu: Annotated[
        bool, typer.Option("--exact-gelu", help="Compute GELU with erf; MNN's approximation is off by up to 4.7e-4.")
    ] = False,
    target_version: Annotated[
        str | None,
        typer.Option("--target-version", metavar="MAJOR.MINOR", help="Oldest MNN that has to read the file."),
    ] = None,
    optimize_level: Annotated[
        int | None, typer.Option("--optimize-level", help="The converter's graph optimisation: 0, 1 or 2.")
    ] = None,
    shape: options.Shapes = None,
    data: options.Inputs = None,
    tolerance: options.Tolerances = None,
    seed: options.Seed = 0,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds that one run of MNN may take.")] = 300.0,
    output_format: options.Format = "text",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Check, fix, convert and verify; OUT appears only if MNN computes what the model computes.

    OUT is MODEL with the suffix .mnn unless given. Exit status 1 if the file does not convert or does not agree; an
    earlier OUT is then untouched.
    """
    check_format(output_format)
    _require_output(models, output, dry_run=dry_run)
    from mnncompat.checking.rule_catalog import is_rule
    from mnncompat.converting.pipeline import GateOptions, convert_model
    from mnncompat.fixing.transaction import choose_rewrites
    from mnncompat.graph.model_file import load
    from mnncompat.mnn import ConvertOptions, Limits

    chosen = options.split_rules(select), options.split_rules(ignore)
    rewrites = choose_rewrites(select=chosen[0], ignore=chosen[1], unsafe=unsafe_fixes, is_rule=is_rule) if fix else ()
    if exact_gelu:
        from mnncompat.rewrites.normalization.exact_gelu import ExactGelu

        rewrites = (*rewrites, ExactGelu())
    converter = ConvertOptions(
        fp16=fp16,
        weight_bits=weight_bits,
        gelu_approximation=False if exact_gelu else None,
        target_version=target_version,
        optimize_level=optimize_level,
    )
    general, overrides = options.parse_tolerances(tolerance)
    inputs = options.parse_inputs(data)
    begin_work()
    results: list[ConvertResult] = []
    for path in models:
        model: Model = load(path)
        gate: GateOptions = GateOptions(
            rewrites=rewrites,
            converter=converter,
            limits=Limits(seconds=timeout),
            shapes=options.parse_shapes(shape, model),
            inputs=inputs,
            tolerance=general,
            tolerances=overrides,
            seed=seed,
        )
        out = None if dry_run else output or path.with_suffix(".mnn")
        result = convert_model(model, out, options=gate, progress=(lambda _: None) if quiet else note)
        results.append(result)
    report(results, output_format)
    if any(result.verdict != "converted" for result in results):
        raise typer.Exit(1)


def _require_output(models: list[Path], output: Path | None, *, dry_run: bool) -> None:
    if output is not None and len(models) > 1:
        raise UsageError("-o takes the result of one model", hint="convert them one by one, or leave -o out")
    if output is not None and dry_run:
        raise UsageError("-o and --dry-run exclude each other", hint="choose one")
