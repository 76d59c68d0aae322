"""A folder of results, one file for each task, so that a campaign goes on after whatever ended it.

    DIR/results/ab/abcd....json    what came of the task with that key; `result.schema.json` beside this module
    DIR/times.jsonl                how long each took, where, and the times that it measured: what differs between runs

A file is complete or absent. What a task gave is written when it comes, not in the order of the models.
"""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, get_args

from mnncompat import errors
from mnncompat.errors import MnncompatError, ModelError, OutputError, PoisonedModelError, UsageError
from mnncompat.files.reachable import is_file, is_folder
from mnncompat.fleet.codec import decoded, encoded
from mnncompat.fleet.measured_times import put_back, taken_out
from mnncompat.fleet.outcomes import Answer
from mnncompat.fleet.tasks import SCHEMA, Task
from mnncompat.report.subject import Subject, Verified
from mnncompat.results.diagnosis import Diagnosis
from mnncompat.results.diagnostics import CheckResult
from mnncompat.results.outcomes import ConvertResult, FixResult

_RESULTS, _TIMES = "results", "times.jsonl"
DONE, ERROR, POISONED = "done", "error", "poisoned"
_KINDS = {
    "check": CheckResult,
    "fix": FixResult,
    "convert": ConvertResult,
    "ci": ConvertResult,
    "verify": Verified,
    "diagnose": Diagnosis,
}
"""Command -> what it gives."""


class Entry(NamedTuple):
    """One file of results.

    Attributes:
        key: Of its task.
        task: As `Task.told` has it.
        outcome: `done`, `error` (the model is to blame) or `poisoned` (it ended its workers).
        answer: Result or error.
        seconds: How long it took; None if that is not known.
        written: When it was written, in nanoseconds.
    """

    key: str
    task: dict[str, Any]
    outcome: str
    answer: Answer
    seconds: float | None = None
    written: int = 0

    @property
    def place(self) -> tuple[str, ...]:
        """What it is about: model, command, release, device and precision."""
        task = self.task
        return (task["model"]["path"], task["command"], task["release"], task["device"], task["precision"])


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
                self._times = _times(self.path / _TIMES)
            entry = _read(self._file(task.key), self._times)
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

        key = task.key
        document = {"schema_version": SCHEMA, "key": key, "task": task.told(), **_told(answer)}
        times = taken_out(document.get("result"))
        file = self._file(key)
        if file.parent not in self._made:
            with contextlib.suppress(OSError):  # told by what follows
                file.parent.mkdir(exist_ok=True)
            self._made.add(file.parent)
        write_atomically(file, f"{json.dumps(document, allow_nan=False)}\n".encode(), cache=True)
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
    times = _times(path / _TIMES)
    found, damaged = [], []
    for file in sorted((path / _RESULTS).glob("??/*.json")):
        try:
            entry = _read(file, times)
        except UsageError as error:
            damaged.append(error)
        else:
            found += [entry] if entry is not None else []
    return sorted(found, key=_order), damaged


def _order(entry: Entry) -> tuple[str, ...]:
    return (*entry.place, entry.key)


def _times(file: Path) -> dict[str, dict[str, Any]]:
    """Times by key; the last line may be incomplete, if a machine was switched off."""
    found: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(OSError):
        for line in _contents(file).decode(errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
                read = json.loads(line)
                measured = {name: each for name, each in read.get("measured", {}).items() if isinstance(each, dict)}
                seconds = float(read["seconds"])
                found[str(read["key"])] = {"seconds": seconds if isfinite(seconds) else None, "measured": measured}
    return found


def _contents(file: Path) -> bytes:
    """What a file holds.

    Raises:
        OSError: It cannot be read, or is a pipe or a device, which may never end.
    """
    if file.exists() and not is_file(file):
        raise OSError(errno.EINVAL, "no regular file", str(file))
    return file.read_bytes()


def _told(answer: Answer) -> dict[str, Any]:
    error = answer.error
    if error is None:
        return {"outcome": DONE, "result": encoded(answer.result)}
    assert isinstance(error, MnncompatError)  # noqa: S101 - `keep`
    kind = POISONED if isinstance(error, PoisonedModelError) else ERROR
    return {"outcome": kind, "error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}}


def _read(file: Path, times: Mapping[str, dict[str, Any]]) -> Entry | None:
    """One file; None if it is not there.

    Raises:
        UsageError: It is damaged.
    """
    try:
        read = json.loads(_contents(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(file, error) from error
    try:
        task, time = _task(read["task"]), times.get(str(read["key"]), {})
        seconds = time.get("seconds")
        answer = _answer(task, read, time.get("measured", {}))._replace(seconds=seconds or 0.0)
        return Entry(str(read["key"]), task, str(read["outcome"]), answer, seconds, file.stat().st_mtime_ns)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError, UsageError) as error:
        raise _damaged(file, error) from error


def _answer(task: dict[str, Any], read: dict[str, Any], times: Mapping[str, Any]) -> Answer:
    """Result or error of a task.

    Raises:
        UsageError: It is no result.
        TypeError: It is none of that command.
    """
    if read.get("error") is not None:
        return Answer(error=_error(read["error"]))
    document = read.get("result")
    put_back(document, times)
    try:
        result = decoded(document)
    except UsageError:
        taken_out(document)  # it may be the times that are damaged
        result = decoded(document)
    if not isinstance(result, _KINDS.get(task["command"], get_args(Subject))):
        raise TypeError(f"it holds no result of `{task['command']}`")
    return Answer(result=result)


def _error(told: dict[str, Any]) -> MnncompatError:
    kind = getattr(errors, told["kind"], None)
    known = kind if isinstance(kind, type) and issubclass(kind, MnncompatError) else ModelError
    return known(str(told["message"]), hint=str(told["hint"]))


def _task(told: dict[str, Any]) -> dict[str, Any]:
    """The task, if it says what a task says."""
    for name in ("command", "release", "device", "precision", "tool"):
        told[name] = str(told[name])
    told["model"] = {"path": str(told["model"]["path"]), "sha256": str(told["model"]["sha256"])} | {
        "bytes": int(told["model"]["bytes"])
    }
    return told


def _damaged(file: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{file} is damaged: {' '.join(str(error).split())}", hint="remove it: its task is done again with --results"
    )
