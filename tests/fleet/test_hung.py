"""What a worker's processes load, and a worker that is there but never answers."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from mnncompat.errors import PoisonedModelError
from mnncompat.fleet import cluster as clusters
from mnncompat.fleet import workers
from mnncompat.fleet.connection import connected
from mnncompat.fleet.outcomes import Answer, unpacked
from mnncompat.fleet.remote import Payload
from mnncompat.fleet.served import End, Request, Served
from mnncompat.fleet.travel import Shipment, shipment


class Endless:
    """A task whose process waits for more of its input, and says nothing."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def payload(self, tasks: tuple[int, ...]) -> Payload:
        request = Request("check", {}, tuple(map(self.name, tasks)), Shipment("/", (), ()))
        return Payload("json.tool", pickle.dumps(request))

    def name(self, task: int) -> str:
        return f"endless-{task}.onnx"

    def needs(self, _task: int) -> Mapping[str, float]:
        return {}

    def bytes_of(self, _task: int) -> int:
        return 0

    def seconds_of(self, _task: int) -> float:
        return 0.5

    def arrived(self, _task: int, answer: Answer) -> None:
        self.answers.append(answer)


def test_a_worker_that_is_there_but_never_answers_gets_no_more_tasks(
    own_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_FIRST_SECONDS", 0.5)
    said: list[str] = []
    work = Endless()
    client = connected(own_cluster)
    try:
        for _ in clusters.Cluster(client, work, 1, said.append).run():
            pass
    finally:
        client.close(timeout=1)
    (answer,) = work.answers
    assert isinstance(answer.error, PoisonedModelError)
    assert "endless-0.onnx" in answer.error.message
    assert sum("gets no more tasks: it does not answer" in each for each in said) == 2


def test_the_processes_of_a_worker_load_no_types_that_numpy_lacks(
    tutorial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tutorial.parent)
    request = Request("check", {}, (tutorial.name,), shipment([Path(tutorial.name)], [], None))
    with Served("mnncompat.cli.fleet_server") as served:
        answers = [each[1] for each in served.ask(request) if not isinstance(each, End)]
        assert [unpacked(each).error for each in answers] == [None]
        process = psutil.Process(served._process.pid)
        (child,) = process.children()
        loaded = [each.path for one in (process, child) for each in one.memory_maps()]
    assert any("onnx" in path for path in loaded)
    assert not any("ml_dtypes" in path for path in loaded)
