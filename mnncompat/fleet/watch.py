"""A child that works on models, and the process that watches it.

A model may make a library hang, take all memory or crash, in C code that no exception reaches. The child says which
model it works on and what that may take (`mnncompat.files.allowance`); if it passes that or dies, the watcher knows
which model it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType

from mnncompat.files import allowance
from mnncompat.files.signals import ENDING

TICK = 0.05
GRACE_SECONDS = 3.0
"""How long the child may take to end after a signal."""
_ERROR = 2
_PAGE = os.sysconf("SC_PAGE_SIZE")
_CLOCK = os.sysconf("SC_CLK_TCK")

Stopped = dict[str, tuple[str, str]]
"""Path of a model -> message and hint: why it was stopped."""


class Watch:
    """A started child, and what it may take.

    Args:
        work: What it does; returns its exit status.
        stopped: Models that were stopped before, and why.
        command: Its signals are those of the whole command: they are passed on to it, and wake this process.
    """

    def __init__(self, work: Callable[[], int], stopped: Stopped, *, command: bool = True) -> None:
        self._channel, theirs = os.pipe()
        self._woken, self._wake = os.pipe()
        life, self._life = os.pipe()
        self._ends = (self._channel, self._woken, self._wake, self._life)
        self._listened = [self._channel, self._woken]
        for each in (self._channel, self._woken, self._wake):
            os.set_blocking(each, False)
        self._said, self._path = b"", ""
        self._allowed: allowance.Allowance | None = None
        self._begin, self._cpu_before = time.monotonic(), 0.0
        self._resident_before = 0
        self._signal = 0
        self._pid = os.fork()
        if self._pid == 0:
            self._become_child(work, theirs, life, stopped)
        os.close(theirs)
        os.close(life)
        with contextlib.suppress(OSError):
            os.setpgid(self._pid, self._pid)
        if command:
            self._listen()

    def _listen(self) -> None:
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for each in ENDING:
            if signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, self._forward)

    def _become_child(self, work: Callable[[], int], channel: int, life: int, stopped: Stopped) -> None:
        status = _ERROR
        try:
            with contextlib.suppress(OSError):
                os.setpgid(0, 0)
            for each in self._ends:
                os.close(each)
            die_with(life)
            for number in ENDING:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, signal.SIG_DFL)
            allowance.supervise(channel, stopped)
            status = work()
        finally:
            os._exit(status)

    def wait(self) -> tuple[int, str, tuple[str, str] | None]:
        """Exit status of the child; or the model that it worked on, and why it was stopped."""
        try:
            while True:
                limit = None if self._allowed is None and not self._signal else TICK
                select.select(self._listened, [], [], limit)
                self._read()
                pid, status = os.waitpid(self._pid, os.WNOHANG)
                if pid:
                    return self._ended(os.waitstatus_to_exitcode(status))
                reason = self._passed()
                if reason is not None:
                    self._kill()
                    return _ERROR, "" if self._signal else self._path, reason
        finally:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.close()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What this process holds for the child, and no other child should."""
        return self._ends

    def close(self) -> None:
        """Let go of the child."""
        for each in self._ends:
            os.close(each)

    @property
    def resident(self) -> int:
        """Bytes that the child has; 0 where the system does not say."""
        return _resident(self._pid)

    def reason(self) -> tuple[str, str] | None:
        """The limit that the child has passed, in words: message and hint."""
        self._read()
        return self._passed()

    def end(self) -> tuple[str, str] | None:
        """Wait for a child that is about to end; why it did not end by itself."""
        _, status = os.waitpid(self._pid, 0)
        self.close()
        return self._ended(os.waitstatus_to_exitcode(status))[2]

    def stop(self) -> None:
        """Kill it, and what it started."""
        self._kill()
        self.close()

    def tell(self, number: int) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def _ended(self, status: int) -> tuple[int, str, tuple[str, str] | None]:
        if status >= 0:
            return status, "", None
        if self._signal:
            return _ERROR, "", _INTERRUPTED
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        if not self._path:
            return _ERROR, "", (f"the command was ended by {name}", "run it again; report it if that happens again")
        hint = "it is damaged or hostile, or a library that reads it has a bug: export it again, or report it"
        return _ERROR, self._path, (f"{self._path}: the process that worked on it was ended by {name}", hint)

    def _read(self) -> None:
        """Take note of the model that the child works on now."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        if self._channel not in self._listened:
            return
        try:
            said = os.read(self._channel, 65536)
        except BlockingIOError:
            return
        if not said:  # the child is about to end
            self._listened.remove(self._channel)
            return
        *lines, self._said = (self._said + said).split(b"\n")
        if not lines:
            return
        seconds, memory, strict, path = lines[-1].decode().split(" ")
        name = os.fsdecode(bytes.fromhex(path))
        if name != self._path or self._allowed is None:
            self._begin = time.monotonic() if name else self._begin
            self._cpu_before = _cpu_seconds(self._pid)
            self._resident_before = _resident(self._pid)
        self._path = name
        self._allowed = allowance.Allowance(seconds=float(seconds), memory=int(memory), strict=strict == "1")

    def _passed(self) -> tuple[str, str] | None:
        """The limit that the child has passed, in words."""
        now = time.monotonic()
        if self._signal:
            return _INTERRUPTED if now - self._begin > GRACE_SECONDS else None
        allowed = self._allowed
        if allowed is None:
            return None
        used = _resident(self._pid) - self._resident_before
        if used > allowed.memory:
            return (
                f"{self._work} took more than {allowed.memory / 1e6:.0f} MB of memory",
                "allow more with --memory-limit, e.g. --memory-limit 8GB",
            )
        seconds = now - self._begin
        if seconds <= allowed.seconds:
            return None
        waits = _cpu_seconds(self._pid) - self._cpu_before < allowed.seconds / 2
        if waits and not allowed.strict and seconds < allowance.BUSY * allowed.seconds:
            return None
        limit = f"{allowed.seconds:.0f}" if allowed.seconds >= 1 else f"{allowed.seconds:g}"
        return f"{self._work} took more than {limit} s", "allow more with --timeout SECONDS"

    @property
    def _work(self) -> str:
        return f"{self._path}: the work" if self._path else "the command"

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if not self._signal:
            self._begin = time.monotonic()
        self._signal = number
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)


_INTERRUPTED = ("interrupted", "the work was cut short; what is said to be written is complete; run the command again")


def die_with(life: int) -> None:
    """End this process, by SIGIO, when nobody holds the writing end of a pipe any more, however the supervisor ended.

    Args:
        life: Descriptor of the reading end; kept open.
    """
    with contextlib.suppress(OSError):
        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_NONBLOCK | os.O_ASYNC)


def _told(pid: int, name: str) -> bytes:
    """What the system says of a process. Asked for each model: without the buffers and objects of a usual file."""
    file = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


def _resident(pid: int) -> int:
    """Resident bytes; 0 where the system does not say."""
    try:
        return int(_told(pid, "statm").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _cpu_seconds(pid: int) -> float:
    """Processor time of a process and of its children that have ended; endless where the system does not say."""
    try:
        fields = _told(pid, "stat").rpartition(b")")[2].split()
        return sum(int(each) for each in fields[11:15]) / _CLOCK
    except (OSError, IndexError, ValueError):
        return float("inf")
