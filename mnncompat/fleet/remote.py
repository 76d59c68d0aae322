"""What a worker of a Dask cluster does with some tasks. Imported there; needs nothing of the command line."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple
from uuid import uuid4

from mnncompat.errors import MnncompatError, PoisonedModelError, RunnerError
from mnncompat.fleet.other_release import release_folder
from mnncompat.fleet.outcomes import Answer, packed, unpacked
from mnncompat.fleet.served import End, Request, Served, Trouble, trouble_of
from mnncompat.fleet.tasks import tool_identity

MOST_ATTEMPTS = 2
"""Processes that do a task on a worker: one that ended so many is not given to another one."""
PROCESS = uuid4().hex
"""A word that no other process says: a worker that was lost may come back under its address."""


class Payload(NamedTuple):
    """Some tasks for a worker.

    Attributes:
        module: The program that does them (`mnncompat.fleet.served`).
        request: Pickled, so that the worker's own threads need not look into it.
        release: Of MNN; empty for the one that the worker has.
        device: That has to be set up; empty for none.
        process: The worker's, as it said it (`describe`).
    """

    module: str
    request: bytes
    release: str = ""
    device: str = ""
    process: str = ""


class Reply(NamedTuple):
    """What a worker says about some tasks.

    Attributes:
        answers: By number, of those that are done, packed.
        trouble: What kept it from doing the others, if that is the worker's fault.
        is_same_process: Whether it is the worker that they were meant for; else nothing is done.
    """

    answers: Mapping[int, bytes]
    trouble: Trouble | None = None
    is_same_process: bool = True


_HELD = threading.local()
"""The process of each thread of the worker, by release."""


def describe() -> tuple[str, str]:
    """Which mnncompat a worker has (`tool_identity`), and its process."""
    return tool_identity(), PROCESS


def perform(data: bytes) -> bytes:
    """Do some tasks.

    Args:
        data: A `Payload`, pickled.

    Returns:
        A `Reply`, pickled: Dask need not look into it.
    """
    payload: Payload = pickle.loads(data)  # noqa: S301 - who can send it can run anything here: SECURITY.md
    return pickle.dumps(_performed(payload), protocol=pickle.HIGHEST_PROTOCOL)


def _performed(payload: Payload) -> Reply:
    if payload.process != PROCESS:
        return Reply({}, is_same_process=False)
    request: Request = pickle.loads(payload.request)  # noqa: S301 - as above
    answers: dict[int, bytes] = {}
    try:
        trouble = _answered(payload, request, answers)
    except MnncompatError as error:
        trouble = trouble_of(error)
    return Reply(answers, trouble)


def answered(payload: Payload) -> Answer:
    """Do one task on this machine, in a process that is kept for this thread.

    Raises:
        MnncompatError: It cannot be done here, whatever the model is.
    """
    request: Request = pickle.loads(payload.request)  # noqa: S301 - made by this process
    answers: dict[int, bytes] = {}
    trouble = _answered(payload, request, answers)
    if trouble is not None:
        raise RunnerError(trouble.message, hint=trouble.hint)
    return unpacked(answers[0])


def _answered(payload: Payload, request: Request, answers: dict[int, bytes]) -> Trouble | None:
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
    answers[len(answers)] = packed(Answer(error=PoisonedModelError(message, hint="report it, with the model")))
    return Trouble("its process ended", "report it") if _left(request, answers).models else None


def _left(request: Request, answers: Mapping[int, bytes]) -> Request:
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
