"""Measure many cases on all cores."""

from __future__ import annotations

import os
import queue
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Self

from mnncompat.probe.prober import LIMITS, Prober

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mnncompat.devices.device import Where
    from mnncompat.mnn import Limits, ServedEnvironment
    from mnncompat.probe.case import Case
    from mnncompat.probe.measurement import Measurement


_ABANDONED_SECONDS = 1.0
"""How long is waited for threads whose work is not wanted any more: one may be making a large case."""


class Pool:
    """Probers that work in parallel. A context manager: leaving it ends what they run.

    Args:
        jobs: How many; as many as there are cores when None.
        python: Interpreter of an environment with numpy and the MNN to measure; this one when None.
        limits: What one step of one case may use.
        where: A device to run the cases on; None measures on this machine.
        release: Of MNN on the device; None for that of this machine.

    Raises:
        RunnerError: MNN is not installed, or the interpreter cannot be started.
    """

    def __init__(
        self,
        *,
        jobs: int | None = None,
        python: Path | None = None,
        limits: Limits = LIMITS,
        where: Where | None = None,
        release: str | None = None,
    ) -> None:
        with ExitStack() as stack:
            count = max(1, jobs or os.cpu_count() or 1)
            prober = partial(Prober, python=python, limits=limits, where=where, release=release)
            self._probers = [stack.enter_context(prober()) for _ in range(count)]
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ending: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> ServedEnvironment:
        """The environment of the MNN that is measured.

        Raises:
            RunnerError: MNN cannot be imported there.
        """
        return self._probers[0].environment

    def measure(self, cases: Iterable[Case]) -> Iterator[Measurement]:
        """Measure cases, each as soon as a prober is free.

        To be called once: leaving the iteration early abandons the probers.

        Args:
            cases: They are taken one by one, by one thread at a time.

        Yields:
            The measurements, in the order in which they are done.

        Raises:
            RunnerError: MNN cannot be imported there, or its server keeps ending.
        """
        work = _Work(iter(cases))
        threads = [threading.Thread(target=work.carry_out, args=(each,), daemon=True) for each in self._probers]
        for thread in threads:
            thread.start()
        finished = False
        try:
            yield from work.found(len(threads))
            finished = True
        finally:
            work.stop.set()
            if not finished:
                for prober in self._probers:
                    prober.abandon()
            end = time.monotonic() + _ABANDONED_SECONDS
            for thread in threads:
                thread.join(None if finished else max(0.0, end - time.monotonic()))


class _Work:
    """Cases that several threads take from, and their measurements."""

    def __init__(self, cases: Iterator[Case]) -> None:
        self._cases = cases
        self._drawing = threading.Lock()
        self._queue: queue.SimpleQueue[Measurement | BaseException | None] = queue.SimpleQueue()
        self.stop = threading.Event()

    def carry_out(self, prober: Prober) -> None:
        """Measure until there is nothing left; an error is passed on to the reader of the measurements."""
        try:
            while (case := self._drawn()) is not None:
                self._queue.put(prober.measure(case))
        except BaseException as error:  # noqa: BLE001 - raised again where the measurements are read
            self._queue.put(error)
        finally:
            self._queue.put(None)

    def found(self, threads: int) -> Iterator[Measurement]:
        """Until every thread has run out of cases."""
        while threads:
            each = self._queue.get()
            if each is None:
                threads -= 1
            elif isinstance(each, BaseException):
                raise each
            else:
                yield each

    def _drawn(self) -> Case | None:
        with self._drawing:
            return None if self.stop.is_set() else next(self._cases, None)
