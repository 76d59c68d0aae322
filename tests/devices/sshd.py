"""`ssh:HOST` against a real sshd on loopback: `make sshd`

It has a key, a configuration and a port of its own in a temporary folder, and ends with the script. Needs OpenSSH's
server and client (on Debian and Ubuntu: openssh-server, openssh-client). The tests of `test_ssh.py` need neither.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from onnx import TensorProto, helper, save

from mnncompat.cli import main as mnncompat

SERVER = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/sshd.pid
PasswordAuthentication no
StrictModes no
UsePAM no
"""
CLIENT = """Host board
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/user
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  StrictHostKeyChecking accept-new
"""
PROJECT = '[tool.mnncompat.devices]\nphone = {{ ssh = "board", python = "{python}" }}\n'
WORDS = (
    ("device", "test", "phone"),
    ("convert", "sum.onnx", "--device", "phone", "--precision", "low", "--threads", "2", "--no-power"),
    ("verify", "sum.onnx", "sum.mnn", "--device", "phone", "--no-power"),
    ("diagnose", "sum.onnx", "sum.mnn", "--device", "phone"),
    ("probe", "--op", "Abs", "--corpus", "node", "--device", "phone"),
)


def main() -> int:
    """Run the commands on the machine behind ssh; the exit status is 1 if one does not end well."""
    with tempfile.TemporaryDirectory() as name, server(Path(name)):
        folder = Path(name)
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
        os.chdir(folder)
        (folder / "pyproject.toml").write_text(PROJECT.format(python=sys.executable))
        values = [helper.make_tensor_value_info(each, TensorProto.FLOAT, [1, 8]) for each in ("x", "b", "y")]
        graph = helper.make_graph([helper.make_node("Add", ["x", "b"], ["y"])], "sum", values[:2], values[2:])
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), "sum.onnx")
        found = {" ".join(words): mnncompat(list(words)) for words in WORDS}
        lost = mnncompat(["device", "test", "ssh:board:nowhere"])
    lines = [f"{status}  mnncompat {words}\n" for words, status in found.items()]
    sys.stdout.writelines([*lines, f"{lost}  a machine that is not there\n"])
    return int(any(found.values()) or lost != 2)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[None]:
    """Run sshd, and put an `ssh` that knows it into the folder."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    client = shutil.which("ssh")
    if program is None or client is None:
        sys.exit("sshd or ssh is missing: install openssh-server and openssh-client")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"port": port, "folder": folder, "user": getpass.getuser()}
    for each in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / each], check=True)
    (folder / "sshd_config").write_text(SERVER.format(**told))
    (folder / "ssh_config").write_text(CLIENT.format(**told))
    (folder / "ssh").write_text(f'#!/bin/sh\nexec {client} -F {folder}/ssh_config "$@"\n')
    (folder / "ssh").chmod(0o755)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it confines itself
    process = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL)
    try:
        _await(port)
        yield
    finally:
        process.terminate()
        process.wait()


def _await(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    sys.exit("sshd does not listen")


if __name__ == "__main__":
    sys.exit(main())
