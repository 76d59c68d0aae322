"""What a child process leaves in its working directory: the stage that it is in, and its result."""

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
