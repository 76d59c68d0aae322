"""`mnncompat check`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mnncompat.cli import Ended, options
from mnncompat.cli.batch import each_model, report_all
from mnncompat.cli.console import Reporting, be_quiet, begin_work, note, progress_bar
from mnncompat.cli.declared import option
from mnncompat.cli.head_options import Head, chosen_head
from mnncompat.cli.limits import Jobs, MemoryLimit, Timeout, parse_memory, parse_timeout
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model
    from mnncompat.parity import RealData
    from mnncompat.results.diagnostics import CheckResult
    from mnncompat.results.outcomes import Unfinished
    from mnncompat.support.head_form import HeadForm
    from mnncompat.support.row_choice import RowChoice

    Addition = Callable[[Model, CheckResult], CheckResult]

Baseline = Annotated[
    Path | None,
    option("--baseline", metavar="FILE", help="Leave out the findings that this file knows: only new ones fail."),
]
UpdateBaseline = Annotated[
    bool, option("--update-baseline", help="Write the findings of today to the --baseline, and succeed.")
]
_FAIL_ON = ("error", "warning", "performance", "never")


def check(  # noqa: PLR0913 - options
    models: options.Models,
    *,
    exclude: options.Exclude = None,
    mnn: options.MnnVersion = None,
    select: options.Select = None,
    ignore: options.Ignore = None,
    baseline: Baseline = None,
    update_baseline: UpdateBaseline = False,
    output_format: options.Format = "text",
    output_file: options.OutputFile = None,
    statistics: options.Statistics = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    fail_on: options.FailOn = "warning",
    probe: options.ProbeNodes = False,
    backend: options.Backends = None,
    head: Head = None,
    shape: options.Shapes = None,
    data: options.Inputs = None,
    preprocess: options.Preprocessing = None,
    feeds: options.Feeds = None,
    seed: options.Seed = 0,
    memory_limit: MemoryLimit = None,
    timeout: Timeout = None,
    jobs: Jobs = 1,
) -> None:
    """Find what MNN refuses, crashes on or gets wrong, and say what to do about it.

    Reads the graph only, unless --probe or --backend is given: neither MNN nor ONNX Runtime is started. Exit status 1
    if there are errors or warnings about correctness, or others that were selected.
    """
    be_quiet(quiet=quiet)
    reporting = Reporting(output_format, output_file, statistics, verbose).checked()
    if fail_on not in _FAIL_ON:
        raise UsageError(f"unknown level: {fail_on}", hint=f"there are: {', '.join(_FAIL_ON)}")
    models = options.model_paths(models, exclude)
    _require_baseline(baseline, update=update_baseline)
    choice = _choice(select, ignore)
    additions = [_reader(shape)]
    if probe:
        _require_installed("--probe", mnn)
        additions.append(_measurer(shape, options.parse_data(data, preprocess, feeds), seed))
    if backend:
        _require_installed("--backend", mnn)
        additions.append(_surveyor(options.split_names(backend, "--backend"), choice, head))
    seconds, memory = parse_timeout(timeout), parse_memory(memory_limit)
    begin_work(seconds=seconds, memory=memory, runs=bool(backend), measures=probe)
    form = chosen_head(head, backend, mnn)
    reported, results = _check_all(models, mnn, choice, additions, form, jobs)
    if baseline is not None:
        reported, results = _without_known(baseline, reported, results, update=update_baseline)
    report_all(reported, results, reporting)
    _fail_on(fail_on, results, choice)


def _require_baseline(baseline: Path | None, *, update: bool) -> None:
    """What is asked for can be done; called before any work."""
    if baseline is None:
        if update:
            raise UsageError("--update-baseline updates nothing", hint="add --baseline FILE")
        return
    from mnncompat.checking.baseline import read_baseline
    from mnncompat.graph.atomic_files import require_writable

    if update:
        require_writable(baseline)
    if not update or baseline.exists():
        read_baseline(baseline)


def _without_known(
    baseline: Path, reported: list[CheckResult | Unfinished], results: tuple[CheckResult, ...], *, update: bool
) -> tuple[list[CheckResult | Unfinished], tuple[CheckResult, ...]]:
    """Leave out the findings that a baseline knows, or have it know those of today."""
    from mnncompat.checking.baseline import compare, write_baseline
    from mnncompat.report.measures import counted
    from mnncompat.results.diagnostics import CheckResult

    if update:
        note(f"wrote {baseline}: it knows {counted(write_baseline(baseline, results), 'finding')}")
    new, known, gone = compare(baseline, results)
    if known and not update:
        note(f"not shown, since {baseline} knows them: {counted(known, 'finding')}")
    if gone:
        note(f"{baseline} knows {counted(gone, 'finding')} that are gone: --update-baseline forgets them")
    left = iter(new)
    return [next(left) if isinstance(each, CheckResult) else each for each in reported], new


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
    models: options.Models,
    mnn: str | None,
    choice: RowChoice,
    additions: Sequence[Addition],
    head: HeadForm | None,
    jobs: int,
) -> tuple[list[CheckResult | Unfinished], tuple[CheckResult, ...]]:
    """Check every model; one that cannot be read does not keep the others from being checked."""
    from mnncompat.checking.checker import check_model
    from mnncompat.checking.chosen_findings import chosen_findings
    from mnncompat.graph.model_file import load
    from mnncompat.support.releases import resolve_version

    version = resolve_version(mnn)

    def checked(path: Path) -> CheckResult:
        model = load(path)
        result = check_model(model, mnn_version=version, rewrites=None, head=head)
        for add in additions:
            result = add(model, result)
        return replace(result, diagnostics=chosen_findings(result.diagnostics, choice))

    return each_model(models, checked, jobs=jobs)


def _require_installed(option: str, mnn: str | None) -> None:
    from mnncompat.cli.config import configured
    from mnncompat.support.releases import require_installed

    require_installed(mnn, option, configured=mnn is not None and mnn == configured("mnn"))


def _surveyor(names: Sequence[str], choice: RowChoice, head: str | None) -> Addition:
    """The findings that `--backend` adds to the result of one model, with what `fix` does under the same choice."""
    from mnncompat.backends.registry import require
    from mnncompat.backends.rules import BACKEND_RULES
    from mnncompat.checking.rule_catalog import is_rule
    from mnncompat.fixing.selection import choose
    from mnncompat.support.head_form import head_form
    from mnncompat.support.row_choice import means

    require(names)
    form = head_form(head)
    # A selected finding about backends selects no rewrite: it tells what `fix` does.
    told = [each for each in choice.select if any(means(each, rule.code, rule.name) for rule in BACKEND_RULES)]
    select = [each for each in choice.select if each not in told or choose(select=[each], is_rule=is_rule).rewrites]
    rewrites, rows = choose(select=select, ignore=choice.ignore, is_rule=is_rule)

    def add(model: Model, result: CheckResult) -> CheckResult:
        from mnncompat.backends.analyze import analyze
        from mnncompat.backends.findings import with_backends

        with progress_bar("converting") as progress:
            found = analyze(model, names, rewrites=rewrites, rows=rows, head=form, progress=progress)
        return with_backends(result, model, found)

    return add


def _reader(shape: list[str] | None) -> Addition:
    """Without `--probe` nothing runs at these shapes, but one that fits no input is an error all the same."""

    def read(model: Model, result: CheckResult) -> CheckResult:
        options.parse_shapes(shape, model)
        return result

    return read


def _measurer(shape: list[str] | None, inputs: RealData, seed: int) -> Addition:
    """The findings that `--probe` adds to the result of one model."""
    from mnncompat.checking.node_measurements import flagged, measure_nodes, merged

    def measure(model: Model, result: CheckResult) -> CheckResult:
        with progress_bar("measuring nodes") as progress:
            shapes = options.parse_shapes(shape, model)
            version, found = measure_nodes(
                model, shapes=shapes, inputs=inputs, seed=seed, apart=flagged(result), progress=progress
            )
        return merged(result, model, version, found)

    return measure
