"""What a child process tells: the stage that it is in, its result, and how much memory it has."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnncompat.results.failures import Stage


def enter(stage: Stage) -> None:
    """Record the stage, in case the process crashes in it: the last line of the file counts.

    The file is appended to, because ext4 writes a file that is truncated first to disk at once, and a child records
    four stages.
    """
    descriptor = os.open("stage", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.write(descriptor, f"{stage.value}\n".encode())
    os.close(descriptor)


def publish(result: dict[str, Any]) -> None:
    """Write the result in one step, where the parent expects it."""
    Path("result.json.part").write_text(json.dumps(result), encoding="utf-8")
    Path("result.json.part").replace("result.json")


def resident(field: str) -> int | None:
    """Memory of this process that is in use, in bytes; None where the system does not say.

    Args:
        field: `VmRSS`, now, or `VmHWM`, at most so far (proc(5)).
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:")), None)


def grown_since(before: int | None) -> int | None:
    """By how many bytes this process was larger at most than it was before; None where the system does not say.

    Args:
        before: What `resident` told before.
    """
    most = resident("VmHWM")
    return None if before is None or most is None else max(most - before, 0)
