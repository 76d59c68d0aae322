"""A folder of results, one file for each task, so that a campaign goes on after whatever ended it.

    DIR/results/ab/abcd....json    what came of the task with that key (`mnncompat.fleet.result_file`)
    DIR/times.jsonl                how long each took, where, and the times that it measured: what differs between runs

A file is complete or absent. What a task gave is written when it comes, not in the order of the models.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from mnncompat.errors import ModelError, OutputError, UsageError
from mnncompat.files.reachable import is_folder
from mnncompat.fleet.outcomes import Answer
from mnncompat.fleet.result_file import Entry, read, times_of, written
from mnncompat.fleet.tasks import Task

_RESULTS, _TIMES = "results", "times.jsonl"


class ResultsFolder:
    """The folder, which is made if it is not there.

    Args:
        path: Where.

    Raises:
        OutputError: It cannot be made.
        UsageError: It is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.is_dir() and not (path / _RESULTS).is_dir() and any(path.iterdir()):
                hint = "give a new folder, or one that an earlier campaign wrote"
                raise UsageError(f"{path} holds something else than results of mnncompat", hint=hint)
            (path / _RESULTS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}", hint="name another folder") from error
        self._made: set[Path] = set()
        self._times: dict[str, dict[str, Any]] | None = None

    def find(self, task: Task) -> Answer | None:
        """What came of a task before; None if there is nothing, or nothing that can be read."""
        with contextlib.suppress(UsageError):
            if self._times is None:
                self._times = times_of(self.path / _TIMES)
            entry = read(self._file(task.key), self._times)
            if entry is not None:
                return entry.answer
        return None

    def keep(self, task: Task, answer: Answer) -> bool:
        """Write what came of a task; False if that says more about the machine than about the model.

        Raises:
            OutputError: It cannot be written.
        """
        if answer.error is not None and not isinstance(answer.error, ModelError):
            return False
        from mnncompat.graph.atomic_files import write_atomically

        data, times = written(task, answer)
        key = task.key
        file = self._file(key)
        if file.parent not in self._made:
            with contextlib.suppress(OSError):  # told by what follows
                file.parent.mkdir(exist_ok=True)
            self._made.add(file.parent)
        write_atomically(file, data, cache=True)
        self._time(key, answer, times)
        return True

    def _time(self, key: str, answer: Answer, times: dict[str, Any]) -> None:
        line = {"key": key, "seconds": round(answer.seconds, 6), "worker": answer.worker}
        line |= {"measured": times} if times else {}
        try:
            with (self.path / _TIMES).open("ab", buffering=0) as file:
                file.write(f"{json.dumps(line)}\n".encode())
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path / _TIMES}: {error.strerror or error}", hint="check space and permissions"
            ) from error

    def _file(self, key: str) -> Path:
        return self.path / _RESULTS / key[:2] / f"{key}.json"


def entries(path: Path) -> tuple[list[Entry], list[UsageError]]:
    """Everything that a folder of results holds, in the order of the models' names, and what is damaged of it.

    Raises:
        UsageError: It is no such folder.
    """
    if not is_folder(path / _RESULTS):
        raise UsageError(f"{path}: no results of mnncompat", hint="give the folder that --results DIR named")
    times = times_of(path / _TIMES)
    found, damaged = [], []
    for file in sorted((path / _RESULTS).glob("??/*.json")):
        try:
            entry = read(file, times)
        except UsageError as error:
            damaged.append(error)
        else:
            found += [entry] if entry is not None else []
    return sorted(found, key=_order), damaged


def _order(entry: Entry) -> tuple[str, ...]:
    return (*entry.place, entry.key)
