"""`mnncompat upgrade`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mnncompat.cli import EXIT_ERROR, Ended, options
from mnncompat.cli.console import begin_work, note, report
from mnncompat.cli.declared import option
from mnncompat.cli.limits import MemoryLimit, Timeout, parse_memory, parse_timeout
from mnncompat.cli.report_options import MANY_REPORTS, ManyReportOptions
from mnncompat.errors import ModelError, RunnerError, UsageError

if TYPE_CHECKING:
    from mnncompat.results.diagnostics import Diagnostic
    from mnncompat.results.kept import KeptResult
    from mnncompat.results.kept_record import Record
    from mnncompat.results.outcomes import Unfinished

From = Annotated[
    str | None, option("--from", metavar="VERSION", help="MNN release to compare with. [default: the installed one]")
]
To = Annotated[
    str | None, option("--to", metavar="VERSION", help="MNN release to compare. [default: the newest known one]")
]
_OLDEST = "3.0.0"
_SHIFT_DB = 3.0
"""A difference of parity that is told: half of the signal's distance to the noise."""


def upgrade(
    models: options.Models = None,
    *,
    search: options.SearchOptions = options.ALL_MODELS,
    before: From = None,
    now: To = None,
    memory_limit: MemoryLimit = None,
    timeout: Timeout = None,
    reports: ManyReportOptions = MANY_REPORTS,
) -> None:
    """Tell what another MNN would change for models: findings, verdict, ops by node, size, parity.

    Each model is converted and compared with both releases, each installed by pip in a folder of its own in the user's
    cache; the environment of mnncompat stays as it is. Settings are those of `mnncompat convert`; nothing is
    published. Exit status 1 if something is worse with --to; 2 if a model could not be worked on.
    """
    reporting = reports.begin()
    begin_work(seconds=parse_timeout(timeout), memory=parse_memory(memory_limit), runs=True)
    first, second = _release(before, None), _release(now, "latest")
    if first == second:
        raise UsageError(f"both releases are {first}", hint="give two: --from 3.5.0 --to 3.6.1")
    paths = _paths(search, models)
    words = _words(memory_limit, timeout)
    unread = {path: why for path in paths if (why := _unread(path)) is not None}
    readable = [path for path in paths if path not in unread]
    measured = {release: _measured(release, readable, words) for release in (first, second)}
    found: list[KeptResult | Unfinished] = []
    for path in paths:
        was, becomes = (measured[release].get(path) for release in (first, second))
        if was is not None and becomes is not None:
            found.append(_compared(path, was, becomes))
        else:
            found.append(unread.get(path) or _unfinished(path, first if was is None else second))
    report(found, reporting)
    _end(found)


def _end(found: Sequence[Any]) -> None:
    from mnncompat.results.kept import KeptResult

    compared = [each for each in found if isinstance(each, KeptResult)]
    if len(compared) < len(found):
        raise Ended(EXIT_ERROR)
    if any(each.worse for each in compared):
        raise Ended(1)


def _release(given: str | None, default: str | None) -> str:
    """The release that is meant.

    Raises:
        UsageError: There is none such, or mnncompat does not run with it.
    """
    from mnncompat.support.releases import contains, resolve_version

    release = resolve_version(given or default)
    if not contains(f">={_OLDEST}", release):
        raise UsageError(f"MNN {release} cannot be run here", hint=f"releases since {_OLDEST} can")
    return release


def _paths(search: options.SearchOptions, given: Sequence[Path] | None) -> list[Path]:
    """The models that are named, or those of the configuration.

    Raises:
        UsageError: There are none.
    """
    from mnncompat.cli.project import project

    if given:
        return search.models(given)
    known = project()
    if known is None or not known.tables:
        hint = "name files, folders or patterns, or have [[tool.mnncompat.models]] in pyproject.toml"
        raise UsageError("MODEL is missing", hint=hint)
    return known.models(tuple(search.exclude or ()))


def _words(memory: str | None, timeout: float | None) -> list[str]:
    """What the command line says that holds for each release, and from where its settings are."""
    from mnncompat.cli.config import nearest_table

    file, _ = nearest_table()
    given: dict[str, Any] = {"--config": file, "--memory-limit": memory, "--timeout": timeout}
    return [word for name, value in given.items() if value is not None for word in (name, str(value))]


def _measured(release: str, paths: Sequence[Path], words: Sequence[str]) -> Mapping[Path, Record]:
    """What comes of the models with a release; those that could not be worked on are missing.

    Raises:
        RunnerError: The release cannot be installed or run.
    """
    if not paths:
        return {}
    from mnncompat.converting.lock_file import read_lock
    from mnncompat.files.scratch import ScratchFolder
    from mnncompat.fleet.other_release import release_folder, run_with
    from mnncompat.report.measures import counted

    note(f"MNN {release}: converting {counted(len(paths), 'model')}")
    folder = release_folder(release)
    with ScratchFolder() as scratch:
        lock = scratch / "mnncompat.lock"
        command = ["ci", "--update", "--quiet", "--lock", str(lock), *words, "--", *map(str, paths)]
        done = run_with(folder, command)
        records = read_lock(lock)
        if not records and done.returncode > 1:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            told = next((line for line in lines if line.startswith("error: ")), lines[-1] if lines else "it ended")
            raise RunnerError(f"with MNN {release}: {told.removeprefix('error: ')}", hint="run `mnncompat check` first")
        return {path: each for path in paths for name, each in records.items() if _is(lock.parent / name, path)}


def _is(name: Path, path: Path) -> bool:
    return name.resolve() == path.resolve()


def _unread(path: Path) -> Unfinished | None:
    """Why a model cannot be read; None if it can."""
    from mnncompat.graph.model_file import load
    from mnncompat.results.diagnostics import Location
    from mnncompat.results.outcomes import Unfinished
    from mnncompat.results.rules import UNREADABLE

    try:
        load(path)
    except ModelError as error:
        message = error.message.removeprefix(f"{path}: ")
        found = UNREADABLE.finding(Location(model=str(path)), message, status="error", hint=error.hint)
        return Unfinished(source=str(path), diagnostics=(found,))
    return None


def _unfinished(path: Path, release: str) -> Unfinished:
    """A model that can be read, and could not be worked on all the same."""
    from mnncompat.results.diagnostics import Location
    from mnncompat.results.outcomes import Unfinished
    from mnncompat.results.rules import NOT_FINISHED

    message, hint = f"could not be worked on with MNN {release}", f"`mnncompat convert --dry-run {path}` says more"
    found = NOT_FINISHED.finding(Location(model=str(path)), message, status="error", hint=hint)
    return Unfinished(source=str(path), diagnostics=(found,))


def _compared(path: Path, was: Record, becomes: Record) -> KeptResult:
    from mnncompat.converting.regressions import compared

    result = compared(
        becomes, replace(was, mnn=becomes.mnn), before_is=f"MNN {was.mnn}", written=False, source=str(path)
    )
    gone, new = _findings(path, was.mnn, becomes.mnn)
    told = [*_parity(result), *_told(gone, "not any more"), *_told(new, "new")]
    if was.size and becomes.size > was.size and not any("has grown" in each for each in result.worse):
        told.append(f"larger: {was.size} -> {becomes.size} bytes")
    otherwise = tuple(dict.fromkeys([*result.otherwise, *told]))
    return replace(result, otherwise=otherwise, findings_gone=gone, findings_new=new)


def _parity(result: KeptResult) -> list[str]:
    """Outputs that are nearer to the original, or farther from it, and are right with both."""
    found = []
    for each in result.outputs:
        before, now = each.snr_db
        if before is not None and now is not None and before != now and abs(before - now) >= _SHIFT_DB:
            found.append(f"output '{each.name}': {before:.1f} dB before, {now:.1f} now")
    return [each for each in found if each not in result.worse]


def _findings(path: Path, before: str, now: str) -> tuple[tuple[Diagnostic, ...], tuple[Diagnostic, ...]]:
    """Findings of `check` that only one of two releases has."""
    from mnncompat.checking.checker import check_model
    from mnncompat.graph.model_file import load

    model = load(path)
    first, second = (
        {(each.code, each.location.path, each.location.index): each for each in result.diagnostics}
        for result in (check_model(model, mnn_version=release, rewrites=None) for release in (before, now))
    )
    gone = tuple(each for key, each in first.items() if key not in second)
    return gone, tuple(each for key, each in second.items() if key not in first)


def _told(found: Sequence[Diagnostic], what: str) -> list[str]:
    return [
        f"{each.severity.value} {each.code} {each.name} {what}"
        + (f" at {each.location.path}" if each.location.path else "")
        + f": {each.message}"
        for each in found
    ]
