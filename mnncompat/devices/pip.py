"""The pip of this environment, run as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mnncompat.errors import RunnerError


def run_pip(arguments: Sequence[str], *, seconds: int, failed: str, hint: str) -> None:
    """Run `pip --quiet --no-deps --only-binary=:all:`.

    Args:
        arguments: The command of pip, such as ``install``, and its own options.
        seconds: How long it may take.
        failed: What could not be done, for the error.
        hint: What helps then.

    Raises:
        RunnerError: It failed, did not end, or there is no pip.
    """
    name, *options = arguments
    command = [sys.executable, "-m", "pip", name, "--quiet", "--no-deps", "--only-binary=:all:", *options]
    try:
        done = subprocess.run(  # noqa: S603 - pip of this environment
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RunnerError(f"pip did not end in {seconds} s", hint="is the network reachable? run it again") from error
    if not done.returncode:
        return
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    if any("No module named pip" in line for line in lines):
        raise RunnerError(
            "pip is not installed in the environment of mnncompat",
            hint=f"install it: {Path(sys.executable).name} -m ensurepip, or `uv pip install pip`",
        )
    told = next((line.strip()[:300] for line in lines if line.startswith("ERROR")), lines[-1] if lines else "")
    raise RunnerError(f"{failed}: {told}", hint=hint)
