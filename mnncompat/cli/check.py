"""`mnncompat check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, check_format, note, report
from mnncompat.errors import MnncompatError, UsageError

if TYPE_CHECKING:
    from mnncompat.diagnostics import CheckResult

_FAIL_ON = ("error", "warning", "never")


def check(
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
) -> None:
    """Find what MNN refuses, crashes on or gets wrong, and say what to do about it.

    Reads the graph only: neither MNN nor ONNX Runtime is started. Exit status 1 if there are errors or warnings.
    """
    check_format(output_format)
    if fail_on not in _FAIL_ON:
        raise UsageError(f"unknown level: {fail_on}", hint=f"there are: {', '.join(_FAIL_ON)}")
    from mnncompat.catalog import require_rules

    chosen = options.split_rules(select), options.split_rules(ignore)
    require_rules((*chosen[0], *chosen[1]))
    results, failed = _check_all(models, mnn, *chosen)
    if results:
        report(results, output_format)
    if failed:
        raise typer.Exit(2)
    if fail_on != "never":
        from mnncompat.diagnostics import Severity

        if any(result.at_least(Severity(fail_on)) for result in results):
            raise typer.Exit(1)


def _check_all(
    models: options.Models, mnn: str | None, select: Sequence[str], ignore: Sequence[str]
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
            result = check_model(load(path), mnn_version=version, rewrites=all_rewrites())
        except MnncompatError as error:
            note(f"error: {error.message}\nhint: {error.hint}")
            failed = True
        else:
            results.append(_filtered(result, select, ignore))
    return results, failed


def _filtered(result: CheckResult, select: Sequence[str], ignore: Sequence[str]) -> CheckResult:
    from mnncompat.catalog import means

    kept = tuple(
        item
        for item in result.diagnostics
        if (not select or any(means(entry, item.code, item.name) for entry in select))
        and not any(means(entry, item.code, item.name) for entry in ignore)
    )
    return replace(result, diagnostics=kept)
