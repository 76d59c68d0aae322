"""`mnncompat fix`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from mnncompat.cli import Ended, options
from mnncompat.cli.batch import each_model, report_all
from mnncompat.cli.console import begin_work, emit, note, use_color
from mnncompat.cli.data_options import NO_DATA, DataOptions, named_values
from mnncompat.cli.device_options import FOR_ANY, FixedFor
from mnncompat.cli.fleet_options import ALONE, FleetOptions
from mnncompat.cli.head_options import Head, RunsOn, chosen_head
from mnncompat.cli.html_page import keep_graphs
from mnncompat.cli.limits import MemoryLimit, Timeout, parse_memory, parse_timeout
from mnncompat.cli.output_paths import output_paths
from mnncompat.cli.report_options import MANY_REPORTS, ManyReportOptions
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.fixing.transaction import FixedModel
    from mnncompat.graph.model_file import Model
    from mnncompat.results.outcomes import FixResult


class Written(NamedTuple):
    """What is done with the results."""

    output: options.Out = None
    in_place: options.InPlace = False
    show_diff: options.ShowDiff = False
    annotate: options.Annotate = False
    embed_preprocess: options.Embedded = None

    def require_one_way(self) -> None:
        """Check that the results go to one place, or are shown.

        Raises:
            UsageError: They go to two places, or to none.
        """
        if self.output is not None and self.in_place:
            raise UsageError("-o and --in-place exclude each other", hint="choose one")
        if self.annotate and not self.is_written:
            hint = "add -o OUT or --in-place"
            raise UsageError("--annotate writes into the result, which goes nowhere", hint=hint)
        if not self.is_written and not self.show_diff:
            raise UsageError("nothing to do with the result", hint="add -o OUT, --in-place or --diff")

    @property
    def is_written(self) -> bool:
        """Whether results become files."""
        return self.output is not None or self.in_place

    def targets(self, paths: Sequence[Path]) -> dict[Path, Path]:
        """Where the result of each model goes; empty if none is written."""
        if self.in_place:
            return dict(zip(paths, paths, strict=True))
        return {} if self.output is None else dict(zip(paths, output_paths(paths, self.output, ".onnx"), strict=True))


UNWRITTEN = Written()
"""As it is by default, which is an error."""


def fix(  # noqa: PLR0913 - options
    models: options.Models = None,
    *,
    search: options.SearchOptions = options.ALL_MODELS,
    written: Written = UNWRITTEN,
    select: options.Select = None,
    ignore: options.Ignore = None,
    unsafe_fixes: options.Unsafe = False,
    mnn_version: options.FixVersion = None,
    deployment: FixedFor = FOR_ANY,
    backend: RunsOn = None,
    head: Head = None,
    verify: options.Prove = True,
    shape: options.Freeze = None,
    data: DataOptions = NO_DATA,
    memory_limit: MemoryLimit = None,
    timeout: Timeout = None,
    seed: options.Seed = 0,
    fleet: FleetOptions = ALONE,
    reports: ManyReportOptions = MANY_REPORTS,
) -> None:
    """Rewrite what MNN refuses, gets wrong or runs badly; the result is proven equal before it is written.

    The result is checked again. Exit status 1 if errors remain, if a rewrite had to be given up, or if --diff alone
    shows changes.
    """
    reporting = reports.begin()
    paths = search.models(models)
    written.require_one_way()
    from mnncompat.checking.rechecked import fix_and_check
    from mnncompat.diagnosing.half_precision.simulated_trial import simulated
    from mnncompat.support.target import Target

    rewrites, rows = options.chosen_rewrites(select, ignore, unsafe=unsafe_fixes)
    memory = parse_memory(memory_limit)
    goal = Target(mnn_version, **deployment.told(), choice=rows, head=chosen_head(head, backend, mnn_version))
    begin_work(seconds=parse_timeout(timeout), memory=memory, runs=True, rewrites=True)
    inputs = data.read()
    one_way = partial(fix_and_check, prove=verify, inputs=inputs, seed=seed, memory=memory, simulate=simulated)
    work = partial(one_way, rewrites=rewrites, target=goal, where=deployment.where())
    one = partial(_fix_one, targets=written.targets(paths), shape=shape, fixing=work, written=written, seed=seed)
    reported, results = each_model(paths, one, fleet=fleet, output_format=reporting.output_format)
    _show_changes(results if written.show_diff and reporting.output_format == "text" else ())
    report_all(reported, results, reporting)
    _require_finished(results, written=written.is_written)


def _annotated(result: FixedModel) -> Model:
    """The result with what was found about its nodes."""
    from mnncompat.viewing.annotated import annotated

    return annotated(result.model, result.remaining or ())


def _require_finished(results: Sequence[FixResult], *, written: bool) -> None:
    """End with status 1 if there is something left to do about one of the models."""
    if any(_is_unfinished(result, written=written) for result in results):
        raise Ended(1)


def _is_unfinished(result: FixResult, *, written: bool) -> bool:
    return bool(not result.proven or result.errors or (result.changed and not written))


def _show_changes(results: Sequence[FixResult]) -> None:
    from mnncompat.report import diff_text

    for result in results:
        emit(diff_text(result.changes, color=use_color()))


def _fix_one(
    path: Path,
    *,
    targets: Mapping[Path, Path],
    shape: list[str] | None,
    fixing: Callable[..., FixedModel],
    written: Written,
    seed: int,
) -> FixResult:
    """Fix a model and write the result; what was done is returned, and not the model."""
    from mnncompat.graph.model_file import load

    target = targets.get(path)
    _require_target(path, target)
    model = load(path)
    subject = _embedded(model, written.embed_preprocess, seed)
    result = fixing(subject, freeze=options.parse_shapes(shape, subject))
    keep_graphs(model.name, model, fixed=result.model if result.changed else None)
    if target is None:
        return result.told()
    data = _write(result, model, target, annotate=written.annotate, always=subject is not model)
    return result.told() if data is None else replace(result.told(), out=target, data=data)


def _require_target(path: Path, target: Path | None) -> None:
    from mnncompat.files.inputs import replace_input
    from mnncompat.files.reachable import is_file
    from mnncompat.graph.atomic_files import require_different, require_writable

    if target is not None and is_file(path):
        if target is path:
            replace_input(path)
        else:
            require_different(path, target)
        require_writable(target)


def _embedded(model: Model, declared: list[str] | None, seed: int) -> Model:
    """The model with preprocessing in it, where that is asked for."""
    steps = named_values("--embed-preprocess", declared, "NAME=STEPS")
    if not steps:
        return model
    from mnncompat.fixing.embedded_preprocess import embedded

    found = embedded(model, steps, seed=seed)
    for name in steps:
        note(f"{model.name}: input {name} takes uint8 images, [batch, height, width, 3], red first; {found.words}")
    return found.model


def _write(
    result: FixedModel, given: Model, target: Path, *, annotate: bool, always: bool = False
) -> tuple[Path, ...] | None:
    """Write the result; an unchanged model is not touched with --in-place, and copied unchanged to another path.

    With findings as metadata it is always written.

    Returns:
        The files with weights that it refers to; None if nothing was written.
    """
    from mnncompat.graph.atomic_files import copy_atomically
    from mnncompat.graph.model_file import save

    source = cast("Path", given.path)
    if annotate or always or result.changed or (source != target and result.model.external):
        data = tuple(save(_annotated(result) if annotate else result.model, target).values())
        known = {each.resolve() for each in given.data.values()}
        written = (target, *(each for each in data if each.resolve() not in known))
        note(f"wrote {' and '.join(map(str, written))}")
        return data
    if source != target:
        copy_atomically(source, target)
        note(f"wrote {target} (unchanged)")
        return ()
    return None
