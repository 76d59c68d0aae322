"""The tasks of a command: what their results depend on, and what of them is known already."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnncompat.cli.config import nearest_table
from mnncompat.cli.fleet_options import NOT_SENT, REPORTS_ONLY, FleetOptions, Own, invocation
from mnncompat.errors import OutputError
from mnncompat.files.reachable import is_file, is_folder
from mnncompat.fleet.outcomes import Answer
from mnncompat.fleet.results_folder import ResultsFolder
from mnncompat.fleet.tasks import Task, digest_of, external_files, tool_identity

_PAIR = {"model", "file"}
_CONFIGURED = ("ignore-nodes", "devices")
"""Keys of the configuration that commands read themselves; what the others say is in the values of options."""


class Tasks:
    """The tasks of one call of a command.

    Args:
        models: Its models, as the user named them.
        fleet: Where results are kept, and which release makes them.
        own: Values of options for one model, if each has its own.

    Raises:
        OutputError: They cannot be.
        UsageError: It is another kind of folder.
    """

    def __init__(self, models: Sequence[Path], fleet: FleetOptions, own: Own | None = None) -> None:
        self._models, self._own = models, own
        self._folder = None if fleet.results is None else ResultsFolder(fleet.results)
        self._known: dict[int, Task | None] = {}
        self._common = _common(fleet.chosen_release(), own is not None) if fleet.results is not None else {}

    def before(self) -> dict[int, Answer]:
        """What came of tasks in an earlier campaign, by number of the model."""
        if self._folder is None:
            return {}
        found = {}
        for number in range(len(self._models)):
            task = self._task(number)
            answer = None if task is None else self._folder.find(task)
            if answer is not None and _is_still_there(answer):
                found[number] = answer
        return found

    def keep(self, number: int, answer: Answer) -> None:
        """Write what came of a task.

        Raises:
            OutputError: It cannot be written.
        """
        task = self._task(number) if self._folder is not None else None
        if task is not None and self._folder is not None:
            try:
                self._folder.keep(task, answer)
            except OutputError as error:
                hint = f"{error.hint}; what is there stays: the same command goes on"
                raise OutputError(error.message, hint=hint) from error

    def _task(self, number: int) -> Task | None:
        """The task of a model; None if it cannot be read, which is told whenever it is tried."""
        if number not in self._known:
            path = self._models[number]
            try:
                digest, size = digest_of(path, *external_files(path))
            except OSError:
                self._known[number] = None
            else:
                self._known[number] = Task(path=str(path), digest=digest, size=size, **self._common_and_own(path))
        return self._known[number]

    def _common_and_own(self, path: Path) -> dict[str, Any]:
        """What a task depends on beside the model."""
        mine = {} if self._own is None else {key: value for key, value in self._own(path).items() if value is not None}
        files = {str(each): digest_of(each)[0] for each in (mine.get("file"),) if each is not None}
        if not mine:
            return self._common
        told = {key: _plain(value) for key, value in mine.items() if key != "model"}
        return {**self._common, "options": {**self._common["options"], **told, **({"files": files} if files else {})}}


def _is_still_there(answer: Answer) -> bool:
    """Whether the file that was written for a result is."""
    out = getattr(answer.result, "out", None)
    return out is None or is_file(Path(out))


def _common(release: str, own: bool) -> dict[str, Any]:  # noqa: FBT001 - private
    """What all tasks of the command have in common; with options of their own, those that name several are left out."""
    command, values = invocation()
    left_out = REPORTS_ONLY | _PAIR if own else REPORTS_ONLY
    options = {name: _plain(value) for name, value in values.items() if name not in left_out and value is not None}
    _, table = nearest_table()
    told = {key: table[key] for key in _CONFIGURED if key in table}
    if told:
        options["configuration"] = json.loads(json.dumps(told, default=str))
    inputs = {str(path): digest_of(path)[0] for path in option_files(values)}
    if inputs:
        options["files"] = inputs
    return {
        "command": command,
        "options": options,
        "release": release,
        "device": str(values.get("device") or ""),
        "precision": str(values.get("precision") or ""),
        "tool": tool_identity(),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def sent_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of options that a worker needs."""
    return {name: value for name, value in values.items() if name not in NOT_SENT and value is not None}


def option_files(values: Mapping[str, Any]) -> list[Path]:
    """The files that options name as inputs, those in folders too."""
    named = [Path(each.partition("=")[2]) for each in values.get("data") or ()]
    named += [Path(each.rpartition(":")[0]) for each in values.get("feeds") or ()]
    named += [Path(each.partition("=")[2].rpartition(":")[0]) for each in values.get("transform") or ()]
    named += [Path(str(values[each]).rpartition(":")[0]) for each in ("metric",) if values.get(each)]
    named += [values[each] for each in ("labels",) if values.get(each)]
    found: list[Path] = []
    for path in named:
        if is_folder(path):
            found += sorted(each for each in path.rglob("*") if each.is_file())
        elif is_file(path):
            found.append(path)
    return found
