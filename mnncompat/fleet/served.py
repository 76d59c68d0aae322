"""A process that does tasks one after the other, each in a child that it watches: limits hold as they do locally.

A worker of a cluster has threads, so it must not fork; it starts one such process and keeps it. Requests and answers
are pickled, each behind its length. The process ends when nobody holds the other end of its pipes any more.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

from mnncompat.errors import MnncompatError, RunnerError
from mnncompat.fleet.other_release import environment_with
from mnncompat.fleet.travel import Shipment

_HEAD = struct.Struct("=q")
LIFE = "MNNCOMPAT_LIFE"
"""Environment variable with the descriptor by which the process notices that its owner is gone."""


class Request(NamedTuple):
    """Some tasks.

    Attributes:
        command: Name of the command.
        values: Values of its options, by name; but for the models.
        models: As the user named them.
        shipment: The files.
        config: Path of the configuration; empty for none.
        writes: Whether the work may write files beside its result.
        own: Whether the values of the options name the model.
    """

    command: str
    values: Mapping[str, Any]
    models: tuple[str, ...]
    shipment: Shipment
    config: str = ""
    writes: bool = False
    own: bool = False


class Trouble(NamedTuple):
    """Why a machine could not do tasks, whatever the models are."""

    message: str
    hint: str


class End(NamedTuple):
    """All tasks of a request are answered, but those that something kept from being done."""

    trouble: Trouble | None = None


class Served:
    """The process. A context manager.

    Args:
        module: Its program, as `python -m` takes it.
        release: Folder with the MNN that it uses (`release_folder`); None for the one that is installed.

    Raises:
        RunnerError: It cannot be started.
    """

    def __init__(self, module: str, release: Path | None = None) -> None:
        life, self._life = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this program
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**environment_with(release), LIFE: str(life)},
                pass_fds=(life,),
            )
        except OSError as error:
            os.close(self._life)
            raise RunnerError(f"no process can be started: {error.strerror or error}", hint="free memory") from error
        finally:
            os.close(life)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ending: object) -> None:
        self.close()

    def close(self) -> None:
        """End it. Harmless when repeated."""
        if self._life >= 0:
            os.close(self._life)
            self._life = -1
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None  # noqa: S101 - asked for
                pipe.close()
        self._process.kill()
        self._process.wait()

    def ask(self, request: Request) -> Iterator[tuple[int, bytes] | End]:
        """Have tasks done.

        Yields:
            Number and answer of each, packed, and the end.

        Raises:
            EOFError: The process ended.
        """
        assert self._process.stdin is not None  # noqa: S101 - asked for
        assert self._process.stdout is not None  # noqa: S101
        try:
            send(self._process.stdin, request)
        except OSError:
            raise EOFError from None
        while True:
            found = receive(self._process.stdout)
            yield found
            if isinstance(found, End):
                return


def send(pipe: BinaryIO | Any, value: object) -> None:
    """Write a value."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    left = memoryview(_HEAD.pack(len(data)) + data)
    while left:
        left = left[pipe.write(left) :]
    pipe.flush()


def receive(pipe: BinaryIO | Any) -> Any:
    """Read a value.

    Raises:
        EOFError: There is none.
    """
    (length,) = _HEAD.unpack(_exactly(pipe, _HEAD.size))
    return pickle.loads(_exactly(pipe, length))  # noqa: S301 - of our own process


def _exactly(pipe: BinaryIO | Any, size: int) -> bytes:
    """So many bytes, from a pipe that may give fewer at a time."""
    parts: list[bytes] = []
    while size:
        part = pipe.read(size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def trouble_of(error: MnncompatError) -> Trouble:
    """An error that is none of the models'."""
    return Trouble(error.message, error.hint)
