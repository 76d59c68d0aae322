"""Client of the worker on a device: sends its source, then models and arrays, and gets arrays back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from mnncompat.devices import far_start
from mnncompat.devices.sent_modules import sources
from mnncompat.errors import RunnerError
from mnncompat.mnn.far_server import CHUNK, MODEL, WEIGHTS
from mnncompat.mnn.fork_client import ServedEnvironment
from mnncompat.mnn.process import Ending, Exit
from mnncompat.mnn.request import Answer, judged
from mnncompat.mnn.served_process import LostError, ServedProcess

if TYPE_CHECKING:
    from mnncompat.mnn.options import Limits
    from mnncompat.mnn.request import Performer
    from mnncompat.results.failures import Failure

_PROGRAM = "mnncompat.mnn.far_server"
TASKS = frozenset({"run", "trace", "inspect"})
"""What a device is asked for; the converter runs on the host."""
START = "import sys;n=int(sys.stdin.buffer.readline());exec(sys.stdin.buffer.read(n).decode())"
"""What `python -c` runs there. No quotes, for shells."""
HOME = "{home}"
"""Stands for the worker's temporary folder in a command."""
_START_SECONDS = 180.0
_GRACE_SECONDS = 60.0


def program() -> bytes:
    """The worker as one text, as it is sent."""
    start = Path(far_start.__file__).read_text(encoding="utf-8")
    return f"{start}\n\nstart(json.loads({json.dumps(sources(_PROGRAM))!r}), {_PROGRAM!r})\n".encode()


class FarWorker:
    """A process on a device that has imported MNN, and forks for each request. A context manager; not for threads.

    Args:
        command: Starts Python there, with the argument `-c` and `START`.
        name: What messages call the device.
        environment: The environment of the command; None for that of this process.
        remedy: What helps where it does not start, for the hint of the error.

    Raises:
        RunnerError: It cannot be started.
    """

    def __init__(
        self, command: Sequence[str], *, name: str, environment: Mapping[str, str] | None = None, remedy: str = ""
    ) -> None:
        self.name = name
        self._remedy = remedy
        self._command = list(command)
        self._environment = environment
        self._process = ServedProcess(patience=1.0)
        self._hello: dict[str, Any] | None = None
        self._model: tuple[str, ...] = ()
        try:
            self._start()
        except BaseException:
            self._process.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it. Harmless when repeated."""
        self._process.close()

    def abandon(self) -> None:
        """From another thread: make the request that is being carried out, and all later ones, raise `RunnerError`."""
        self._process.abandon()

    @property
    def environment(self) -> ServedEnvironment:
        """Where it runs.

        Raises:
            RunnerError: It does not start, or MNN cannot be imported there.
        """
        known = {each: self._told()[each] for each in ServedEnvironment.__dataclass_fields__}
        return ServedEnvironment(**known)

    def perform(
        self, task: str, arguments: Mapping[str, Any], /, *, directory: Path, limits: Limits
    ) -> Answer | Failure:
        """Carry out one request there; the files that it leaves are written to `directory`.

        Args:
            task: One of `TASKS`.
            arguments: The task's, as JSON; `model` is a path here.
            directory: Holds the files that the task reads, and nothing else.
            limits: What the child may use there.

        Returns:
            The worker's answer, or how it failed.

        Raises:
            RunnerError: The device cannot carry out such a task, or ended twice in a row.
        """
        if task not in TASKS:
            raise RunnerError(f"{self.name} does not {task}", hint="files are converted on this machine")
        request = {"task": task, "arguments": dict(arguments), "limits": asdict(limits)}
        try:
            ended = self._process.asked(
                lambda: self._asked(request, directory, limits.seconds + _GRACE_SECONDS) if self._told() else None,
                self._start,
            )
        except LostError:
            message = f"the process on {self.name} ended twice in a row"
            raise RunnerError(message, hint="`mnncompat device test` says more") from None
        return judged(Exit(**{**ended, "ending": Ending(ended["ending"])}), directory, limits)

    def _told(self) -> dict[str, Any]:
        """What it said about itself when it started."""
        if self._hello is None:
            self._hello = self._greeted()
        return self._hello

    def _greeted(self) -> dict[str, Any]:
        text = program()
        hello = None
        with contextlib.suppress(OSError):
            self._process.send(b"%d\n" % len(text), text)
            hello = self._process.line(time.monotonic() + _START_SECONDS)
        if hello is None:
            raise RunnerError(f"{self.name} does not start the worker{self._complaint()}", hint=self._hint())
        if "unavailable" in hello:
            raise RunnerError(f"{self.name} cannot run MNN: {hello['unavailable']}", hint=self._hint())
        return hello

    def _hint(self) -> str:
        return self._remedy or "`mnncompat device list` says what is set up"

    def _complaint(self) -> str:
        """The last line that the command printed as an error."""
        self._process.stop()
        said = self._process.complaint()
        return f": {said}" if said else ""

    def _asked(self, request: dict[str, Any], directory: Path, seconds: float) -> dict[str, Any] | None:
        """How the child ended; None if the server is lost."""
        files = {each.name: each for each in sorted(directory.iterdir()) if each.is_file()}
        model = Path(request["arguments"]["model"])
        identity = tuple(_digest(each) for each in _of_model(model))
        if identity != self._model:
            files |= dict(zip((MODEL, WEIGHTS), _of_model(model), strict=False))
        self._model = ()
        sizes = [(name, path.stat().st_size) for name, path in files.items()]
        deadline = time.monotonic() + seconds + sum(size for _, size in sizes) / CHUNK
        try:
            self._process.send(json.dumps(request | {"files": sizes}).encode() + b"\n", *files.values())
            told = self._process.line(deadline)
            for name, size in [] if told is None else told["files"]:
                self._process.receive(directory / Path(name).name, size, deadline)
        except OSError:
            return None
        if told is None:
            return None
        self._model = identity
        return cast("dict[str, Any]", told["exit"])

    def _start(self) -> None:
        self._hello, self._model = None, ()
        home = str(self._process.home)
        given = None if self._environment is None else dict(self._environment) | {"HOME": home, "TMPDIR": home}
        command = [each.replace(HOME, home) for each in self._command]
        try:
            self._process.start(command, given)
        except OSError as error:
            raise RunnerError(
                f"{self.name}: {command[0]} cannot be started: {error.strerror or error}", hint=self._hint()
            ) from error


def _of_model(model: Path) -> list[Path]:
    """The files of a model: itself, and its weights if they are in a file of their own."""
    weights = model.with_name(f"{model.name}.weight")
    return [model, weights] if weights.is_file() else [model]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Performing:
    """Carries out requests of `mnncompat.mnn` on a device: hand it over as `performer`.

    Args:
        perform: Of the process there.
        precision: MNN's: `high`, `normal` or `low`.
        threads: Of one run.
    """

    __slots__ = ("_given", "_perform")

    def __init__(self, perform: Performer, precision: str, threads: int) -> None:
        self._perform = perform
        self._given = {"precision": precision, "threads": threads}

    def __call__(
        self, task: str, arguments: Mapping[str, Any], /, *, directory: Path, limits: Limits
    ) -> Answer | Failure:
        """The worker's answer, or how it failed."""
        return self._perform(task, {**arguments, **self._given}, directory=directory, limits=limits)
