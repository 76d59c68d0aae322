"""A child that does requests one after the other, watched by the process that forked it, and replaced when it ends.

What the child has imported and learnt stays from request to request. A model that passes a limit or ends the child
takes only itself with it: another child does the models behind it.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnncompat.errors import ModelError
from mnncompat.files.scratch import remove_stale, temporary_folder
from mnncompat.fleet.outcomes import Answer, packed
from mnncompat.fleet.served import End, Request, Trouble, receive, send
from mnncompat.fleet.travel import relocated
from mnncompat.fleet.watch import TICK, Watch

Serve = Callable[[Request, Path, Callable[[bytes], None]], Trouble | None]
"""Does a request with files that lie in a folder, and tells the answers, packed; what kept it from being done."""
_MOST_MODELS = 500
_MOST_BYTES = 256 << 20
"""A child that has more after so many models makes place for another one: libraries keep memory."""


class Attendant:
    """The child, and what it is asked.

    Args:
        serve: What the child does.
    """

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._child: _Child | None = None
        self._models = 0

    def carry_out(self, request: Request, root: Path, tell: Callable[[int, bytes], None]) -> Trouble | None:
        """Do a request.

        Args:
            request: The tasks.
            root: Where its files are.
            tell: Told number and answer of each model, packed.

        Returns:
            What kept the rest from being done; None if nothing did.
        """
        done = 0
        while done < len(request.models):
            if self._child is None:
                self._child = _Child(self._serve)
            left = request._replace(models=request.models[done:])
            answered, end = self._child.do(left, root, lambda place, each, before=done: tell(before + place, each))  # type: ignore[misc]
            done += answered
            if isinstance(end, End):
                if end.trouble is not None or done == len(request.models):
                    self._count(done)
                    return end.trouble
                return Trouble("the command did not do all models", "report it")
            self._child = None
            if end is None:
                return Trouble("its process ended before it began with a model", "report it")
            message, hint = end
            tell(done, packed(Answer(error=relocated(ModelError(message, hint=hint), root))))
            done += 1
        return None

    def _count(self, models: int) -> None:
        self._models += models
        if self._models > _MOST_MODELS and self._child is not None and not 0 < self._child.resident < _MOST_BYTES:
            self.close()

    def close(self) -> None:
        """End the child."""
        self._models = 0
        if self._child is not None:
            self._child.end_it()
            self._child = None


class _Child(Watch):
    def __init__(self, serve: Serve) -> None:
        asked, asks = os.pipe()
        told, tells = os.pipe()

        def work() -> int:
            os.close(asks)
            os.close(told)
            return _serve_all(serve, os.fdopen(asked, "rb"), os.fdopen(tells, "wb"))

        super().__init__(work, {}, command=False)
        os.close(asked)
        os.close(tells)
        self._asks, self._told = os.fdopen(asks, "wb", buffering=0), os.fdopen(told, "rb", buffering=0)

    def do(
        self, request: Request, root: Path, tell: Callable[[int, bytes], None]
    ) -> tuple[int, End | tuple[str, str] | None]:
        """Do a request.

        Returns:
            How many models were answered; and the end, or why the child ended with the next model, None if with none.
        """
        done = 0
        try:
            send(self._asks, (request, str(root)))
            while True:
                ready, _, _ = select.select([self._told], [], [], TICK)
                found = receive(self._told) if ready else None
                if isinstance(found, End):
                    return done, found
                if found is not None:
                    tell(done, found)
                    done += 1
                reason = self.reason()
                if reason is not None:
                    self.end_it()
                    return done, reason
        except (EOFError, BrokenPipeError):
            working = bool(self._path)
            reason = self.end()
            self._close_pipes()
            return done, reason if working else None

    def end_it(self) -> None:
        """Kill it, and what it started."""
        self.stop()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self._asks, self._told):
            with contextlib.suppress(OSError):
                pipe.close()
        remove_stale(temporary_folder())


def _serve_all(serve: Serve, asked: Any, tells: Any) -> int:
    """In the child: do requests until there are no more."""
    while True:
        try:
            request, root = receive(asked)
        except EOFError:
            return 0
        trouble = serve(request, Path(root), lambda data: send(tells, data))
        send(tells, End(trouble))
