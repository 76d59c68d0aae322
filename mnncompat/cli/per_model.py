"""Calls a command for the models that it is given, or that the configuration has, each with its own settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.cli.config import nearest_table
from mnncompat.cli.declared import Declared, declarations, grouped
from mnncompat.cli.fleet_options import invoked
from mnncompat.cli.model_arguments import found_models
from mnncompat.errors import MnncompatError, UsageError
from mnncompat.files.inputs import note_input

if TYPE_CHECKING:
    from mnncompat.cli.project import Project

_COMMANDS = ("check", "fix", "convert")
_DATA = ("data", "feeds", "transform", "metric", "labels")
"""Options that name files to read."""
_TABLES = ("per-file-ignores", "ignore-nodes", "models")


def call(command: Callable[..., None], values: Mapping[str, Any], words: Sequence[str], *, every: bool = False) -> None:
    """Call a command, once for all models that have the same settings; there is one report.

    Args:
        command: The command.
        values: Of its options, by name; some may be missing.
        words: The command line after the name of the command: what it states wins over the configuration.
        every: Convert also what is up to date.

    Raises:
        UsageError: No model is named.
        Ended: With the worst status.
    """
    name = command.__name__
    if name not in _COMMANDS:
        _invoke(command, values)
        return
    _, table = nearest_table()
    if not any(key in table for key in _TABLES):
        _require_models(values.get("models"))
        _invoke(command, values)
        return
    groups = _groups(name, values, _stated(declarations(command), words), every=every)
    if len(groups) == 1:
        _invoke(command, groups[0])
        return
    _call_each(command, groups)


def _invoke(command: Callable[..., None], values: Mapping[str, Any]) -> None:
    _note_inputs(values)
    with invoked(command.__name__, values):
        command(**grouped(command, values))


def _note_inputs(values: Mapping[str, Any]) -> None:
    """Note the files that the command line names to be read: no result is written there."""
    named = [values.get("model"), values.get("file"), *(values.get("models") or ())]
    if any(values.get(each) for each in _DATA):
        from mnncompat.cli.fleet_tasks import option_files

        named += option_files(values)
    for each in named:
        if isinstance(each, Path):
            note_input(each)


def _require_models(models: Sequence[Path] | None) -> None:
    if not models:
        hint = "name files, folders or patterns, or have [[tool.mnncompat.models]] in pyproject.toml"
        raise UsageError("MODEL is missing", hint=hint)


def _groups(name: str, values: Mapping[str, Any], stated: set[str], *, every: bool) -> list[dict[str, Any]]:
    """Values of the command's options for each group of models with the same settings."""
    from mnncompat.cli.project import project

    known = project()
    assert known is not None  # noqa: S101 - there are tables
    exclude = tuple(values.get("exclude") or ())
    models, built = _models(name, known, values, exclude)
    for folder in {table.folder for table in known.tables if table.folder is not None and name == "convert"}:
        folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        settings = known.settings(name, model, values.get("ignore"))
        mine = {key: value for key, value in settings.items() if key not in stated or key == "ignore"}
        if values.get("dry_run"):
            mine.pop("output", None)
        if "ignore" in stated and "ignore" in mine:
            extra = [each for each in mine["ignore"] if each not in (values.get("ignore") or ())]
            mine["ignore"] = [*(values.get("ignore") or ()), *extra]
        group = found.setdefault(repr(sorted(mine.items())), {**values, **mine, "models": []})
        group["models"].append(model)
    groups = list(found.values())
    return _outdated(groups) if built and not every else groups


def _models(name: str, known: Project, values: Mapping[str, Any], exclude: Sequence[str]) -> tuple[list[Path], bool]:
    """The models that are named, or all that the configuration has; and whether the latter."""
    given = values.get("models")
    if given:
        return found_models(given, exclude, values.get("force_exclude")), False
    if not known.tables:
        _require_models(given)
    return known.models(exclude), name == "convert"


def _outdated(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The groups without the models whose output is up to date.

    Raises:
        Ended: All are.
    """
    from mnncompat.cli import Ended
    from mnncompat.cli.console import note
    from mnncompat.cli.output_paths import is_up_to_date, output_paths

    left = []
    for group in groups:
        outputs = dict(zip(group["models"], output_paths(group["models"], group.get("output"), ".mnn"), strict=True))
        for model, output in outputs.items():
            if is_up_to_date(model, output):
                note(f"{output} is up to date")
        models = [model for model, output in outputs.items() if not is_up_to_date(model, output)]
        if models:
            left.append({**group, "models": models})
    if not left:
        raise Ended(0)
    return left


def _call_each(command: Callable[..., None], groups: Sequence[Mapping[str, Any]]) -> None:
    from mnncompat.cli import EXIT_ERROR, Ended
    from mnncompat.cli.console import collected, report
    from mnncompat.cli.printing import say_error

    worst = 0
    with collected() as results:
        for group in groups:
            try:
                _invoke(command, group)
            except Ended as ended:
                worst = max(worst, ended.status)
            except MnncompatError as error:
                say_error(error.message, error.hint)
                worst = EXIT_ERROR
    report(results.results, results.reporting)
    if worst:
        raise Ended(worst)


def _stated(options: Sequence[Declared], words: Sequence[str]) -> set[str]:
    """The options that a command line states."""
    heads = {word.partition("=")[0] for word in words}
    return {
        each.name for each in options if any(name in heads for names in each.stated.names for name in names.split("/"))
    }
