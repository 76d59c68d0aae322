"""Setting up the emulation: sources, places, and what is missing. `tests/devices/test_arm64.py` does it for real."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from mnncompat.cli import main
from mnncompat.devices import apt, container, setup
from mnncompat.devices.names import Profile
from mnncompat.devices.places import CONTAINER, Emulation, emulation, record
from mnncompat.errors import OutputError, RunnerError, UsageError

INDEXES = """http://mirror.example/ubuntu/|noble|main|amd64
http://mirror.example/ubuntu/|noble-updates|universe|amd64
http://mirror.example/ubuntu/|noble-updates|universe|all
https://other.example/apt/|nodistro|main|amd64
https://other.example/apt/|cloud-noble|main|amd64
"""


def test_sources_of_the_system_alone_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "_said", lambda _command: INDEXES)
    monkeypatch.setattr(apt, "_release", lambda: "noble")
    found = apt.system_sources()
    assert found == [
        apt.Source("http://mirror.example/ubuntu", "noble", "main"),
        apt.Source("http://mirror.example/ubuntu", "noble-updates", "universe"),
    ]


@pytest.mark.parametrize(
    ("uri", "host", "folder"),
    [
        ("http://archive.example.com/ubuntu", "http://ports.example.com/ubuntu-ports", True),
        ("http://de.archive.example.com/ubuntu", "http://ports.example.com/ubuntu-ports", True),
        ("http://security.example.com/ubuntu", "http://ports.example.com/ubuntu-ports", True),
        ("http://mirror.example.com/ubuntu", "http://mirror.example.com/ubuntu", True),
        ("http://deb.example.org/debian", "http://deb.example.org/debian", False),
    ],
)
def test_ports_of_ubuntu_are_looked_for_beside_the_archive(uri: str, host: str, folder: bool) -> None:  # noqa: FBT001
    assert apt._ports_host(uri) == host
    assert apt._ports_folder(uri) == (f"{uri}-ports" if folder else uri)


def test_a_mirror_that_is_stated_is_the_only_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "_said", lambda _command: "amd64\n")
    monkeypatch.setenv(apt.MIRROR, "http://mine.example/arm")
    private = apt.PrivateApt(tmp_path / "apt")
    (candidate,) = private._candidates([apt.Source("http://mirror.example/ubuntu", "noble", "main")])
    assert candidate == [apt.Source("http://mine.example/arm", "noble", "main")]


UNREACHED = b"""W: Failed to fetch http://mirror.example/debian/InRelease  Temporary failure resolving 'mirror.example'
W: Some index files failed to download. They have been ignored, or old ones used instead.
W: Target Packages (main/binary-all/Packages) is configured multiple times in sources.list:1 and sources.list:2
"""


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (UNREACHED, "cannot fetch lists of packages for arm64: W: Failed to fetch http://mirror.example/debian"),
        (UNREACHED[UNREACHED.index(b"W: Target") :], "have no packages for arm64$"),
        (b"E: The repository is not signed.\n" + UNREACHED, "have no packages for arm64: "),
    ],
)
def test_a_network_that_is_not_there_is_told_from_a_mirror_without_arm64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: bytes, said: str
) -> None:
    monkeypatch.setattr(apt, "_said", lambda _command: "amd64\n")
    monkeypatch.setattr(apt, "system_sources", lambda: [apt.Source("http://mirror.example/debian", "bookworm", "main")])
    private = apt.PrivateApt(tmp_path / "apt")

    def called(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, "apt-cache" in command, stdout=b"", stderr=printed)

    monkeypatch.setattr(private, "_call", called)
    with pytest.raises(RunnerError, match=said):
        private.update()


@pytest.mark.parametrize("release", ["../x", "", "latest", "3.6.1 "])
def test_what_is_no_release_is_not_looked_for(release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNNCOMPAT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match="is no release of MNN"):
        setup.set_up(release, say=print)
    assert not (tmp_path / "cache").exists()


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNNCOMPAT_CACHE", str(tmp_path))
    monkeypatch.setattr(apt, "is_there", lambda: True)
    monkeypatch.setattr(setup, "_SPACE", 1 << 60)
    with pytest.raises(OutputError, match="MB left"):
        setup.set_up("3.6.1", say=print)


def test_a_removal_waits_for_a_setup_and_the_next_one_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNNCOMPAT_CACHE", str(tmp_path))
    folder = tmp_path / "devices" / "arm64"
    said: list[str] = []
    with setup._locked(folder, said.append):
        waiting = threading.Thread(target=setup.remove, kwargs={"say": said.append})
        waiting.start()
        while not said:
            time.sleep(0.01)
        assert folder.is_dir()
    waiting.join()
    assert said == [f"another process is working in {folder}: waiting for it"]
    assert not folder.exists()
    with setup._locked(folder, said.append):
        assert folder.is_dir()


def test_without_apt_and_containers_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("MNNCOMPAT_CACHE", str(tmp_path / "cache"))
    assert main(["device", "setup", "arm64"]) == 2
    said = capsys.readouterr().err
    assert "neither apt-get nor a container engine" in said
    assert "ssh:HOST" in said


def test_a_device_that_is_not_set_up_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MNNCOMPAT_CACHE", str(tmp_path / "cache"))
    assert main(["device", "test", "arm64:a53"]) == 2
    assert "mnncompat device setup arm64 --mnn " in capsys.readouterr().err
    assert main(["device", "remove", "arm64"]) == 2
    assert main(["device", "setup", "ssh:board"]) == 2
    assert not (tmp_path / "cache").exists()


def test_a_release_is_removed_and_the_rest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MNNCOMPAT_CACHE", str(tmp_path))
    folder = tmp_path / "devices" / "arm64"
    for release in ("3.6.1", "3.10.0"):
        (folder / "site" / release).mkdir(parents=True)
        (folder / "site" / release / "complete").touch()
    record(
        Emulation(folder=folder, way="packages", python="3.11", emulator="/x", version="7", packages=("libc6 2.36-9",))
    )
    found = emulation()
    assert found is not None
    assert list(found.releases) == ["3.6.1", "3.10.0"]
    assert setup._glibc(found) == 36
    assert main(["device", "remove", "arm64", "--mnn", "3.6.1"]) == 0
    assert list(found.releases) == ["3.10.0"]
    assert main(["device", "remove", "arm64", "--mnn", "3.6.1"]) == 2
    assert "there is: 3.10.0" in capsys.readouterr().err
    assert main(["device", "remove", "arm64"]) == 0
    assert not folder.exists()


DOCKER = """#!/bin/sh
case "$1" in
  info) exit %d;;
  --version) echo "Docker version 27.0";;
  run) echo "aarch64 3.12.4";;
esac
"""


def test_a_container_engine_is_taken_where_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    program = tmp_path / "docker"
    program.write_text(DOCKER % 1)
    program.chmod(0o755)
    (tmp_path / "podman").symlink_to("docker")
    assert container.engine() is None
    program.write_text(DOCKER % 0)
    assert container.engine() == str(program)
    found = container.made(tmp_path, str(program), lambda _: None)
    assert (found.way, found.python, found.version) == (CONTAINER, "3.12", "Docker version 27.0")
    words = container.command(found, "3.6.1", Profile.A53)
    assert words[:3] == [str(program), "run", "--rm"]
    assert "QEMU_CPU=cortex-a53" in words
    assert f"{tmp_path}/site/3.6.1:/site:ro" in words
    assert words[words.index("--network") + 1] == "none"


@pytest.mark.parametrize(
    ("python", "libc", "glibc"),
    [
        ("3.11", "2.36-9+deb12u13", 36),  # Debian 12
        ("3.13", "2.41-12", 41),  # Debian 13
        ("3.10", "2.35-0ubuntu3.10", 35),  # Ubuntu 22.04
        ("3.12", "2.39-0ubuntu8.6", 39),  # Ubuntu 24.04
    ],
)
def test_python_and_the_library_of_c_are_those_of_the_system(
    python: str, libc: str, glibc: int, tmp_path: Path
) -> None:
    folder = tmp_path / "usr" / "bin"
    folder.mkdir(parents=True)
    (folder / f"python{python}").touch()
    (folder / "python3").symlink_to(f"python{python}")
    setup._merge(tmp_path)
    assert (tmp_path / "bin" / "python3").exists()
    assert setup._python(tmp_path) == python
    packages = ("libc6-dev 1", f"libc6 {libc}")
    found = Emulation(folder=tmp_path, way="packages", emulator="qemu", version="9", python=python, packages=packages)
    assert setup._glibc(found) == glibc
    (folder / f"python{python}").unlink()
    with pytest.raises(RunnerError, match="have no Python"):
        setup._python(tmp_path)
