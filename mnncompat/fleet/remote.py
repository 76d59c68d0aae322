"""What a worker of a Dask cluster does with some tasks. Imported there; needs nothing of the command line."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from mnncompat.errors import MnncompatError, PoisonedModelError, RunnerError
from mnncompat.fleet.other_release import release_folder
from mnncompat.fleet.outcomes import Answer
from mnncompat.fleet.served import End, Request, Served, Trouble, trouble_of
from mnncompat.fleet.tasks import tool_identity

MOST_LOST = 3
"""Workers that a task by itself may lose: two may be lost for reasons of their own."""
MOST_ATTEMPTS = 2
"""Processes that do a task on a worker: one that ended so many is not given to another one."""


class Payload(NamedTuple):
    """Some tasks for a worker.

    Attributes:
        campaign: A word that no other campaign uses.
        name: Of these tasks in it.
        module: The program that does them (`mnncompat.fleet.served`).
        request: Pickled, so that the scheduler and the worker's own threads need not look into it.
        tool: What has to do them (`tool_identity`).
        release: Of MNN; empty for the one that the worker has.
        device: That has to be set up; empty for none.
    """

    campaign: str
    name: str
    module: str
    request: bytes
    tool: str
    release: str = ""
    device: str = ""


class Reply(NamedTuple):
    """What a worker says about some tasks.

    Attributes:
        answers: By number, of those that are done.
        trouble: What kept it from doing the others, if that is the worker's fault.
        lost: Workers that were lost while they did these tasks; then they were not tried again.
        worker: Its address.
    """

    answers: Mapping[int, Answer]
    trouble: Trouble | None = None
    lost: tuple[str, ...] = ()
    worker: str = ""


_HELD = threading.local()
"""The process of each thread of the worker, by release."""


def describe() -> str:
    """Whether a worker has mnncompat at all, and which one."""
    return tool_identity()


def perform(payload: Payload) -> Reply:
    """Do some tasks.

    Args:
        payload: The tasks.

    Returns:
        Answers, or why there are none.
    """
    from distributed import get_worker

    worker = get_worker()
    request: Request = pickle.loads(payload.request)  # noqa: S301 - who can send it can run anything here: SECURITY.md
    lost = _begin(worker, payload.campaign, payload.name)
    if len(lost) >= (MOST_LOST if len(request.models) == 1 else 1):
        return Reply({}, lost=lost, worker=worker.address)
    if payload.tool != tool_identity():
        hint = "install the same mnncompat there, with the same rules"
        return Reply(
            {}, Trouble(f"it has mnncompat {tool_identity()}, not {payload.tool}", hint), worker=worker.address
        )
    answers: dict[int, Answer] = {}
    try:
        trouble = _answered(payload, request, answers)
    except MnncompatError as error:
        trouble = trouble_of(error)
    told = {number: each._replace(worker=worker.address) for number, each in answers.items()}
    return Reply(told, trouble, worker=worker.address)


def answered(payload: Payload) -> Answer:
    """Do one task on this machine, in a process that is kept for this thread.

    Raises:
        MnncompatError: It cannot be done here, whatever the model is.
    """
    request: Request = pickle.loads(payload.request)  # noqa: S301 - made by this process
    answers: dict[int, Answer] = {}
    trouble = _answered(payload, request, answers)
    if trouble is not None:
        raise RunnerError(trouble.message, hint=trouble.hint)
    return answers[0]


def _begin(worker: Any, campaign: str, name: str) -> tuple[str, ...]:
    """Note with the scheduler that these tasks begin here; the workers on which they began before, and did not end."""
    from distributed.utils import sync

    keys = [campaign, name]
    before: list[str] = sync(worker.loop, worker.scheduler.get_metadata, keys=keys, default=[])
    sync(worker.loop, worker.scheduler.set_metadata, keys=keys, value=[*before, worker.address])
    return tuple(before)


def _answered(payload: Payload, request: Request, answers: dict[int, Answer]) -> Trouble | None:
    """Have the tasks done by the process that is kept for that; a second one, if it ends."""
    if payload.device:
        _set_up(payload.device, payload.release)
    for _ in range(MOST_ATTEMPTS):
        try:
            for each in _served(payload.module, payload.release).ask(_left(request, answers)):
                if isinstance(each, End):
                    return each.trouble
                answers[len(request.models) - len(_left(request, answers).models)] = each[1]
        except EOFError:
            _drop(payload.release)
    name = _left(request, answers).models[0]
    message = f"{name}: the process that worked on it ended, twice"
    answers[len(answers)] = Answer(error=PoisonedModelError(message, hint="report it, with the model"))
    return Trouble("its process ended", "report it") if _left(request, answers).models else None


def _left(request: Request, answers: Mapping[int, Answer]) -> Request:
    """The tasks that are not done; they are done in their order."""
    return request._replace(models=request.models[len(answers) :])


def _served(module: str, release: str) -> Served:
    held: dict[str, Served] = vars(_HELD).setdefault("by_release", {})
    if release not in held:
        held[release] = Served(module, release_folder(release) if release else None)
    return held[release]


def _drop(release: str) -> None:
    held: dict[str, Served] = vars(_HELD).get("by_release", {})
    if release in held:
        held.pop(release).close()


@cache
def _set_up(device: str, release: str) -> None:
    """Set up a device that is emulated, unless it is.

    Raises:
        MnncompatError: That is not possible here.
    """
    from mnncompat.devices.setup import set_up
    from mnncompat.support.releases import installed_version

    if device.partition(":")[0] == "arm64":
        set_up(release or installed_version() or "", say=lambda _step: None)
