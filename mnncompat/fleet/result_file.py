"""One file of a folder of results: what came of a task (`result.schema.json` beside this module).

It may come from somebody else, or from a machine that was switched off: nothing in it is believed.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from mnncompat import errors
from mnncompat.errors import MnncompatError, ModelError, PoisonedModelError, UsageError
from mnncompat.fleet.codec import decoded, encoded
from mnncompat.fleet.measured_times import put_back, taken_out
from mnncompat.fleet.outcomes import Answer
from mnncompat.fleet.tasks import SCHEMA, Task

DONE, ERROR, POISONED = "done", "error", "poisoned"
_MAJOR = SCHEMA.partition(".")[0]
_HASH = re.compile(r"[0-9a-f]{64}")
_KINDS = {
    "check": "diagnostics.CheckResult",
    "ci": "kept_record.RecordedConversion",
    "convert": "outcomes.ConvertResult",
    "diagnose": "diagnosis.Diagnosis",
    "fix": "outcomes.FixResult",
    "verify": "subject.Verified",
}
"""Command -> class of what it returns for a model."""
_TASK: dict[str, type] = {"command": str, "options": dict, "release": str, "device": str, "precision": str, "tool": str}
_MODEL: dict[str, type] = {"path": str, "sha256": str, "bytes": int}
_ERROR: dict[str, type] = {"kind": str, "message": str, "hint": str}


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


def is_key(word: str) -> bool:
    """Whether a file could be called so."""
    return _HASH.fullmatch(word) is not None


def written(task: Task, answer: Answer) -> tuple[bytes, dict[str, Any]]:
    """The contents of a file, and the times that the result holds, which are kept elsewhere.

    Args:
        task: What was done.
        answer: What came of it.
    """
    document = {"schema_version": SCHEMA, "key": task.key, "task": task.told(), **_told(answer)}
    times = taken_out(document.get("result"))
    return f"{json.dumps(document, allow_nan=False)}\n".encode(), times


def _told(answer: Answer) -> dict[str, Any]:
    error = answer.error
    if error is None:
        return {"outcome": DONE, "result": encoded(answer.result)}
    assert isinstance(error, MnncompatError)  # noqa: S101 - `ResultsFolder.keep`
    kind = POISONED if isinstance(error, PoisonedModelError) else ERROR
    return {"outcome": kind, "error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}}


def read(file: Path, times: Mapping[str, Mapping[str, Any]]) -> Entry | None:
    """Read a file; None if it is not there.

    Args:
        file: The file, which is called after the key of its task.
        times: Key -> `seconds` and `measured`.

    Raises:
        UsageError: It is damaged, cannot be read, or is something else.
    """
    if not is_key(file.stem):
        raise UsageError(f"{file} is no result of mnncompat", hint="move it elsewhere, or give another folder")
    try:
        state = file.stat()
        if not stat.S_ISREG(state.st_mode):
            raise UsageError(f"{file} is no file", hint="remove it, or give another folder")
        data = file.read_bytes()
    except FileNotFoundError:
        if not file.is_symlink():
            return None
        raise UsageError(f"{file} is a link to nothing", hint="remove it") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}", hint="check its permissions") from error
    try:
        document = json.loads(data.decode(), parse_constant=_no_number)
        _require_version(document, file)
        task, outcome = _task(document), document["outcome"]
        _require(document["key"] == file.stem, "it has the key of another file")
        time = times.get(file.stem, {})
        answer = _answer(document, task["command"], outcome, time)
    except UsageError as error:
        if error.message.startswith(str(file)):
            raise
        raise _damaged(file, error) from error
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _damaged(file, error) from error
    return Entry(file.stem, task, outcome, answer, time.get("seconds"), state.st_mtime_ns)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _require(is_so: bool, words: str) -> None:  # noqa: FBT001 - private
    if not is_so:
        raise ValueError(words)


def _require_version(document: Any, file: Path) -> None:
    _require(isinstance(document, dict), "it holds no object")
    found = document["schema_version"]
    _require(isinstance(found, str), "it has no version")
    if found.partition(".")[0] != _MAJOR:
        raise UsageError(
            f"{file} has version {found} of the schema, and this mnncompat reads {_MAJOR}",
            hint="read it with the mnncompat that wrote it, or give another folder",
        )


def _task(document: Mapping[str, Any]) -> dict[str, Any]:
    """The task, if it says what a task says."""
    task: dict[str, Any] = document["task"]
    for told, fields in ((task, _TASK), (task["model"], _MODEL)):
        for name, kind in fields.items():
            _require(type(told[name]) is kind, f"{name} is {told[name]!r}")
    _require(_HASH.fullmatch(task["model"]["sha256"]) is not None, "sha256 is none")
    _require(task["command"] in _KINDS, f"no command of this version is called {task['command']}")
    return task


def _answer(document: Mapping[str, Any], command: str, outcome: str, time: Mapping[str, Any]) -> Answer:
    seconds = time.get("seconds") or 0.0
    if outcome in (ERROR, POISONED):
        _require("result" not in document, "it has a result and an error")
        return Answer(error=_error(document["error"], outcome), seconds=seconds)
    _require(outcome == DONE and "error" not in document, f"the outcome is {outcome!r}")
    result = document["result"]
    _require(isinstance(result, dict) and result["$"] == _KINDS[command], f"it is no result of {command}")
    measured = time.get("measured")
    if measured:
        with contextlib.suppress(UsageError):  # the times are in another file
            timed = copy.deepcopy(result)
            put_back(timed, measured)
            return Answer(result=decoded(timed), seconds=seconds)
    put_back(result, {})
    return Answer(result=decoded(result), seconds=seconds)


def _error(told: Mapping[str, Any], outcome: str) -> MnncompatError:
    for name, kind in _ERROR.items():
        _require(type(told[name]) is kind, f"{name} is {told[name]!r}")
    found = getattr(errors, told["kind"], None)
    known = found if isinstance(found, type) and issubclass(found, ModelError) else ModelError
    _require(issubclass(known, PoisonedModelError) == (outcome == POISONED), f"the outcome is {outcome}")
    return known(told["message"], hint=told["hint"])


def times_of(file: Path) -> dict[str, dict[str, Any]]:
    """Times by key; what cannot be read is left out, such as the last line, if a machine was switched off."""
    found: dict[str, dict[str, Any]] = {}
    try:
        text = file.read_text(errors="replace") if file.is_file() else ""
    except OSError:
        return found
    for line in text.splitlines():
        try:
            told = json.loads(line)
            seconds, measured = float(told["seconds"]), dict(told.get("measured", {}))
            if math.isfinite(seconds) and all(isinstance(each, dict) for each in measured.values()):
                found[str(told["key"])] = {"seconds": seconds, "measured": measured}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return found


def _damaged(file: Path, error: Exception) -> UsageError:
    words = error.message if isinstance(error, UsageError) else " ".join(str(error).split())
    words = f"{error.args[0]} is missing" if isinstance(error, KeyError) and error.args else words
    return UsageError(f"{file} is damaged: {words}", hint="remove it: its task is done again with --results")
