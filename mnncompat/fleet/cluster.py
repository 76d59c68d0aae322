"""Tasks on the workers of a Dask scheduler.

This program decides which worker does which tasks, and hands each worker little more than it can do at a time. So it
knows what is lost with a worker: what that one was handed and has not answered. Dask neither moves a task nor does it
again by itself; whatever goes wrong on the way, a task is handed out again from here, under another name, and an answer
counts only if it is that of the last time.

A worker that says that it cannot do tasks (no environment, no space) gets no more of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import queue
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any
from uuid import uuid4

from mnncompat.errors import MnncompatError, PoisonedModelError, RunnerError
from mnncompat.fleet import remote
from mnncompat.fleet.batches import Batches, Work
from mnncompat.fleet.connection import gone, identity
from mnncompat.fleet.losses import Losses
from mnncompat.fleet.outcomes import Answer, unpacked
from mnncompat.fleet.remote import Reply
from mnncompat.fleet.served import Trouble
from mnncompat.fleet.tasks import tool_identity
from mnncompat.fleet.workers import Batch, Worker, Workers

_POLL_SECONDS = 0.5
_TELLING_SECONDS = 3.0
"""Without a worker until that is told: a nanny starts a lost one anew."""
_PATIENCE_SECONDS = 60.0
"""How long is waited for a worker that can do a task, when those that are there cannot."""
_AFTER_A_LOSS_SECONDS = 300.0
"""The same when workers were lost, which are perhaps about to come back."""
_MOST_FAILURES = 20
"""Batches, one after the other, that come to nothing although their workers are there."""
_LOST_ON_THE_WAY = (asyncio.CancelledError, CancelledError, OSError, TimeoutError)


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
        self._suspects: deque[int] = deque()
        self._aside: dict[int, float] = {}
        self._accused: list[int] = []
        self._workers, self._losses = Workers(), Losses()
        self._handed: dict[int, Any] = {}
        self._asked: set[str] = set()
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._number = self._failures = 0
        self._waiting_since: float | None = None
        self._looked = 0.0

    def run(self) -> Iterator[None]:
        """Do all tasks; yields now and then.

        Raises:
            RunnerError: The scheduler is gone.
        """
        try:
            while self._batches or self._handed or self._suspects or self._aside or self._is_tried_again():
                self._look()
                self._hand_out()
                self._take_events()
                yield
            yield  # what was reported last is there
        finally:
            self._end()

    def _end(self) -> None:
        running = list(self._handed.values())
        self._handed.clear()
        with contextlib.suppress(Exception):  # the scheduler is gone: there is nothing to tidy up
            if running:
                self._client.cancel(running, force=True)

    # Who is there

    def _look(self) -> None:
        """See which workers there are."""
        now = time.monotonic()
        if self._workers.usable and now - self._looked < _POLL_SECONDS:
            return
        self._looked = now
        present = self._workers.present(identity(self._client)["workers"])
        for address in [each for each in self._workers.usable if each not in present]:
            self._lost(self._workers.usable.pop(address))
        for each in [each for each in self._workers.usable.values() if each.is_overdue(self._work.seconds_of)]:
            self._refuse(each.address, Trouble("it does not answer", "look at its log, and start it anew"))
            self._lost(self._workers.usable.pop(each.address))
        self._asked &= present.keys()
        for address, told in present.items():
            if address not in self._asked and address not in self._workers.refused:
                self._asked.add(address)
                asking = self._client.run(remote.describe, workers=[address], on_error="return", asynchronous=True)
                self._begin(asking, partial(self._described, address, told))
        self._wait_for_workers(now)
        self._give_up_what_nobody_can(now)

    def _described(self, address: str, told: Mapping[str, Any], asking: Future[Any]) -> None:
        """A worker said what it is."""
        try:
            found = asking.result().get(address)
        except Exception as error:  # noqa: BLE001 - it may have been lost meanwhile, or the scheduler
            found = error
        if isinstance(found, ImportError | AttributeError):
            self._refuse(address, Trouble(f"it has no such mnncompat: {found}", "install it there"))
        elif not isinstance(found, tuple):
            self._asked.discard(address)
        elif found[0] != tool_identity():
            hint = "install the same mnncompat there, with the same rules"
            self._refuse(address, Trouble(f"it has mnncompat {found[0]}, not {tool_identity()}", hint))
        elif address in self._asked:
            self._workers.usable[address] = Worker(address, found[1], told)

    def _refuse(self, address: str, trouble: Trouble) -> None:
        if address not in self._workers.refused:
            self._workers.refused[address] = trouble
            self._say(f"worker {address} gets no more tasks: {trouble.message}")

    def _wait_for_workers(self, now: float) -> None:
        """Tell that nobody is there who can do tasks, and give up if somebody is who cannot."""
        if any(address not in self._workers.refused for address in self._workers.usable):
            self._waiting_since = None
            return
        if self._waiting_since is None:
            self._waiting_since = now
        waited = now - self._waiting_since
        if waited > _TELLING_SECONDS >= waited - _POLL_SECONDS:
            self._say(f"{self._client.scheduler.address}: no worker that can do it yet; waiting for one")
        patience = _AFTER_A_LOSS_SECONDS if self._losses.any else _PATIENCE_SECONDS
        if waited > patience and self._workers.refused and not self._handed:
            address, trouble = next(iter(self._workers.refused.items()))
            error = RunnerError(f"no worker can do it: {address}: {trouble.message}", hint=trouble.hint)
            left = [*self._suspects, *self._aside, *self._batches.rest()]
            self._suspects.clear()
            self._aside.clear()
            for task in left:
                self._work.arrived(task, Answer(error=error))

    def _give_up_what_nobody_can(self, now: float) -> None:
        """Give up tasks that need what nobody has offered for a while."""
        for task, since in list(self._aside.items()):
            if not self._open_to_all() or self._is_possible(task):
                self._aside[task] = now
            elif now - since > _PATIENCE_SECONDS:
                del self._aside[task]
                self._work.arrived(task, Answer(error=self._workers.lack(self._work.needs(task))))

    def _open_to_all(self) -> list[Worker]:
        """The workers that did not say that they cannot, those with least to do first."""
        found = [each for address, each in self._workers.usable.items() if address not in self._workers.refused]
        return sorted(found, key=lambda each: len(each.held) / each.threads)

    # Handing out

    def _hand_out(self) -> None:
        workers = self._open_to_all()
        drained = min(len(self._suspects), max(1, len(workers) // 2))
        for worker in workers:
            while worker.is_open:
                keep_free = drained > 0 and bool(worker.held)
                tasks = () if keep_free else self._next_for(worker)
                if not tasks:
                    break
                self._submit(tasks, worker)
            drained -= 1

    def _next_for(self, worker: Worker) -> tuple[int, ...]:
        """What a worker gets next: what others could not do, what has to be done by itself, or a batch."""

        def fits(task: int) -> bool:
            return self._workers.fits(worker, self._work.needs(task))

        for task in self._aside:
            if fits(task) and not (self._losses.is_suspect(task) and worker.held):
                del self._aside[task]
                return (task,)
        while self._suspects and not self._is_possible(self._suspects[0]):
            self._aside[self._suspects.popleft()] = time.monotonic()
        while (first := self._batches.first) is not None and not self._is_possible(first):
            self._aside[self._batches.next(1)[0]] = time.monotonic()
        if self._suspects and not worker.held and fits(self._suspects[0]):
            return (self._suspects.popleft(),)
        return self._batches.next(self._workers.slots, fits)

    def _is_possible(self, task: int) -> bool:
        """Whether a worker is there that offers what a task needs."""
        needs = self._work.needs(task)
        return any(self._workers.fits(each, needs) for each in self._open_to_all())

    def _submit(self, tasks: tuple[int, ...], worker: Worker) -> None:
        try:
            payload = self._work.payload(tasks)._replace(process=worker.process)
        except (MnncompatError, OSError) as error:
            if len(tasks) > 1:  # it is that of one of them
                self._suspects.extendleft(reversed(tasks))
                return
            self._work.arrived(tasks[0], Answer(error=error))
            return
        self._number += 1
        batch = Batch(self._number, tasks, worker.address, self._losses.is_suspect(tasks[0]))
        needs: dict[str, float] = {}
        for task in tasks:
            for name, amount in self._work.needs(task).items():
                needs[name] = max(amount, needs.get(name, 0.0))
        future = self._client.submit(
            remote.perform,
            pickle.dumps(payload, protocol=pickle.HIGHEST_PROTOCOL),
            key=f"{self._campaign}-{self._number}",
            pure=False,
            resources={name: each for name, each in needs.items() if name in worker.offers} or None,
            workers=[worker.address],
            allow_other_workers=False,
            priority=-self._number,
            retries=0,
        )
        self._handed[batch.number] = future
        worker.take(batch)
        self._losses.begun()
        self._begin(self._client.gather([future], asynchronous=True), partial(self._answered, batch))

    def _begin(self, coroutine: Coroutine[Any, Any, Any], then: Callable[[Future[Any]], None]) -> None:
        """Have the client's loop wait for something, and this program take it in when it is there."""
        running = asyncio.run_coroutine_threadsafe(coroutine, self._client.loop.asyncio_loop)
        running.add_done_callback(lambda done: self._events.put(partial(then, done)))

    # What comes back

    def _take_events(self) -> None:
        """Wait for something, and take in what is there."""
        with contextlib.suppress(queue.Empty):
            self._events.get(timeout=_POLL_SECONDS)()
            while True:
                self._events.get_nowait()()
        if self._client.status not in ("running", "connecting"):
            raise gone()

    def _answered(self, batch: Batch, reading: Future[Any]) -> None:
        """A batch came back, or came to nothing."""
        if batch.number not in self._handed:
            return
        try:
            (data,) = reading.result()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever a worker raised
            self._came_to_nothing(batch, error)
            return
        reply: Reply = pickle.loads(data)  # noqa: S301 - who can send it can run anything here: SECURITY.md
        if not reply.is_same_process:
            self._lost(self._workers.usable.pop(batch.worker))
            self._asked.discard(batch.worker)
            return
        self._forget(batch)
        self._failures = 0
        for number, each in reply.answers.items():
            self._work.arrived(batch.tasks[number], answer := unpacked(each)._replace(worker=batch.worker))
            self._batches.took(answer.seconds)
        if reply.trouble is not None:
            self._refuse(batch.worker, reply.trouble)
        self._again([task for number, task in enumerate(batch.tasks) if number not in reply.answers])

    def _came_to_nothing(self, batch: Batch, error: BaseException) -> None:
        """Do a batch again that was lost on the way, but for one that no worker can even begin."""
        is_lost = isinstance(error, _LOST_ON_THE_WAY) or type(error).__name__ == "KilledWorker"
        self._failures += 1
        self._forget(batch)
        if self._failures > _MOST_FAILURES or not is_lost:
            told = f"{type(error).__name__}: {error}"
            raise RunnerError(f"a worker cannot begin: {told}", hint="see the worker's log")
        identity(self._client)
        self._again(batch.tasks)

    def _lost(self, worker: Worker) -> None:
        """Hand out again what a worker had that is there no more, task by task."""
        held = list(worker.held.values())
        if not held:
            return
        tasks = [task for batch in held for task in batch.tasks]
        self._losses.note(worker.address, tasks)
        for batch in held:
            self._client.cancel([self._handed.pop(batch.number)], force=True)
        accused = [task for task in tasks if self._losses.is_accused(task)]
        self._say(f"worker {worker.address} was lost; what it did is done again")
        for task in accused:
            self._say(f"{self._work.name(task)} was there when two workers were lost: it is left for the end")
        self._accused += accused
        self._again([task for task in tasks if task not in accused])

    def _is_tried_again(self) -> bool:
        """All others are done: report those that end their workers; whether there are some that chance may have hit."""
        for task in self._accused:
            if not self._losses.is_to_blame(task):
                self._suspects.append(task)
                continue
            name, lost = self._work.name(task), ", ".join(self._losses.with_task(task))
            message = f"{name}: poisoned: the workers that did it were lost, one after the other: {lost}"
            hint = "it ends the process that works on it: look at the workers' logs, and report it with the model"
            self._work.arrived(task, Answer(error=PoisonedModelError(message, hint=hint)))
        self._accused.clear()
        return bool(self._suspects)

    def _forget(self, batch: Batch) -> None:
        self._handed.pop(batch.number)
        if batch.worker in self._workers.usable:
            self._workers.usable[batch.worker].let_go(batch)

    def _again(self, tasks: list[int] | tuple[int, ...]) -> None:
        """Take tasks back, to be handed out before all others."""
        self._suspects.extendleft(task for task in reversed(tasks) if self._losses.is_suspect(task))
        self._batches.back([task for task in tasks if not self._losses.is_suspect(task)])
