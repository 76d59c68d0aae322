"""A process that is asked in lines of JSON, with bytes of files after them, and lost and started again at any time."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, cast

from mnncompat.files.scratch import ScratchFolder

CHUNK = 1 << 20
"""Bytes that are read or written at a time."""
_ATTEMPTS = 2
T = TypeVar("T")


class LostError(Exception):
    """The process ended in the middle of all attempts, or was abandoned."""


class Running(Protocol):
    """What is needed of a process that runs: `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Its number; 0 if that is not known."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """What it reads."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """What it writes."""

    def kill(self) -> None:
        """End it at once."""

    def poll(self) -> int | None:
        """Its status; None if it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""


class ServedProcess:
    """A process in a folder of its own, with pipes. Not for several threads, but for `abandon`.

    Args:
        patience: Seconds in which it may end by itself when its requests end, before it is killed.
    """

    def __init__(self, *, patience: float = 0.0) -> None:
        self._patience = patience
        self._folder = ScratchFolder()
        self._pending = bytearray()
        self._popen: Running | None = None
        self._abandoned = False

    @property
    def home(self) -> Path:
        """Its folder, which goes when it is closed."""
        return self._folder.path

    @property
    def pid(self) -> int:
        """Its number; 0 if there is none."""
        return 0 if self._popen is None else self._popen.pid

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._popen is not None and self._popen.poll() is None

    def start(
        self, command: Sequence[str], environment: Mapping[str, str] | None, inherited: Sequence[int] = ()
    ) -> None:
        """Start it; what it prints as an error is kept, see `complaint`.

        Args:
            command: What to start.
            environment: Its environment; None for that of this process.
            inherited: Descriptors that it has as well, under the same numbers.

        Raises:
            OSError: It cannot be started.
        """
        self._pending.clear()
        with (self.home / "errors").open("wb") as errors:
            self._popen = subprocess.Popen(  # noqa: S603 - an interpreter or a device that the user chose
                list(command),
                cwd=self.home,
                env=None if environment is None else dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                pass_fds=tuple(inherited),
            )

    def adopt(self, running: Running) -> None:
        """Take a process that runs already instead of starting one."""
        self._pending.clear()
        self._popen = running

    def complaint(self) -> str:
        """The last line that it printed as an error, after it ended."""
        with contextlib.suppress(OSError):
            lines = (self.home / "errors").read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
        return ""

    def asked(self, ask: Callable[[], T | None], again: Callable[[], None]) -> T:
        """What a question gives; it is asked once more where the process is lost.

        Args:
            ask: Asks; None if the process is lost.
            again: Starts a new one.

        Raises:
            LostError: It was lost twice in a row, or abandoned.
        """
        for _ in range(_ATTEMPTS):
            found = ask()
            if found is not None:
                return found
            if self._abandoned:
                break
            self.stop()
            again()
        raise LostError

    def send(self, *parts: bytes | Path) -> None:
        """Write bytes, and the contents of files.

        Raises:
            OSError: It is gone.
        """
        stdin = cast("Any", self._popen).stdin
        for part in parts:
            if isinstance(part, bytes):
                stdin.write(part)
                continue
            with part.open("rb") as file:
                while data := file.read(CHUNK):
                    stdin.write(data)
        stdin.flush()

    def line(self, deadline: float) -> dict[str, Any] | None:
        """The next line; None at the end of the stream, or when nothing complete came in time.

        Args:
            deadline: On the monotonic clock.
        """
        while b"\n" not in self._pending:
            if not self._more(deadline):
                return None
        line, _, rest = bytes(self._pending).partition(b"\n")
        self._pending[:] = rest
        try:
            return cast("dict[str, Any]", json.loads(line))
        except ValueError:
            return None

    def receive(self, path: Path, size: int, deadline: float) -> None:
        """Read the bytes of one file.

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

    def stop(self) -> None:
        """End it. Its child dies with it on Linux, and at its limits elsewhere."""
        if self._popen is None:
            return
        patience = 0.0 if self._abandoned else self._patience
        if not patience:
            self._popen.kill()
        for stream in (self._popen.stdin, self._popen.stdout):
            with contextlib.suppress(OSError):  # nothing reads what is left in a buffer
                cast("Any", stream).close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(patience or None)
        self._popen.kill()
        self._popen.wait()
        self._popen = None

    def close(self) -> None:
        """End it, and remove its folder. Harmless when repeated."""
        self.stop()
        self._folder.cleanup()

    def abandon(self) -> None:
        """From another thread: kill it, for good."""
        self._abandoned = True
        if self._popen is not None:
            self._popen.kill()

    def _more(self, deadline: float) -> bool:
        descriptor = cast("Any", self._popen).stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(descriptor, CHUNK) if ready else b""
        self._pending += data
        return bool(data)
