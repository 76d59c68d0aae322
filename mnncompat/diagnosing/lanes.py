"""Processes of MNN that work side by side, as far as there are processors for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from threading import Condition
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mnncompat.mnn import ForkServer

if TYPE_CHECKING:
    from pathlib import Path

    from mnncompat.mnn import Limits
    from mnncompat.mnn.request import Answer
    from mnncompat.results.failures import Failure

MOST_SIDE_BY_SIDE = 200_000_000
"""Bytes of a model up to which there is memory to run parts of it side by side."""
_MOST = 2


class Lanes:
    """Fork servers; a request goes to one that is free. A context manager, for threads.

    Args:
        side_by_side: Whether there may be several, if the machine has several processors.

    Raises:
        RunnerError: They cannot be started.
    """

    def __init__(self, *, side_by_side: bool) -> None:
        self.count = min(_MOST, os.cpu_count() or 1) if side_by_side else 1
        self._server = ForkServer(large_pages=True, twin=self.count > 1)
        self._free = Condition()
        self._servers = [each for each in (self._server, self._server.twin) if each is not None]
        self._idle = [*self._servers]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def perform(
        self, task: str, arguments: Mapping[str, Any], /, *, directory: Path, limits: Limits
    ) -> Answer | Failure:
        """Carry out one request, see `ForkServer.perform`."""
        with self._free:
            while not self._idle:
                self._free.wait()
            server = self._idle.pop()
        try:
            return server.perform(task, arguments, directory=directory, limits=limits)
        finally:
            with self._free:
                self._idle.append(server)
                self._free.notify()

    def abandon(self) -> None:
        """From another thread: make the requests that are carried out now, and all later ones, raise `RunnerError`."""
        for each in self._servers:
            each.abandon()
