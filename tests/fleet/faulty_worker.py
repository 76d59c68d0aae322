"""Preloaded by workers of a campaign with faults: a model that ends the worker's process, and a disk that is full.

A model whose name holds `poison` kills the worker that works on it. The first worker that finds the folder named by
FULL_DISK, and takes it away, can write no file of more than a kilobyte from then on.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
from pathlib import Path
from typing import Any

from mnncompat.fleet import remote

_KILOBYTE = 1 << 10
_answered = remote._answered


def _faulty(payload: remote.Payload, request: Any, answers: dict[int, Any]) -> Any:
    if any("poison" in each for each in pickle.loads(payload.request).models):  # noqa: S301 - of this test
        os.kill(os.getpid(), signal.SIGKILL)
    return _answered(payload, request, answers)


def dask_setup(worker: Any) -> None:
    """Called by Dask in each worker.

    Args:
        worker: The worker.
    """
    remote._answered = _faulty
    assert worker is not None
    try:
        Path(os.environ.get("FULL_DISK", "")).rmdir()
    except OSError:
        return
    resource.setrlimit(resource.RLIMIT_FSIZE, (_KILOBYTE, _KILOBYTE))
