"""Client of the worker on a device: sends its source, then models and arrays, and gets arrays back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from mnncompat.devices import far_start
from mnncompat.devices.sent_modules import sources
from mnncompat.errors import RunnerError
from mnncompat.files.scratch import ScratchFolder
from mnncompat.mnn.far_server import CHUNK, MODEL, WEIGHTS
from mnncompat.mnn.fork_client import ServedEnvironment
from mnncompat.mnn.process import Ending, Exit
from mnncompat.mnn.request import Answer, judged

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

    Raises:
        RunnerError: It cannot be started.
    """

    def __init__(self, command: Sequence[str], *, name: str, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._command = list(command)
        self._environment = environment
        self._home = ScratchFolder()
        self._popen: subprocess.Popen[bytes] | None = None
        self._hello: dict[str, Any] | None = None
        self._pending = bytearray()
        self._model: tuple[str, ...] = ()
        self._abandoned = False
        try:
            self._start()
        except BaseException:
            self._home.cleanup()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it. Harmless when repeated."""
        self._stop()
        self._home.cleanup()

    def abandon(self) -> None:
        """From another thread: make the request that is being carried out, and all later ones, raise `RunnerError`."""
        self._abandoned = True
        if self._popen is not None:
            self._popen.kill()

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
        for _attempt in range(2):
            ended = self._asked(request, directory, limits.seconds + _GRACE_SECONDS) if self._told() else None
            if ended is not None:
                return judged(Exit(**{**ended, "ending": Ending(ended["ending"])}), directory, limits)
            if self._abandoned:
                break
            self._stop()
            self._start()
        raise RunnerError(f"the process on {self.name} ended twice in a row", hint="`mnncompat device test` says more")

    def _told(self) -> dict[str, Any]:
        """What it said about itself when it started."""
        if self._hello is None:
            self._hello = self._greeted()
        return self._hello

    def _greeted(self) -> dict[str, Any]:
        text = program()
        hello = None
        with contextlib.suppress(OSError):
            self._send(b"%d\n" % len(text), text)
            hello = self._line(time.monotonic() + _START_SECONDS)
        if hello is None:
            raise RunnerError(f"{self.name} does not start the worker{self._complaint()}", hint=self._hint())
        if "unavailable" in hello:
            raise RunnerError(f"{self.name} cannot run MNN: {hello['unavailable']}", hint=self._hint())
        return hello

    def _hint(self) -> str:
        return "`mnncompat device list` says what is set up; a machine behind ssh needs Python, numpy and MNN"

    def _complaint(self) -> str:
        """The last line that the command printed as an error."""
        with contextlib.suppress(OSError):
            self._stop()
            lines = (self._home.path / "errors").read_text(encoding="utf-8", errors="replace").split("\n")
            return next((f": {line.strip()[:300]}" for line in reversed(lines) if line.strip()), "")
        return ""

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
            self._send(json.dumps(request | {"files": sizes}).encode() + b"\n", *files.values())
            told = self._line(deadline)
            for name, size in [] if told is None else told["files"]:
                self._receive(directory / Path(name).name, size, deadline)
        except OSError:
            return None
        if told is None:
            return None
        self._model = identity
        return cast("dict[str, Any]", told["exit"])

    def _send(self, *parts: bytes | Path) -> None:
        stdin = cast("Any", self._popen).stdin
        for part in parts:
            if isinstance(part, bytes):
                stdin.write(part)
                continue
            with part.open("rb") as file:
                while data := file.read(CHUNK):
                    stdin.write(data)
        stdin.flush()

    def _line(self, deadline: float) -> dict[str, Any] | None:
        """The next line; None at the end of the stream, or when nothing complete came in time."""
        while b"\n" not in self._pending:
            if not self._more(deadline):
                return None
        line, _, rest = bytes(self._pending).partition(b"\n")
        self._pending[:] = rest
        try:
            return cast("dict[str, Any]", json.loads(line))
        except ValueError:
            return None

    def _receive(self, path: Path, size: int, deadline: float) -> None:
        """Read one file.

        Raises:
            OSError: The stream ends before, or the file cannot be written.
        """
        with path.open("wb") as file:
            while size:
                if not self._pending and not self._more(deadline):
                    raise OSError("the stream ended")
                file.write(self._pending[:size])
                taken = min(size, len(self._pending))
                del self._pending[:taken]
                size -= taken

    def _more(self, deadline: float) -> bool:
        descriptor = cast("Any", self._popen).stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(descriptor, CHUNK) if ready else b""
        self._pending += data
        return bool(data)

    def _start(self) -> None:
        self._pending.clear()
        self._hello, self._model = None, ()
        home = str(self._home.path)
        given = None if self._environment is None else dict(self._environment) | {"HOME": home, "TMPDIR": home}
        command = [each.replace(HOME, home) for each in self._command]
        try:
            with (self._home.path / "errors").open("wb") as errors:
                self._popen = subprocess.Popen(  # noqa: S603 - the device that the user named
                    command,
                    cwd=home,
                    env=given,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                )
        except OSError as error:
            raise RunnerError(
                f"{self.name}: {command[0]} cannot be started: {error.strerror or error}", hint=self._hint()
            ) from error

    def _stop(self) -> None:
        """End the process: it does so by itself when its requests end, and is killed otherwise."""
        if self._popen is None:
            return
        for stream in (self._popen.stdin, self._popen.stdout):
            with contextlib.suppress(OSError):
                cast("Any", stream).close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(0 if self._abandoned else 1)
        self._popen.kill()
        self._popen.wait()
        self._popen = None


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
