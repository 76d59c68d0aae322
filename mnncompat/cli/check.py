"""`mnncompat check`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.cli import Ended, options
from mnncompat.cli.baseline_options import NO_BASELINE, BaselineOptions
from mnncompat.cli.batch import each_model, report_all
from mnncompat.cli.console import begin_work, progress_bar
from mnncompat.cli.device_options import ANYWHERE, DeploymentOptions
from mnncompat.cli.fleet_options import ALONE, FleetOptions
from mnncompat.cli.head_options import Head, chosen_head
from mnncompat.cli.html_page import keep_graphs
from mnncompat.cli.limits import Bounds, MemoryLimit, Timeout, parse_limits
from mnncompat.cli.prediction_options import NO_INPUTS, PredictedOptions, require_installed
from mnncompat.cli.report_options import MANY_REPORTS, ManyReportOptions
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.cli.project import Project
    from mnncompat.graph.model_file import Model
    from mnncompat.results.diagnostics import CheckResult
    from mnncompat.results.outcomes import Unfinished
    from mnncompat.support.head_form import HeadForm
    from mnncompat.support.row_choice import RowChoice

    Addition = Callable[[Model, CheckResult], CheckResult]

_FAIL_ON = ("error", "warning", "performance", "never")


def check(  # noqa: PLR0913 - options
    models: options.Models = None,
    *,
    search: options.SearchOptions = options.ALL_MODELS,
    mnn: options.MnnVersion = None,
    deployment: DeploymentOptions = ANYWHERE,
    select: options.Select = None,
    ignore: options.Ignore = None,
    known: BaselineOptions = NO_BASELINE,
    reports: ManyReportOptions = MANY_REPORTS,
    fail_on: options.FailOn = "warning",
    probe: options.ProbeNodes = False,
    backend: options.Backends = None,
    head: Head = None,
    shape: options.Shapes = None,
    data: PredictedOptions = NO_INPUTS,
    seed: options.Seed = 0,
    memory_limit: MemoryLimit = None,
    timeout: Timeout = None,
    fleet: FleetOptions = ALONE,
) -> None:
    """Find what MNN refuses, crashes on or gets wrong, and say what to do about it.

    Reads the graph only, unless --probe or --backend is given, or inputs with --precision low: neither MNN nor ONNX
    Runtime is started. Exit status 1 if there are errors or warnings about correctness, or others that were selected.
    """
    reporting = reports.begin()
    _require_level(fail_on)
    paths = search.models(models)
    known.require()
    choice, where, limits = _choice(select, ignore), deployment.told(), _limits(data, timeout, memory_limit)
    predicting = data.predictors(where, mnn, shape=shape, seed=seed, memory=limits["memory"], probes=probe)
    additions = [_reader(shape), *predicting]
    if probe:
        additions.append(_measurer(mnn, shape, data, seed))
    if backend:
        additions.append(_surveyor(mnn, options.split_names(backend, "--backend"), choice, head))
    if fleet.scheduler is None:
        import_module("mnncompat.checking.checker")  # before processes are forked that all need it
    begin_work(**limits, runs=bool(backend or predicting), measures=probe)
    each = partial(each_model, paths, fleet=fleet, output_format=reporting.output_format)
    found = _check_all(each, mnn, where, choice, additions, chosen_head(head, backend, mnn))
    reported, results = known.compare(*found)
    report_all(reported, results, reporting)
    _fail_on(fail_on, results, choice)


def _limits(data: PredictedOptions, timeout: float | None, memory_limit: str | None) -> Bounds:
    """What each model may take; and what reading the data may, which is done before."""
    found = parse_limits(timeout, memory_limit)
    if data != NO_INPUTS:
        begin_work(**found)
    return found


def _require_level(level: str) -> None:
    if level not in _FAIL_ON:
        raise UsageError(f"unknown level: {level}", hint=f"there are: {', '.join(_FAIL_ON)}")


def _choice(select: list[str] | None, ignore: list[str] | None) -> RowChoice:
    """The rules that count.

    Raises:
        UsageError: An entry means no rule.
    """
    from mnncompat.support.row_choice import RowChoice

    selected, ignored = options.chosen_rules(select, ignore)
    if selected or ignored:
        from mnncompat.checking.rule_catalog import require_rules

        require_rules((*selected, *ignored))
    return RowChoice(select=selected, ignore=ignored)


def _fail_on(level: str, results: Sequence[CheckResult], choice: RowChoice) -> None:
    """End with status 1 if there is a finding of that level or above.

    A finding that is not about correctness counts if the level asks for it, or if it was selected.
    """
    if level == "never":
        return
    from mnncompat.results.diagnostics import Category, Severity

    least = Severity.WARNING if level == "performance" else Severity(level)
    every = level == "performance" or bool(choice.select)
    found = (each for result in results for each in result.at_least(least))
    if any(every or each.category is Category.CORRECTNESS for each in found):
        raise Ended(1)


def _check_all(
    each: Callable[[Callable[[Path], CheckResult]], tuple[list[CheckResult | Unfinished], tuple[CheckResult, ...]]],
    mnn: str | None,
    where: Mapping[str, Any],
    choice: RowChoice,
    additions: Sequence[Addition],
    head: HeadForm | None,
) -> tuple[list[CheckResult | Unfinished], tuple[CheckResult, ...]]:
    """Check every model; one that cannot be read does not keep the others from being checked."""
    from mnncompat.support.releases import resolve_version

    version = resolve_version(mnn)
    known = _project()

    def checked(path: Path) -> CheckResult:
        from mnncompat.checking.checker import check_model
        from mnncompat.checking.chosen_findings import chosen_findings
        from mnncompat.graph.model_file import load

        model = load(path)
        result = check_model(model, mnn_version=version, rewrites=None, head=head, **where)
        for add in additions:
            result = add(model, result)
        found = chosen_findings(result.diagnostics, choice)
        left, aside = known.suppressed(path, found) if known else (found, ())
        return replace(result, diagnostics=tuple(left), suppressed=tuple(aside))

    def named(path: Path) -> CheckResult:
        if str(path) != "-":
            return checked(path)
        from mnncompat.cli.standard_input import from_standard_input

        return from_standard_input(checked)

    return each(named)


def _project() -> Project | None:
    """What the configuration says about single models; read only if there is something."""
    from mnncompat.cli.config import configured

    if not configured("ignore-nodes"):
        return None
    from mnncompat.cli.project import project

    return project()


def _surveyor(mnn: str | None, names: Sequence[str], choice: RowChoice, head: str | None) -> Addition:
    """The findings that `--backend` adds to the result of one model, with what `fix` does under the same choice."""
    require_installed("--backend", mnn)
    from mnncompat.backends.registry import require
    from mnncompat.support.head_form import head_form

    require(names)
    form = head_form(head)

    def add(model: Model, result: CheckResult) -> CheckResult:
        from mnncompat.checking.surveyed import surveyed

        with progress_bar("converting") as progress:
            return surveyed(model, result, names, choice, head=form, progress=progress)

    return add


def _reader(shape: list[str] | None) -> Addition:
    """Without `--probe` nothing runs at these shapes, but one that fits no input is an error all the same.

    The graph is kept for `--html`.
    """

    def read(model: Model, result: CheckResult) -> CheckResult:
        options.parse_shapes(shape, model)
        keep_graphs(result.model, model)
        return result

    return read


def _measurer(mnn: str | None, shape: list[str] | None, data: PredictedOptions, seed: int) -> Addition:
    """The findings that `--probe` adds to the result of one model."""
    require_installed("--probe", mnn)
    inputs = data.read()
    from mnncompat.checking.node_measurements import flagged, measure_nodes, merged

    def measure(model: Model, result: CheckResult) -> CheckResult:
        with progress_bar("measuring nodes") as progress:
            shapes = options.parse_shapes(shape, model)
            version, found = measure_nodes(
                model, shapes=shapes, inputs=inputs, seed=seed, apart=flagged(result), progress=progress
            )
        return merged(result, model, version, found)

    return measure
