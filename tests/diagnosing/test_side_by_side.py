"""What a diagnosis begins early is what it would have run, and requests never share a process."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnncompat.diagnosing import lanes
from mnncompat.diagnosing.lanes import Lanes
from mnncompat.diagnosing.tracing import AheadRunner
from mnncompat.mnn import Held, Limits, Traced
from mnncompat.results.failures import Failure


class Counting:
    """Runs nothing, and tells what it was asked."""

    name = "nothing"

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def trace(
        self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str], held: Mapping[str, Held]
    ) -> Traced | Failure:
        self.asked.append(tuple(wanted))
        return Traced(values=dict(feeds), held=dict(held), seconds=0.0)


def test_what_was_begun_is_not_run_again_and_nothing_else_is_taken_for_it() -> None:
    array, held = np.ones((2, 3), np.float32), {"a": Held("NCHW", "float32")}
    with ThreadPoolExecutor(1) as pool:
        counting = Counting()
        runner = AheadRunner(counting, pool)
        runner.begin({"a": array}, ["b"], held)
        for feeds, wanted, way in (
            ({"a": array.copy()}, ["b"], held),
            ({"a": array}, ["b", "c"], held),
            ({"a": array, "x": array}, ["b"], held),
            ({"a": array.reshape(3, 2)}, ["b"], held),
            ({"a": array}, ["b"], {"a": Held("NC4HW4", "float32")}),
        ):
            before = len(counting.asked)
            runner.trace(feeds, wanted, way)
            assert len(counting.asked) >= before + 1
        asked = len(counting.asked)
        found = runner.trace({"a": array.reshape(2, 3)}, ["b"], held)
        assert isinstance(found, Traced)
        assert len(counting.asked) == asked
        runner.trace({"a": array}, ["b"], held)
        assert len(counting.asked) == asked + 1


class Server:
    """Stands for a fork server; it fails if two requests are in it at a time."""

    def __init__(self, *, twin: bool = False, **_options: Any) -> None:
        self._busy = threading.Lock()
        self.abandoned = False
        self.twin = Server() if twin else None

    def close(self) -> None:
        pass

    def perform(self, task: str, _arguments: Mapping[str, Any], /, **_rest: Any) -> str:
        assert self._busy.acquire(blocking=False)
        threading.Event().wait(0.005)
        self._busy.release()
        return task

    def abandon(self) -> None:
        self.abandoned = True


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    found: list[Server] = []

    def start(**options: Any) -> Server:
        found.append(Server(**options))
        return found[-1]

    monkeypatch.setattr(lanes, "ForkServer", start)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    return found


def test_requests_of_many_threads_never_share_a_process(tmp_path: Path, started: list[Server]) -> None:
    with Lanes(side_by_side=True) as found, ThreadPoolExecutor(6) as pool:
        tasks = [pool.submit(found.perform, f"{n}", {}, directory=tmp_path, limits=Limits()) for n in range(30)]
        assert [f"{each.result()}" for each in tasks] == [f"{n}" for n in range(30)]
        found.abandon()
    (server,) = started
    assert server.twin is not None
    assert server.abandoned
    assert server.twin.abandoned


def test_one_process_is_started_where_nothing_runs_side_by_side(started: list[Server]) -> None:
    with Lanes(side_by_side=False):
        pass
    (server,) = started
    assert server.twin is None
