"""Tasks on the workers of a Dask scheduler.

What a worker loses is done again by another one. The scheduler knows on which workers a batch began: if its worker was
lost, its tasks are handed out one by one, and a task that is alone and loses its third worker is poisoned. A worker
that says that it cannot do tasks (no environment, no space) gets no more of them.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from mnncompat.errors import MnncompatError, PoisonedModelError, RunnerError, UsageError
from mnncompat.fleet import remote
from mnncompat.fleet.batches import Batches
from mnncompat.fleet.outcomes import Answer
from mnncompat.fleet.remote import Payload, Reply
from mnncompat.fleet.served import Trouble

_CONNECT_SECONDS = 15
_POLL_SECONDS = 0.5
_TELLING_SECONDS = 3.0
"""Without a worker until that is told: a nanny starts a lost one anew."""
_FETCH_SECONDS = 10
"""For the answers of a batch: if they are lost with their worker, they may never come from there."""
_PAUSES = (0.5, 2.0, 5.0)
"""Between questions to a scheduler that does not answer."""
_PATIENCE_SECONDS = 60.0
"""How long is waited for a worker that can do the tasks, once one has said that it cannot."""


class Work(Protocol):
    """What is to be done."""

    def payload(self, tasks: tuple[int, ...]) -> Payload:
        """For some tasks; its names are filled in."""

    def name(self, task: int) -> str:
        """The model."""

    def needs(self, task: int) -> Mapping[str, float]:
        """Resources of Dask that a worker has to offer, if workers state such resources at all."""

    def bytes_of(self, task: int) -> int:
        """Size of the model."""

    def arrived(self, task: int, answer: Answer) -> None:
        """Take an answer in."""


class _Batch(NamedTuple):
    tasks: tuple[int, ...]
    workers: frozenset[str]
    """It is restricted to; empty if it is not."""
    name: str
    """Under which the scheduler knows who began with it."""


def connected(address: str) -> Any:
    """A client of a scheduler.

    Args:
        address: `tcp://...`, `tls://...`, or the file that a scheduler wrote.

    Raises:
        RunnerError: Dask is not installed, or no scheduler answers.
        UsageError: It is no address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise RunnerError(
            f"--scheduler needs Dask: {error}",
            hint='install it: pip install "mnncompat[dask]", here and on the workers',
        ) from error
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    file = Path(address)
    where = {"scheduler_file": address} if file.is_file() else {"address": address}
    try:
        return Client(**where, timeout=_CONNECT_SECONDS, set_as_default=False, name="mnncompat")
    except (OSError, TimeoutError) as error:
        raise RunnerError(
            f"no Dask scheduler answers at {address}: {' '.join(str(error).split())}",
            hint="start one (`dask scheduler`), and give the address that it prints",
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"--scheduler {address} is no address: {error}", hint="write it as tcp://HOST:8786, or name a file"
        ) from error


class Cluster:
    """A campaign on a cluster.

    Args:
        client: Of its scheduler.
        work: What is to be done.
        count: How many tasks there are.
        say: Told what happens to workers.
        most: Tasks that are handed out together; None for as many as make sense.
    """

    def __init__(
        self, client: Any, work: Work, count: int, say: Callable[[str], None], *, most: int | None = None
    ) -> None:
        self._client, self._work, self._say = client, work, say
        self._campaign = f"mnncompat-{uuid4().hex}"
        self._batches = Batches(count, work.bytes_of, most)
        self._running: dict[Any, _Batch] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._workers: dict[str, Mapping[str, Any]] = {}
        self._refused: dict[str, Trouble] = {}
        self._described: set[str] = set()
        self._number = 0
        self._waiting_since: float | None = None
        self._waits = False
        self._looked = 0.0

    def run(self) -> Iterator[None]:
        """Do all tasks; yields now and then."""
        try:
            while self._batches or self._running:
                self._look()
                self._hand_out()
                self._collect()
                yield
        finally:
            self._end()

    def _end(self) -> None:
        running = list(self._running)
        self._running.clear()
        with contextlib.suppress(Exception):  # the scheduler is gone: there is nothing to tidy up
            if running:
                self._client.cancel(running, force=True)
            self._client.set_metadata([self._campaign], None)

    def _look(self) -> None:
        """See which workers there are."""
        now = time.monotonic()
        if self._workers and now - self._looked < _POLL_SECONDS:
            return
        self._looked = now
        self._workers = dict(self._identity()["workers"])
        self._describe([each for each in self._workers if each not in self._described])
        self._take_back_stranded()
        if self._usable:
            self._waiting_since, self._waits = None, False
            return
        self._waiting_since = self._waiting_since or now
        waited = now - self._waiting_since
        if waited > _TELLING_SECONDS and not self._waits:
            self._waits = True
            self._say(f"{self._client.scheduler.address}: no worker that can do it yet; waiting for one")
        if self._refused and waited > _PATIENCE_SECONDS:
            self._give_up()

    @property
    def _usable(self) -> dict[str, Mapping[str, Any]]:
        return {address: each for address, each in self._workers.items() if address not in self._refused}

    def _describe(self, new: list[str]) -> None:
        """Refuse workers that have no mnncompat."""
        if not new:
            return
        self._described.update(new)
        told = self._client.run(remote.describe, workers=new, on_error="return")
        for address, each in told.items():
            if isinstance(each, ImportError | AttributeError):
                self._refuse(address, Trouble(f"it has no such mnncompat: {each}", "install it there"))

    def _refuse(self, address: str, trouble: Trouble) -> None:
        if address not in self._refused:
            self._refused[address] = trouble
            self._say(f"worker {address} gets no more tasks: {trouble.message}")

    def _take_back_stranded(self) -> None:
        """Take back what only workers may do that are not there any more."""
        for future, batch in list(self._running.items()):
            if batch.workers and not batch.workers & self._workers.keys():
                del self._running[future]
                self._client.cancel([future], force=True)
                self._take_killed(batch)

    def _give_up(self) -> None:
        """No worker can do what is left."""
        address, trouble = next(iter(self._refused.items()))
        error = RunnerError(f"no worker can do it: {address}: {trouble.message}", hint=trouble.hint)
        while self._batches:
            for task in self._batches.next(1):
                self._work.arrived(task, Answer(error=error))

    def _hand_out(self) -> None:
        slots = sum(int(each["nthreads"]) for each in self._usable.values())
        while slots and self._batches and len(self._running) < self._batches.wanted(slots):
            tasks = self._batches.next(slots)
            needs = self._needs(tasks)
            if isinstance(needs, RunnerError):
                for task in tasks:
                    self._work.arrived(task, Answer(error=needs))
                continue
            self._submit(tasks, needs)

    def _needs(self, tasks: tuple[int, ...]) -> dict[str, float] | RunnerError:
        """What a worker has to offer for some tasks, of the resources that workers state."""
        offered: dict[str, float] = {}
        for each in self._workers.values():
            for name, amount in (each.get("resources") or {}).items():
                offered[name] = max(amount, offered.get(name, 0.0))
        wanted: dict[str, float] = {}
        for task in tasks:
            for name, amount in self._work.needs(task).items():
                wanted[name] = max(amount, wanted.get(name, 0.0))
        kinds = {name.partition("-")[0] for name in offered}
        for name, amount in wanted.items():
            if name.partition("-")[0] in kinds and offered.get(name, 0.0) < amount:
                there = f"the most is {offered[name]:g}" if name in offered else "none does"
                return RunnerError(
                    f"it needs a worker that offers {name}={amount:g}, and {there}",
                    hint=f'start one: dask worker ADDRESS --resources "{name}={amount:g}"',
                )
        return {name: amount for name, amount in wanted.items() if name in offered}

    def _submit(self, tasks: tuple[int, ...], needs: dict[str, float]) -> None:
        self._number += 1
        key = f"{self._campaign}-{self._number}"
        name = str(tasks[0]) if len(tasks) == 1 else key  # who loses one that is alone is remembered when it is redone
        try:
            payload = self._work.payload(tasks)._replace(campaign=self._campaign, name=name)
        except (MnncompatError, OSError) as error:
            for task in tasks:
                self._work.arrived(task, Answer(error=error))
            return
        allowed = frozenset(self._usable) if self._refused else frozenset[str]()
        future = self._client.submit(
            remote.perform,
            payload,
            key=key,
            pure=False,
            resources=needs or None,
            workers=sorted(allowed) or None,
            allow_other_workers=False,
        )
        self._running[future] = _Batch(tasks, allowed, name)
        future.add_done_callback(self._ended.put)

    def _collect(self) -> None:
        """Wait for something, and take in what is there."""
        ended: list[Any] = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=_POLL_SECONDS))
            while True:
                ended.append(self._ended.get_nowait())
        if self._client.status not in ("running", "connecting"):
            raise self._gone()
        for future in ended:
            batch = self._running.pop(future, None)
            if batch is not None:
                self._take(future, batch)

    def _take(self, future: Any, batch: _Batch) -> None:
        if future.status == "finished":
            try:
                reply = future.result(timeout=_FETCH_SECONDS)
            except (OSError, TimeoutError):  # the worker was lost before it handed the answers over
                self._identity()
                self._client.cancel([future], force=True)
                self._batches.back(batch.tasks)
                return
            self._take_reply(reply, batch)
            return
        if future.status != "error":  # lost, with a worker or with the scheduler
            self._identity()
            self._batches.back(batch.tasks)
            return
        error = future.exception()
        if type(error).__name__ == "KilledWorker":
            self._take_killed(batch)
            return
        raise RunnerError(f"a worker cannot begin: {type(error).__name__}: {error}", hint="see the worker's log")

    def _take_reply(self, reply: Reply, batch: _Batch) -> None:
        for number, answer in reply.answers.items():
            self._work.arrived(batch.tasks[number], answer)
        self._batches.took(each.seconds for each in reply.answers.values())
        left = tuple(task for number, task in enumerate(batch.tasks) if number not in reply.answers)
        if reply.lost:
            self._take_lost(left, reply.lost)
            return
        if reply.trouble is not None:
            self._refuse(reply.worker, reply.trouble)
        self._batches.back(left)

    def _take_killed(self, batch: _Batch) -> None:
        """Workers were lost that had tasks; they need not have begun with them."""
        keys = [self._campaign, batch.name]
        lost = tuple(self._client.get_metadata(keys, default=[]))
        self._take_lost(batch.tasks, lost)

    def _take_lost(self, tasks: tuple[int, ...], lost: tuple[str, ...]) -> None:
        """Hand tasks out again whose workers were lost, one by one, but for one that was alone three times."""
        if len(tasks) > 1 or len(lost) < remote.MOST_LOST:
            if lost:
                self._say(f"worker {lost[-1]} was lost; what it did is done again")
            self._batches.back(tasks, alone=bool(lost))
            return
        name = self._work.name(tasks[0])
        message = f"{name}: poisoned: the workers that did it were lost, one after the other: {', '.join(lost)}"
        hint = "it ends the process that works on it: look at the workers' logs, and report it with the model"
        self._work.arrived(tasks[0], Answer(error=PoisonedModelError(message, hint=hint)))

    def _identity(self) -> Mapping[str, Any]:
        """What the scheduler says of itself; one that is busy is asked again.

        Raises:
            RunnerError: It is gone.
        """
        for pause in _PAUSES:
            with contextlib.suppress(Exception):
                found: Mapping[str, Any] = self._client.sync(self._client.scheduler.identity)
                return found
            time.sleep(pause)
        raise self._gone()

    def _gone(self) -> RunnerError:
        return RunnerError(
            "the Dask scheduler is gone", hint="what is done is kept with --results DIR: start it, and run again"
        )
