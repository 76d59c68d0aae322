"""`mnncompat check`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, check_format, note, progress_bar, report
from mnncompat.errors import MnncompatError, UsageError

if TYPE_CHECKING:
    from mnncompat.diagnostics import CheckResult
    from mnncompat.model import Model

    _Measure = Callable[[Model, CheckResult], CheckResult]

_FAIL_ON = ("error", "warning", "never")


def check(  # noqa: PLR0913 - options
    models: options.Models,
    *,
    mnn: options.MnnVersion = None,
    select: options.Select = None,
    ignore: options.Ignore = None,
    output_format: options.Format = "text",
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on", metavar="LEVEL", help="Findings that make the exit status 1: error, warning or never."
        ),
    ] = "warning",
    probe: Annotated[
        bool, typer.Option("--probe", help="Measure each distinct node on the installed MNN as well; takes seconds.")
    ] = False,
    shape: options.Shapes = None,
    data: options.Inputs = None,
    seed: options.Seed = 0,
) -> None:
    """Find what MNN refuses, crashes on or gets wrong, and say what to do about it.

    Reads the graph only, unless --probe is given: neither MNN nor ONNX Runtime is started. Exit status 1 if there are
    errors or warnings.
    """
    check_format(output_format)
    if fail_on not in _FAIL_ON:
        raise UsageError(f"unknown level: {fail_on}", hint=f"there are: {', '.join(_FAIL_ON)}")
    from mnncompat.catalog import require_rules

    chosen = options.split_rules(select), options.split_rules(ignore)
    require_rules((*chosen[0], *chosen[1]))
    measure = _measurer(shape, data, seed) if probe else None
    if probe and mnn is not None:
        raise UsageError("--probe measures the installed MNN", hint="leave out --mnn")
    results, failed = _check_all(models, mnn, *chosen, measure)
    if results:
        report(results, output_format)
    if failed:
        raise typer.Exit(2)
    if fail_on != "never":
        from mnncompat.diagnostics import Severity

        if any(result.at_least(Severity(fail_on)) for result in results):
            raise typer.Exit(1)


def _check_all(
    models: options.Models, mnn: str | None, select: Sequence[str], ignore: Sequence[str], measure: _Measure | None
) -> tuple[list[CheckResult], bool]:
    """Check every model; one that cannot be read does not keep the others from being checked."""
    from mnncompat.lint import check_model
    from mnncompat.model import load
    from mnncompat.releases import resolve_version
    from mnncompat.rewrites import all_rewrites

    version = resolve_version(mnn)
    begin_work()
    results: list[CheckResult] = []
    failed = False
    for path in models:
        try:
            model = load(path)
            result = check_model(model, mnn_version=version, rewrites=all_rewrites())
            if measure is not None:
                result = measure(model, result)
        except MnncompatError as error:
            note(f"error: {error.message}\nhint: {error.hint}")
            failed = True
        else:
            results.append(_filtered(result, select, ignore))
    return results, failed


def _measurer(shape: list[str] | None, data: list[str] | None, seed: int) -> _Measure:
    """What `--probe` adds to the result of one model."""
    from mnncompat.measured import measure_nodes, merged

    inputs = options.parse_inputs(data)

    def measure(model: Model, result: CheckResult) -> CheckResult:
        with progress_bar("measuring nodes") as progress:
            shapes = options.parse_shapes(shape, model)
            version, found = measure_nodes(model, shapes=shapes, inputs=inputs, seed=seed, progress=progress)
        return merged(result, model, version, found)

    return measure


def _filtered(result: CheckResult, select: Sequence[str], ignore: Sequence[str]) -> CheckResult:
    from mnncompat.catalog import means

    kept = tuple(
        item
        for item in result.diagnostics
        if (not select or any(means(entry, item.code, item.name) for entry in select))
        and not any(means(entry, item.code, item.name) for entry in ignore)
    )
    return replace(result, diagnostics=kept)
