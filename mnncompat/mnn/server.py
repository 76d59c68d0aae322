"""The fork server: imports MNN once, then forks a child for every request; `mnncompat.mnn.fork_client` starts it.

Runs in any Python environment that has numpy and MNN, also one without mnncompat's own dependencies: everything that it
imports needs the standard library only, until `preload`. The protocol is one JSON object on each line: first a `task`
like all that will follow, answered with the environment; then requests (`directory`, `task`, `arguments`, `limits`),
each answered with how its child ended (the fields of `Exit`). The child is confined, has the directory to itself, and
writes the same files as a spawned worker.

A server may be asked for a twin: a fork of itself that serves another client, which costs milliseconds.

Only the forking thread survives a fork, so nothing here may start one: `preload` imports, and runs no model.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NoReturn

from mnncompat.mnn import worker
from mnncompat.mnn.confinement import bound, end_with, isolate
from mnncompat.mnn.options import Limits
from mnncompat.mnn.process import Child, Exit
from mnncompat.mnn.records import enter, publish
from mnncompat.results.failures import Stage


def main() -> None:
    """Serve until the requests end."""
    requests, answers = private_pipes()
    isolate()
    end_with(os.getppid())
    first = json.loads(requests.readline())
    try:
        hello = told_environment(first["task"])
    except ImportError as error:
        hello = {"unavailable": str(error)}
    gc.collect()
    gc.freeze()  # imported objects are not collected in the children, so that their pages stay shared
    if "twin" in first:
        requests, answers = _with_twin(requests, answers, first["twin"])
    _say(answers, hello | {"pid": os.getpid(), "parent": os.getppid()})
    for line in requests:
        _say(answers, asdict(performed(json.loads(line))))


def _with_twin(requests: IO[bytes], answers: IO[bytes], descriptors: Sequence[int]) -> tuple[IO[bytes], IO[bytes]]:
    """Fork a twin, which ends together with this process: it serves what comes and goes through these descriptors.

    Returns:
        In each of the two, what it serves.
    """
    server = os.getpid()
    if os.fork():
        for each in descriptors:
            os.close(each)
        return requests, answers
    end_with(server)
    for stream in (requests, answers):
        stream.close()
    return os.fdopen(descriptors[0], "rb"), os.fdopen(descriptors[1], "wb")


def private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Requests and answers on descriptors of their own: MNN prints on 1 and 2, and reads nothing from 0."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    return requests, answers


def _say(answers: IO[bytes], what: dict[str, Any]) -> None:
    answers.write(json.dumps(what).encode() + b"\n")
    answers.flush()


def told_environment(task: str) -> dict[str, Any]:
    """Import what a task needs, and say what that is: the fields of `ServedEnvironment`.

    Raises:
        ImportError: MNN or numpy is missing or broken.
    """
    worker.preload(task)
    return {
        "mnn": importlib.metadata.version("MNN"),
        "numpy": importlib.metadata.version("numpy"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": _threads(),
    }


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are enough
    except OSError:
        return 0


def performed(request: dict[str, Any]) -> Exit:
    """Carry out a request in a fork, and say how that ended."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _child(request, writing, server)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        with Child(pid, reading) as child:
            return child.outcome(Limits(**request["limits"]))
    finally:
        os.close(reading)


def _child(request: dict[str, Any], writing: int, server: int) -> NoReturn:
    """Carry out the request, and end as a C program does.

    Python's finalization takes 10 ms and more, most of it for modules that every child shares. MNN's code at exit is in
    the destructors of its objects, which garbage collection runs, and in static ones, which `exit` runs.
    """
    os.setsid()
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.closerange(3, 64)
    directory = Path(request["directory"])
    os.chdir(directory)
    os.environ["HOME"] = os.environ["TMPDIR"] = str(directory)
    bound(request["limits"], parent=server)
    enter(Stage.START)
    result = worker.perform_confined(request["task"], request["arguments"])
    enter(Stage.EXIT)
    publish(result)
    gc.collect()
    sys.stdout.flush()
    ctypes.CDLL(None).exit(0)
    raise AssertionError
