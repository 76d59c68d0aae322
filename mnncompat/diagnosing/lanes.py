"""Processes of MNN that work side by side, as far as there are processors for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from queue import LifoQueue
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
    """Fork servers; a request goes to one that is free. A context manager, and for several threads.

    Args:
        side_by_side: Whether there are to be several, if the machine has several processors.

    Raises:
        RunnerError: One cannot be started.
    """

    def __init__(self, *, side_by_side: bool) -> None:
        self.count = min(_MOST, os.cpu_count() or 1) if side_by_side else 1
        self._free: LifoQueue[ForkServer] = LifoQueue()
        with ExitStack() as stack:
            self._servers = [stack.enter_context(ForkServer(large_pages=True)) for _ in range(self.count)]
            self._stack = stack.pop_all()
        for each in reversed(self._servers):
            self._free.put(each)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def perform(
        self, task: str, arguments: Mapping[str, Any], /, *, directory: Path, limits: Limits
    ) -> Answer | Failure:
        """Carry out one request, see `ForkServer.perform`."""
        server = self._free.get()
        try:
            return server.perform(task, arguments, directory=directory, limits=limits)
        finally:
            self._free.put(server)

    def abandon(self) -> None:
        """From another thread: make the requests that are carried out now, and all later ones, raise `RunnerError`."""
        for each in self._servers:
            each.abandon()
