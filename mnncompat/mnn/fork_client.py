"""Client of the fork server: requests are carried out in forks of a process that has already imported MNN."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mnncompat.errors import RunnerError
from mnncompat.files.allowance import bounds_of_children
from mnncompat.mnn.forked_server import ForkedServer
from mnncompat.mnn.process import Ending, Exit
from mnncompat.mnn.request import Answer, environment, judged, python_command
from mnncompat.mnn.served_process import LostError, ServedProcess
from mnncompat.mnn.worker import CONVERTING

if TYPE_CHECKING:
    from mnncompat.mnn.options import Limits
    from mnncompat.results.failures import Failure

_START_SECONDS = 120.0
_GRACE_SECONDS = 30.0
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
_HINT = "check that the interpreter runs, and that `pip install MNN numpy` succeeded in its environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedEnvironment:
    """The environment of a fork server.

    Attributes:
        mnn: Version of MNN.
        numpy: Version of numpy.
        python: Version of Python.
        machine: The architecture: `x86_64`, `aarch64`, ...
        system: `Linux`, `Darwin`, ...
        threads: Threads of the server: 1 if a fork is safe, 0 if the system does not say.
    """

    mnn: str
    numpy: str
    python: str
    machine: str
    system: str
    threads: int


class ForkServer:
    """Processes that have imported MNN and fork a child for each request. A context manager; not for several threads.

    There are two: one with the converter and one with the runtime, as in separate programs. They start at once, and are
    waited for when they are first needed. Requests and their results are those of `mnncompat.mnn.request.perform`: hand
    the method `perform` to `convert` and `run`.

    Args:
        python: Interpreter of an environment with numpy and MNN; this one when None.
        fill: Byte that every block from `malloc` is filled with, where the C library can (glibc): memory that is read
            before it was written then holds this. 255 means none to glibc. None leaves memory and allocator alone.
        large_pages: Let memory come in large pages (glibc 2.35, Linux): children that take much of it and end soon are
            a fifth faster, and take a little more.
        twin: Let another one be forked of this one, which takes milliseconds.

    Attributes:
        twin: That one, for another thread; it ends with this one. None if there is none.

    Raises:
        RunnerError: It cannot be started, or MNN cannot be imported there.
    """

    def __init__(
        self, *, python: Path | None = None, fill: int | None = None, large_pages: bool = False, twin: bool = False
    ) -> None:
        settings = filling(fill) | (LARGE_PAGES if large_pages and fill is None else {})
        with contextlib.ExitStack() as stack:
            self._converter = stack.enter_context(_Server("convert", python, settings, twin=twin))
            self._runtime = stack.enter_context(_Server("run", python, settings, twin=twin))
            self.twin = self._forked(stack) if twin else None
            self._stack = stack.pop_all()

    def _forked(self, stack: contextlib.ExitStack) -> ForkServer:
        """One of the servers that those of this one fork."""
        found = object.__new__(ForkServer)
        found.twin, found._stack = None, contextlib.ExitStack()
        found._converter = stack.enter_context(self._converter.forked())
        found._runtime = stack.enter_context(self._runtime.forked())
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the servers, and the children that they may be waiting for. Harmless when repeated."""
        self._stack.close()

    def abandon(self) -> None:
        """From another thread: make the request that is being carried out, and all later ones, raise `RunnerError`."""
        self._converter.abandon()
        self._runtime.abandon()

    @property
    def environment(self) -> ServedEnvironment:
        """The environment that MNN runs in.

        Raises:
            RunnerError: MNN cannot be imported there.
        """
        return self._runtime.environment

    def perform(
        self, task: str, arguments: Mapping[str, Any], /, *, directory: Path, limits: Limits
    ) -> Answer | Failure:
        """Carry out one request in a fork.

        Args:
            task: Name of one of the worker's tasks.
            arguments: Its arguments, as JSON.
            directory: An empty directory for this request, or one that holds the files that the task reads.
            limits: What the child may use; less of memory where the whole work may take less.

        Returns:
            The worker's answer, or how it failed.

        Raises:
            RunnerError: MNN cannot be imported there, the server ended twice in a row, or it was abandoned.
        """
        _, memory = bounds_of_children(limits.seconds, limits.memory_bytes)
        limits = replace(limits, memory_bytes=memory)
        request = {"task": task, "arguments": dict(arguments), "limits": asdict(limits), "directory": str(directory)}
        server = self._converter if task in CONVERTING else self._runtime
        ended = server.answer(request, limits.seconds + _GRACE_SECONDS)
        return judged(Exit(**{**ended, "ending": Ending(ended["ending"])}), directory, limits)


class _Server:
    """One server process, started anew when it is lost.

    Args:
        task: Like those that it will be asked for.
        python: The interpreter.
        settings: Variables of its environment.
        twin: Let it fork another one.
        running: One that runs already.
    """

    def __init__(
        self,
        task: str,
        python: Path | None,
        settings: Mapping[str, str],
        *,
        twin: bool = False,
        running: ForkedServer | None = None,
    ) -> None:
        self._command = python_command("server", python=python)
        self._origin = python
        self._task, self._settings = task, dict(settings)
        self._process = ServedProcess()
        self._hello: ServedEnvironment | None = None
        self._running = running
        self._twin: ForkedServer | None = None
        try:
            if running is None:
                self._start(twin=twin)
            else:
                self._process.adopt(running)
        except BaseException:
            self._process.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ending: object) -> None:
        self._process.close()

    def forked(self) -> _Server:
        """The one that it forks, if it is to."""
        return _Server(self._task, self._origin, self._settings, running=self._twin)

    @property
    def environment(self) -> ServedEnvironment:
        """The environment that it reported, once it is ready.

        Raises:
            RunnerError: It does not start, or has no MNN.
        """
        if self._hello is None:
            self._hello = self._greeted()
        if self._hello is None:
            raise RunnerError(f"{self._command[0]} does not start the server that forks for MNN", hint=_HINT)
        return self._hello

    def abandon(self) -> None:
        """Kill it, for good."""
        self._process.abandon()

    def answer(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and wait for the answer; try once more with a new process if this one is lost."""

        def asked() -> dict[str, Any] | None:
            if self._running is not None and self._hello is None:
                self._hello = self._greeted()
                if self._hello is None:  # what should have forked it did not
                    return None
            return self._asked(request, seconds) if self.environment else None

        try:
            return self._process.asked(asked, self._start)
        except LostError:
            message = "the server that forks for MNN ended twice in a row"
            raise RunnerError(message, hint="is the machine out of memory?") from None

    def _asked(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any] | None:
        """The answer, None if the server ended or does not respond."""
        try:
            self._send(request)
        except OSError:
            return None
        return self._process.line(time.monotonic() + seconds)

    def _send(self, request: Mapping[str, Any]) -> None:
        self._process.send(json.dumps(request).encode() + b"\n")

    def _start(self, *, twin: bool = False) -> None:
        """Start it, and tell it what to import: it is waited for when it is first asked."""
        self._hello = self._running = None
        first: dict[str, Any] = {"task": self._task}
        with contextlib.ExitStack() as held:
            if twin:
                self._twin = ForkedServer(self._process, held)
                first["twin"] = self._twin.descriptors
            surroundings = environment(self._process.home) | self._settings
            try:
                self._process.start(self._command, surroundings, first.get("twin", ()))
            except OSError as error:
                message = f"{self._command[0]} cannot be started: {error.strerror or error}"
                raise RunnerError(message, hint=_HINT) from error
        with contextlib.suppress(OSError):  # it ended: who asks will see
            self._send(first)

    def _greeted(self) -> ServedEnvironment | None:
        """What it says when it is ready; None if it does not start."""
        hello = self._process.line(time.monotonic() + _START_SECONDS)
        if hello is None:
            return None
        numbers = hello.pop("pid", 0), hello.pop("parent", 0)
        if "unavailable" in hello:
            raise RunnerError(f"{self._command[0]} cannot import MNN: {hello['unavailable']}", hint=_HINT)
        if self._running is not None:
            self._running.name(*numbers)
        return ServedEnvironment(**hello)


def filling(fill: int | None) -> dict[str, str]:
    """Settings of glibc, which fills with the complement of the given byte, but not blocks from a thread's cache."""
    if fill is None:
        return {}
    return {"GLIBC_TUNABLES": f"glibc.malloc.perturb={fill ^ 0xFF}:glibc.malloc.tcache_count=0"}
