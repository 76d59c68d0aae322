"""Several models at a time: worker processes, each watched as a command is, and results in the order of the models.

This process forks the workers and hands out models one by one through a pipe that they share; each answers on a pipe
of its own. A worker that passes a limit or crashes takes only its model with it, and another takes its place.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from mnncompat.errors import ModelError, RunnerError
from mnncompat.files.scratch import remove_stale, temporary_folder
from mnncompat.fleet.watch import TICK, Watch
from mnncompat.graph.atomic_files import workers_write

Result = TypeVar("Result")
Outcome = tuple[Result | None, Exception | None]
"""The result of one model, or what was raised."""

_HEAD = struct.Struct("=qq")
_NUMBER = struct.Struct("=q")
_BEGUN = -1


def in_parallel(
    models: Sequence[Path],
    work: Callable[[Path], Result],
    jobs: int,
    *,
    arrived: Callable[[int, Outcome[Result]], None] = lambda _number, _outcome: None,
) -> Iterator[Outcome[Result]]:
    """Do the work with each model in worker processes.

    Args:
        models: The models.
        work: Called with each, in a worker; what it returns or raises is pickled.
        jobs: How many at a time.
        arrived: Called with number and outcome of each as soon as it is there, whatever the order.

    Yields:
        An outcome for each model, in their order, each as soon as it and those before it are there.

    Raises:
        RunnerError: Workers end before they begin with a model.
    """
    workers_write()
    pool = _Pool(models, work, arrived)
    try:
        yield from pool.outcomes(min(jobs, len(models)))
    finally:
        pool.close()


class _Worker(Watch):
    """A worker, the pipe on which it answers, and the number of its model.

    Args:
        serve: What it does, with the descriptor to answer on.
        others: Descriptors that are none of its business.
    """

    def __init__(self, serve: Callable[[int], int], others: Sequence[int]) -> None:
        self.answers, theirs = os.pipe()

        def work() -> int:
            for each in (*others, self.answers):
                os.close(each)
            return serve(theirs)

        super().__init__(work, {}, command=False)
        os.close(theirs)
        self.number: int | None = None
        self._data = b""

    @property
    def descriptors(self) -> tuple[int, ...]:
        return *super().descriptors, self.answers

    def close(self) -> None:
        super().close()
        os.close(self.answers)

    def messages(self) -> list[tuple[int, bytes]] | None:
        """The answers that are complete now: number and contents; None if there will be no more."""
        said = os.read(self.answers, 1 << 20)
        if not said:
            return None
        self._data += said
        found = []
        while len(self._data) >= _HEAD.size:
            number, length = _HEAD.unpack_from(self._data)
            end = _HEAD.size + max(length, 0)
            if len(self._data) < end:
                break
            if length == _BEGUN:
                self.number = number
            else:
                found.append((number, self._data[_HEAD.size : end]))
                self.number = None
            self._data = self._data[end:]
        return found


class _Pool(Generic[Result]):
    def __init__(
        self,
        models: Sequence[Path],
        work: Callable[[Path], Result],
        arrived: Callable[[int, Outcome[Result]], None],
    ) -> None:
        self._models, self._work, self._arrived = models, work, arrived
        self._tasks, self._hand_out = os.pipe()
        os.set_blocking(self._hand_out, False)
        self._next = 0
        self._found: dict[int, Outcome[Result]] = {}
        self._workers: list[_Worker] = []
        self._fruitless = 0

    def outcomes(self, jobs: int) -> Iterator[Outcome[Result]]:
        self._fill()
        for _ in range(jobs):
            self._start()
        for number in range(len(self._models)):
            while number not in self._found:
                self._step()
            yield self._found.pop(number)

    def _fill(self) -> None:
        """Hand out more models, as many as the pipe holds; then close it: workers take that for the end."""
        try:
            while self._next < len(self._models):
                os.write(self._hand_out, _NUMBER.pack(self._next))
                self._next += 1
        except BlockingIOError:
            return
        if self._hand_out >= 0:
            os.close(self._hand_out)
            self._hand_out = -1

    def _start(self) -> None:
        others = [each for worker in self._workers for each in worker.descriptors]
        self._workers.append(_Worker(self._serve, [*others, *([self._hand_out] if self._hand_out >= 0 else [])]))

    def _step(self) -> None:
        """Wait for answers, and see to workers that passed a limit or ended."""
        ready, _, _ = select.select([each.answers for each in self._workers], [], [], TICK)
        for worker in list(self._workers):
            answers = worker.messages() if worker.answers in ready else []
            for number, answer in answers or ():
                self._take(number, pickle.loads(answer))  # noqa: S301 - of our own process
            reason = None if answers is None else worker.reason()
            if answers is None or reason is not None:
                self._replace(worker, reason)
        self._fill()

    def _take(self, number: int, outcome: Outcome[Result]) -> None:
        self._found[number] = outcome
        self._arrived(number, outcome)

    def _replace(self, worker: _Worker, reason: tuple[str, str] | None) -> None:
        """Say of the model of a worker that ended why it did, and go on with another worker."""
        self._workers.remove(worker)
        number = worker.number
        if reason is None:
            reason = worker.end()
        else:
            worker.stop()
        remove_stale(temporary_folder())
        if number is not None:
            message, hint = reason or ("the process that worked on it ended", "report it")
            self._take(number, (None, ModelError(message, hint=hint)))
        elif reason is None:  # there was nothing left to do
            return
        else:
            self._fruitless += 1
            if self._fruitless > len(self._models):
                raise RunnerError(f"worker processes end before they begin: {reason[0]}", hint="leave out --jobs")
        self._start()

    def _serve(self, answers: int) -> int:
        """In a worker: take a number, work, answer; until there are no more."""
        while taken := os.read(self._tasks, _NUMBER.size):
            number: int = _NUMBER.unpack(taken)[0]
            _write(answers, _HEAD.pack(number, _BEGUN))
            outcome: Outcome[Result]
            try:
                outcome = self._work(self._models[number]), None
            except Exception as error:  # noqa: BLE001 - told by the parent, in the order of the models
                outcome = None, error
            answer = _pickled(outcome)
            _write(answers, _HEAD.pack(number, len(answer)) + answer)
        return 0

    def close(self) -> None:
        """End all workers; files that they write are complete or absent."""
        for worker in self._workers:
            worker.tell(signal.SIGTERM)
        for worker in self._workers:
            worker.stop()
        for descriptor in (self._tasks, self._hand_out):
            if descriptor >= 0:
                os.close(descriptor)
        if self._workers:
            remove_stale(temporary_folder())


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _pickled(outcome: Outcome[Any]) -> bytes:
    try:
        return pickle.dumps(outcome, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - an exception of a library, perhaps, that holds what cannot be sent
        told = outcome[1] if outcome[1] is not None else error
        return pickle.dumps((None, RuntimeError(f"{type(told).__name__}: {told}")))
