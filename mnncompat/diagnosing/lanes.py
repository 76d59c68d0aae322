"""Processes of MNN that work side by side, as far as there are processors for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from threading import Condition
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mnncompat.mnn import ForkServer

if TYPE_CHECKING:
    from pathlib import Path

    from mnncompat.mnn import Limits
    from mnncompat.mnn.request import Answer
    from mnncompat.results.failures import Failure

_MOST = 2


class Lanes:
    """Fork servers, started when they are needed; a request goes to one that is free. A context manager, for threads.

    Args:
        side_by_side: Whether there may be several, if the machine has several processors.

    Raises:
        RunnerError: One cannot be started.
    """

    def __init__(self, *, side_by_side: bool) -> None:
        self.count = min(_MOST, os.cpu_count() or 1) if side_by_side else 1
        self._stack = ExitStack()
        self._free = Condition()
        self._abandoned = False
        self._servers = [self._stack.enter_context(ForkServer(large_pages=True))]
        self._idle = [*self._servers]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def warm(self) -> None:
        """Start all of them: they will be needed soon."""
        with self._free:
            while len(self._servers) < self.count:
                self._idle.insert(0, self._started())

    def perform(
        self, task: str, arguments: Mapping[str, Any], /, *, directory: Path, limits: Limits
    ) -> Answer | Failure:
        """Carry out one request, see `ForkServer.perform`."""
        with self._free:
            while not self._idle and len(self._servers) == self.count:
                self._free.wait()
            server = self._idle.pop() if self._idle else self._started()
        try:
            return server.perform(task, arguments, directory=directory, limits=limits)
        finally:
            with self._free:
                self._idle.append(server)
                self._free.notify()

    def abandon(self) -> None:
        """From another thread: make the requests that are carried out now, and all later ones, raise `RunnerError`."""
        with self._free:
            self._abandoned = True
            for each in self._servers:
                each.abandon()

    def _started(self) -> ForkServer:
        server = self._stack.enter_context(ForkServer(large_pages=True))
        if self._abandoned:
            server.abandon()
        self._servers.append(server)
        return server
