"""Preloaded by workers of a campaign with faults: a model that ends the worker's process, and a disk that is full.

A model whose name holds `poison` kills the worker that works on it. Every model takes DELAY seconds more. The worker
that is the first to take away the folder named by FULL_DISK, when it begins to work, can write no file of more than a
kilobyte from then on. A worker that is there leaves a file with its number in the folder named by WORKERS: one that is
killed while it starts is not started anew.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from pathlib import Path
from typing import Any

from mnncompat.fleet import remote

_KILOBYTE = 1 << 10
_answered = remote._answered


def _faulty(payload: remote.Payload, request: Any, answers: dict[int, Any]) -> Any:
    if any("poison" in each for each in request.models):
        Path(os.environ["WORKERS"], str(os.getpid())).unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        Path(os.environ.get("FULL_DISK", "")).rmdir()
    except OSError:
        pass
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_KILOBYTE, _KILOBYTE))
    time.sleep(float(os.environ.get("DELAY", "0")) * len(request.models))
    return _answered(payload, request, answers)


def dask_setup(worker: Any) -> None:
    """Called by Dask in each worker.

    Args:
        worker: The worker.
    """
    remote._answered = _faulty
    threading.Thread(target=_announce, args=(worker,), daemon=True).start()


def _announce(worker: Any) -> None:
    while worker.status.name != "running":
        time.sleep(0.05)
    Path(os.environ["WORKERS"], str(os.getpid())).touch()
