"""`ssh:HOST`: the worker goes over the wire, nothing is installed there.

With a command `ssh` that does what sshd does: it hands its words, joined by spaces, to a shell.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mnncompat.cli import main
from mnncompat.devices.device import Device, Precision
from mnncompat.devices.names import device_named
from mnncompat.devices.self_test import self_test

SSH = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
[ "$2" = me@board ] || { echo "Could not resolve hostname $2" >&2; exit 255; }
shift 2
cd / && exec env -i PATH="$PATH" PYTHONPATH=%s sh -c "$*"
"""


@pytest.fixture
def board(bare_python: tuple[list[str], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine behind ssh; the path of its Python has a space."""
    command, environment = bare_python
    program = tmp_path / "ssh"
    program.write_text(SSH % environment["PYTHONPATH"])
    program.chmod(0o755)
    python = tmp_path / "my python"
    python.write_text(f'#!/bin/sh\nexec {command[0]} -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return str(python)


def test_the_smallest_model_is_right_there(board: str) -> None:
    name = device_named("phone", {"phone": {"ssh": "me@board", "python": board}})
    found = self_test(name)
    assert not found.problem
    assert not found.half
    assert found.environment.mnn
    with Device(name) as device:
        assert device.environment.machine == found.environment.machine
        assert device.performer(Precision.LOW)


def test_what_ssh_says_is_shown(board: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert board
    assert main(["device", "test", "ssh:elsewhere"]) == 2
    assert "ssh:elsewhere does not start the worker: Could not resolve hostname elsewhere" in capsys.readouterr().err
