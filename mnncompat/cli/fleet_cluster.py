"""The models of a command on the workers of a Dask scheduler."""

from __future__ import annotations

import contextlib
import pickle
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnncompat.cli.config import nearest_table
from mnncompat.cli.console import note
from mnncompat.cli.fleet_options import FleetOptions, Own, invocation
from mnncompat.cli.fleet_tasks import option_files, sent_values
from mnncompat.files.allowance import allowance, longest
from mnncompat.files.reachable import is_file, is_folder
from mnncompat.fleet.cluster import Cluster
from mnncompat.fleet.connection import connected
from mnncompat.fleet.outcomes import Answer, timed
from mnncompat.fleet.remote import MOST_ATTEMPTS, Payload, answered
from mnncompat.fleet.served import Request
from mnncompat.fleet.tasks import external_files
from mnncompat.fleet.travel import shipment

_SERVER = "mnncompat.cli.fleet_server"
_READS_ONLY = ("check",)
"""Commands that write no files."""
_WRITTEN = ("output", "repro", "svg", "save_data")
"""Options that name what is written."""
MEMORY = "MEMORY"


def on_cluster(
    models: Sequence[Path],
    work: Callable[[Path], Any],
    fleet: FleetOptions,
    arrived: Callable[[int, Answer], Answer],
    own: Own | None = None,
) -> Iterator[None]:
    """Do the work of the command that is being carried out with models on a cluster; yields now and then.

    Args:
        models: The models.
        work: What the command does with each; done here with what is no file, which is an error anyway.
        fleet: Which cluster.
        arrived: Told number and answer of each.
        own: Values of options for one model, if each has its own.

    Raises:
        RunnerError: There is no such cluster, or it went away.
    """
    answered, there = timed(work), list[int]()
    for number, path in enumerate(models):
        if is_file(path):
            there.append(number)
        else:
            arrived(number, answered(path))
            yield
    if not there:
        return
    client = connected(fleet.scheduler or "")
    try:
        chosen = [models[number] for number in there]
        job = _Job(chosen, fleet, lambda place, each: arrived(there[place], each), own)
        yield from Cluster(client, job, len(there), note, most=1 if own else None).run()
    finally:
        client.close(timeout=1)


def in_served_processes(
    models: Sequence[Path],
    fleet: FleetOptions,
    arrived: Callable[[int, Answer], Answer],
    own: Own | None = None,
) -> Iterator[None]:
    """Do the work in processes of this machine that have another release of MNN; yields now and then.

    Args:
        models: The models.
        fleet: How many processes, and which release.
        arrived: Told number and answer of each.
        own: Values of options for one model, if each has its own.

    Raises:
        RunnerError: The release cannot be installed.
    """
    job = _Job(models, fleet, arrived, own)
    ready: queue.SimpleQueue[tuple[int, Answer] | Exception] = queue.SimpleQueue()
    tasks = iter(range(len(models)))
    drawing = threading.Lock()

    def drawn() -> int | None:
        with drawing:
            return next(tasks, None)

    def carry_out() -> None:
        try:
            while (task := drawn()) is not None:
                ready.put((task, answered(job.payload((task,)))))
        except Exception as error:  # noqa: BLE001 - raised where the answers are read
            ready.put(error)

    for _ in range(min(fleet.jobs, len(models))):
        threading.Thread(target=carry_out, daemon=True).start()
    for _ in models:
        found = ready.get()
        if isinstance(found, Exception):
            raise found
        arrived(*found)
        yield


class _Job:
    """The models of one call, as a cluster wants them (`mnncompat.fleet.batches.Work`)."""

    def __init__(
        self, models: Sequence[Path], fleet: FleetOptions, arrived: Callable[[int, Answer], Any], own: Own | None
    ) -> None:
        self._models, self._fleet, self._arrived, self._own = models, fleet, arrived, own
        self._release = fleet.chosen_release()
        self._command, values = invocation()
        self._values = sent_values(values)
        self._inputs = option_files(values)
        file, _ = nearest_table()
        self._config = file.absolute() if file is not None else None
        outputs = [each for name in _WRITTEN if isinstance(each := values.get(name), Path)]
        self._sizes: dict[int, int] = {}
        self._folders = [folder for each in outputs for folder in _folders(each)]

    def payload(self, tasks: tuple[int, ...]) -> Payload:
        """For some models; the process is filled in by the cluster."""
        models = [self._models[task] for task in tasks]
        files = [each for model in models for each in (model, *external_files(model))]
        mine = {} if self._own is None else dict(self._own(models[0]))
        files += [each for each in files_beside(mine.get("file")) if is_file(each)]
        sent = shipment([*files, *self._inputs, *filter(None, [self._config])], self._folders, self._fleet.shared)
        request = Request(
            command=self._command,
            values={**self._values, **mine},
            models=tuple(map(str, models)),
            shipment=sent,
            config=str(self._config or ""),
            own=self._own is not None,
            writes=self._command not in _READS_ONLY,
        )
        pickled = pickle.dumps(request, protocol=pickle.HIGHEST_PROTOCOL)
        return Payload(
            module=_SERVER,
            request=pickled,
            release=self._release,
            device=str(self._values.get("device") or ""),
        )

    def name(self, task: int) -> str:
        """The model."""
        return str(self._models[task])

    def needs(self, task: int) -> Mapping[str, float]:
        """Release, device and memory."""
        device = str(self._values.get("device") or "")
        found = {MEMORY: float(allowance(self.bytes_of(task), 0).memory)}
        if self._release:
            found[f"mnn-{self._release}"] = 1.0
        if device:
            found[device.partition(":")[0] if device.startswith("arm64") else device] = 1.0
        return found

    def bytes_of(self, task: int) -> int:
        """Size of the model."""
        if task not in self._sizes:
            with contextlib.suppress(OSError):
                self._sizes[task] = self._models[task].stat().st_size
        return self._sizes.get(task, 0)

    def seconds_of(self, task: int) -> float:
        """As long as it may take on this machine, twice: a second process does it if the first one ends."""
        return MOST_ATTEMPTS * longest(self.bytes_of(task), 0, device=bool(self._values.get("device")))

    def arrived(self, task: int, answer: Answer) -> None:
        """Take an answer in."""
        self._arrived(task, answer)


def files_beside(file: Path | None) -> tuple[Path, ...]:
    """A converted file, and where its weights may be."""
    from mnncompat.graph.atomic_files import weights_of

    return () if file is None else (file, weights_of(file))


def _folders(output: Path) -> list[Path]:
    """The folders that results go to, as far as they are there."""
    return [each for each in (output, output.parent) if is_folder(each)]
