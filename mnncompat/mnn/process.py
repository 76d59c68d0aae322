"""A child process with limits on wall-clock time and output, which leaves no process behind.

Independent of MNN: it starts a command, watches it, and kills its whole process group at the end, whatever the reason
of the end is (a normal exit, a limit, Ctrl-C or SIGTERM in the parent).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn, Self, cast

from mnncompat.files.scratch import ScratchFolder
from mnncompat.files.signals import signals_wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType, TracebackType

    from mnncompat.mnn.options import Limits

_TICK = 0.05
_CHUNK = 64 * 1024
_KEPT = 64 * 1024
_MIDDLE = "\n[... {} bytes left out ...]\n"


class Ending(StrEnum):
    """Who ended the child."""

    OWN = "own"
    TIMEOUT = "timeout"
    FLOOD = "flood"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a child ended.

    Attributes:
        ending: Whether it ended by itself or was killed at a limit.
        status: Exit status, or minus the number of the signal that killed it.
        output: What it printed on both descriptors: the beginning and the end, with a note where the middle was cut.
        peak_bytes: Its largest resident size.
        seconds: Wall time.
    """

    ending: Ending
    status: int
    output: str
    peak_bytes: int
    seconds: float


def run_child(command: Sequence[str], *, directory: Path, environment: Mapping[str, str], limits: Limits) -> Exit:
    """Run a command to its end or to a limit.

    Args:
        command: Program and arguments.
        directory: Its working directory.
        environment: Its whole environment.
        limits: `seconds` and `output_bytes` are enforced here; the others are the child's own to set.

    Returns:
        How it ended. Its process group is gone.

    Raises:
        OSError: The program cannot be started.
    """
    started: list[tuple[subprocess.Popen[bytes], Child]] = []
    try:
        with signals_wait():  # one in the middle of the start would leave a child that nobody knows
            popen = subprocess.Popen(  # noqa: S603 - the command is the worker's, built from sys.executable
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            started.append((popen, Child(popen.pid, cast("IO[bytes]", popen.stdout).fileno())))
        return started[0][1].outcome(limits)
    finally:
        for popen, child in started:
            child.end()
            popen.returncode = child.status  # collected here, with its resource usage, which `wait` discards
            cast("IO[bytes]", popen.stdout).close()


@contextlib.contextmanager
def working_directory() -> Iterator[Path]:
    """A new temporary directory, gone afterwards, also when the parent is told to end by SIGTERM or SIGHUP."""
    with _unwinding_on_signals(), ScratchFolder() as folder:
        yield folder


class _Terminated(BaseException):
    """The parent was told to end while a child ran."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def _unwinding_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, then end the process. Handlers of the application are left as they are.

    Python's own handler for Ctrl-C unwinds already. Signal handlers can only be set from the main thread; a child that
    is started from another one dies with its parent on Linux, and at its limit of processor time elsewhere.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]

    def unwind(number: int, _frame: FrameType | None) -> NoReturn:
        for each in taken:
            signal.signal(each, signal.SIG_IGN)  # a second one must not interrupt the clean-up
        raise _Terminated(number)

    for number in taken:
        signal.signal(number, unwind)
    received = 0
    try:
        yield
    except _Terminated as terminated:
        received = terminated.number
        raise
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
        if received:
            os.kill(os.getpid(), received)


class _Capture:
    """The first and the last `_KEPT` bytes of a stream, and its length."""

    __slots__ = ("head", "tail", "total")

    def __init__(self) -> None:
        self.head = bytearray()
        self.tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = _KEPT - len(self.head)
        self.head += data[:room]
        self.tail += data[room:]
        if len(self.tail) > 2 * _KEPT:
            del self.tail[:-_KEPT]

    def text(self) -> str:
        cut = self.total - len(self.head) - len(self.tail)
        middle = _MIDDLE.format(cut).encode() if cut else b""
        return bytes(self.head + middle + self.tail).decode("utf-8", errors="replace")


class Child:
    """A started process, leader of a session and process group of its own. Leaving the context kills the group.

    Args:
        pid: Its process id, which is also its group's.
        stream: Descriptor of the reading end of the pipe for both its outputs; the caller closes it.
    """

    __slots__ = ("_open", "_pid", "_start", "_status", "_stream", "capture", "peak_bytes")

    def __init__(self, pid: int, stream: int) -> None:
        os.set_blocking(stream, False)
        self._pid, self._stream = pid, stream
        self._start = time.monotonic()
        self._open = True
        self._status: int | None = None
        self.capture = _Capture()
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def outcome(self, limits: Limits) -> Exit:
        """Wait for its end or for a limit, and say how it ended.

        Args:
            limits: `seconds` and `output_bytes` are enforced.
        """
        ending = self.watch(self._start + limits.seconds, limits.output_bytes)
        self.end()
        return Exit(
            ending=ending,
            status=self.status,
            output=self.capture.text(),
            peak_bytes=self.peak_bytes,
            seconds=time.monotonic() - self._start,
        )

    @property
    def status(self) -> int:
        """Exit status once it has ended, or minus a signal's number."""
        return cast("int", self._status)

    def watch(self, deadline: float, most: int) -> Ending:
        """Read what it prints until it has ended or passes a limit."""
        pause = 0.0005
        with selectors.DefaultSelector() as selector:
            selector.register(self._stream, selectors.EVENT_READ)
            while not self._reap(block=False):
                left = deadline - time.monotonic()
                if left <= 0:
                    return Ending.TIMEOUT
                if self._open:
                    selector.select(timeout=min(_TICK, left))
                    self._open = self._read()
                else:
                    time.sleep(min(pause, left))
                    pause = min(_TICK, pause * 2)
                if self.capture.total > most:
                    return Ending.FLOOD
        return Ending.OWN

    def end(self) -> None:
        """Kill what is left of the group, collect the child, read the rest of the pipe. May be repeated."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        self._reap(block=True)
        before = -1
        while self._open and self.capture.total != before:
            before = self.capture.total
            self._open = self._read()
        self._open = False

    def _read(self) -> bool:
        """Read what is available. False at the end of the stream."""
        try:
            data = os.read(self._stream, _CHUNK)
        except BlockingIOError:
            return True
        self.capture.add(data)
        return bool(data)

    def _reap(self, *, block: bool) -> bool:
        """Collect status and resource usage. True once it has been collected."""
        if self._status is None:
            pid, status, usage = os.wait4(self._pid, 0 if block else os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
                self.peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return self._status is not None
