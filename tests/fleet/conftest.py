"""A cluster on this machine, and the tutorial's models on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "report"))  # results made by hand

PROGRAM = Path(__file__).with_name("local_cluster.py")


@contextmanager
def running_cluster(*words: str) -> Iterator[str]:
    """The address of a cluster that is there meanwhile."""
    command = [sys.executable, str(PROGRAM), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Address of a scheduler with two workers of one thread."""
    with running_cluster("--workers", "2") as address:
        yield address


@pytest.fixture
def own_cluster() -> Iterator[str]:
    """The same for one test, which may spoil it."""
    with running_cluster("--workers", "2") as address:
        yield address
