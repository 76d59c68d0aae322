"""The cases of a corpus on the workers of a Dask scheduler, as `mnncompat.probe.pool` measures them here."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mnncompat.cli.console import note
from mnncompat.cli.fleet_options import FleetOptions
from mnncompat.errors import UsageError
from mnncompat.fleet.cluster import Cluster
from mnncompat.fleet.connection import connected
from mnncompat.fleet.outcomes import Answer
from mnncompat.fleet.remote import Payload
from mnncompat.fleet.served import Request
from mnncompat.fleet.travel import Shipment

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.probe.case import Case
    from mnncompat.probe.measurement import Measurement

_CASE_SECONDS = 600.0
SERVER = "mnncompat.cli.fleet_server"


class ClusterPool:
    """Measures cases on a cluster. A context manager.

    Args:
        scheduler: Address of its scheduler.
        where: A device to run the cases on; None measures on the workers themselves.
        release: Of MNN; None for the one that is installed here.

    Raises:
        RunnerError: There is no such cluster.
    """

    def __init__(self, scheduler: str, where: Where | None, release: str | None) -> None:
        self._where = where
        self._release = FleetOptions(release=release).chosen_release()
        self._client = connected(scheduler)
        self.header: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ending: object) -> None:
        self._client.close(timeout=1)

    def describe(self) -> dict[str, str]:
        """The environment of the measurements, as the first worker that answers has it."""
        for _ in self._answers([None]):
            pass
        return self.header

    def measure(self, cases: Iterable[Case]) -> Iterator[Measurement]:
        """Measure cases; they come as they are done.

        Raises:
            RunnerError: A case cannot be measured, or the cluster is gone.
            UsageError: Workers have different environments: what they measure cannot be one file.
        """
        for result in self._answers(list(cases)):
            if result is not None:
                yield result

    def _answers(self, cases: Sequence[Case | None]) -> Iterator[Measurement | None]:
        found: deque[Answer] = deque()
        job = _Cases(cases, self._where, self._release, found)
        running = Cluster(self._client, job, len(cases), note).run()
        for _ in running:
            while found:
                yield self._taken(found.popleft())

    def _taken(self, answer: Answer) -> Measurement | None:
        if answer.error is not None:
            raise answer.error
        measurement, header = answer.result
        self.header = self.header or header
        differing = next((key for key, value in header.items() if self.header.get(key) != value), None)
        if differing is not None:
            raise UsageError(
                f"{answer.worker} has another {differing} than the others: {header[differing]}",
                hint="measure on workers of one kind: processors and versions are part of what is measured",
            )
        measured: Measurement | None = measurement
        return measured


class _Cases:
    """Cases, as a cluster wants them (`mnncompat.fleet.batches.Work`); None asks for the environment alone."""

    def __init__(self, cases: Sequence[Case | None], where: Where | None, release: str, found: deque[Answer]) -> None:
        self._cases, self._where, self._release, self._found = cases, where, release, found

    def payload(self, tasks: tuple[int, ...]) -> Payload:
        """For some cases; the process is filled in by the cluster."""
        values: dict[str, Any] = {"cases": [self._cases[task] for task in tasks], "where": self._where}
        names = tuple(map(self.name, tasks))
        request = Request(command="measure", values=values, models=names, shipment=Shipment(str(Path.cwd()), (), ()))
        pickled = pickle.dumps(request, protocol=pickle.HIGHEST_PROTOCOL)
        device = "" if self._where is None else str(self._where.device)
        return Payload(SERVER, pickled, release=self._release, device=device)

    def name(self, task: int) -> str:
        """Its id."""
        case = self._cases[task]
        return "environment" if case is None else case.id

    def needs(self, _task: int) -> Mapping[str, float]:
        """Release and device."""
        found = {f"mnn-{self._release}": 1.0}
        if self._where is not None:
            found[str(self._where.device).partition(":")[0]] = 1.0
        return found

    def bytes_of(self, task: int) -> int:
        """Size of the micro-model."""
        case = self._cases[task]
        return 0 if case is None else len(case.model)

    def seconds_of(self, _task: int) -> float:
        """Far more than the limits of a case's steps, on a device too (`mnncompat.probe.prober`)."""
        return _CASE_SECONDS

    def arrived(self, _task: int, answer: Answer) -> None:
        """Take an answer in."""
        self._found.append(answer)
