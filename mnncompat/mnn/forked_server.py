"""A server that another one forked of itself: its client has its pipes, and is not its parent."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from mnncompat.mnn.served_process import ServedProcess


class ForkedServer:
    """What `ServedProcess` needs of it, as of a process that it started.

    It ends with the server that forked it: at once on Linux, elsewhere when nothing more can be asked.

    Args:
        parent: The server that forks it, once it runs.
        held: Where the descriptors belong that the server gets.
    """

    def __init__(self, parent: ServedProcess, held: contextlib.ExitStack) -> None:
        reads, asks = os.pipe()
        told, writes = os.pipe()
        self.descriptors = reads, writes
        for each in self.descriptors:
            held.callback(os.close, each)
        self.stdin: IO[bytes] = os.fdopen(asks, "wb")
        self.stdout: IO[bytes] = os.fdopen(told, "rb", buffering=0)
        self.pid = self._parent_pid = 0
        self._parent = parent

    def name(self, pid: int, parent: int) -> None:
        """Say which process it is, and which one forked it."""
        self.pid, self._parent_pid = pid, parent

    def kill(self) -> None:
        """End it, if it told its number: as long as its parent runs that is nobody else's."""
        if self.pid and self._parent.pid == self._parent_pid and self._parent.is_running:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """None: it is not known whether it ended."""

    def wait(self, timeout: float | None = None) -> int:  # noqa: ARG002 - as that of `subprocess.Popen`
        """Do nothing: its parent waits for it."""
        return 0
