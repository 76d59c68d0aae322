"""Packages of Debian and Ubuntu for another architecture: downloaded and unpacked, nothing installed, no root.

APT gets a configuration of its own in a folder: its lists, its state and its cache, and sources that are derived from
those of the system. Signatures are checked as always, with the system's keys.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mnncompat.errors import RunnerError

MIRROR = "MNNCOMPAT_ARM64_MIRROR"
"""Environment variable: the address of a mirror with arm64 packages, where the system's own has none."""
_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ARCHITECTURE)"
_KEYS = (Path("/etc/apt/trusted.gpg.d"), Path("/usr/share/keyrings"))
_KEY_ENDINGS = (".gpg", ".pgp", ".asc")
_ROLLING = frozenset({"stable", "testing", "unstable", "sid"})
_UPDATE_SECONDS, _DOWNLOAD_SECONDS = 300, 600


class Source(NamedTuple):
    """One line of a list of sources: address, suite, component."""

    uri: str
    suite: str
    component: str


def is_there() -> bool:
    """Whether this system has APT and dpkg."""
    return all(shutil.which(each) for each in ("apt-get", "dpkg-deb", "dpkg"))


class PrivateApt:
    """An APT of its own in a folder.

    Args:
        folder: Where; it is made.
        mirror: Address of a mirror that has arm64 packages; None for the system's, or what `MIRROR` says.
    """

    def __init__(self, folder: Path, *, mirror: str | None = None) -> None:
        self._folder = folder
        self._mirror = mirror or os.environ.get(MIRROR) or None
        self.architecture = _said(["dpkg", "--print-architecture"]).strip()
        for each in ("state/lists/partial", "cache/archives/partial", "keys", "preferences.d"):
            (folder / each).mkdir(parents=True, exist_ok=True)
        (folder / "state" / "status").touch()
        for key in (each for place in _KEYS if place.is_dir() for each in sorted(place.iterdir())):
            if key.suffix in _KEY_ENDINGS and (place_of_key := folder / "keys" / key.name) and key.is_file():
                shutil.copyfile(key, place_of_key)

    def update(self) -> None:
        """Fetch the lists of packages of this machine's architecture and of arm64.

        Raises:
            RunnerError: APT cannot, or there are none for arm64.
        """
        found = system_sources()
        if not found:
            raise RunnerError(
                "APT has no sources of this system's own release", hint="`apt-get indextargets` lists what it has"
            )
        problems: list[str] = []
        for arm64 in self._candidates(found):
            lines = [_line(each, self.architecture) for each in found] if self.architecture != "arm64" else []
            lines += [_line(each, "arm64") for each in arm64]
            (self._folder / "sources.list").write_text("\n".join(dict.fromkeys(lines)) + "\n", encoding="utf-8")
            problems = self._run("update", seconds=_UPDATE_SECONDS)
            if self.has("libc6:arm64"):
                return
        unreached = [each for each in problems if _UNREACHED in each]
        if unreached and all(each.startswith(_SOME) or _UNREACHED in each for each in problems):
            raise RunnerError(
                f"APT cannot fetch lists of packages for arm64: {unreached[-1]}",
                hint="is the network reachable? run it again, or name a mirror that has arm64: --mirror URL",
            )
        told = f": {problems[-1]}" if problems else ""
        raise RunnerError(
            f"APT's sources have no packages for arm64{told}",
            hint=f"name a mirror that has them (Ubuntu's are in `ubuntu-ports`): --mirror URL, or {MIRROR}",
        )

    def has(self, package: str) -> bool:
        """Whether a package can be downloaded."""
        found = self._call(["apt-cache", *self._options(), "show", "--no-all-versions", package], seconds=60)
        return found.returncode == 0 and b"Package:" in found.stdout

    def closure(self, packages: Sequence[str]) -> list[str]:
        """Packages for arm64 with all that they depend on, as `NAME=VERSION`.

        Raises:
            RunnerError: One of them does not exist.
        """
        words = ["install", "--simulate", "--no-install-recommends", *(f"{each}:arm64" for each in packages)]
        found = self._call(["apt-get", *self._options(), *words], seconds=60)
        lines = found.stdout.decode(errors="replace").splitlines()
        chosen = [each for line in lines if (each := _INSTALLED.match(line))]
        if found.returncode or not chosen:
            raise _failure("APT does not find the packages of Python for arm64", found)
        return [f"{each['name'].partition(':')[0]}:arm64={each['version']}" for each in chosen]

    def download(self, packages: Sequence[str], place: Path) -> list[Path]:
        """Download packages into an empty folder.

        Raises:
            RunnerError: One of them cannot be had.
        """
        place.mkdir(parents=True, exist_ok=True)
        command = ["apt-get", *self._options(), "download", *packages]
        found = self._call(command, seconds=_DOWNLOAD_SECONDS, folder=place)
        if found.returncode:
            raise _failure("APT cannot download the packages", found)
        return sorted(place.glob("*.deb"))

    def _candidates(self, found: Sequence[Source]) -> Iterator[list[Source]]:
        """Sources that may have arm64: the stated mirror alone, or the system's, then where Ubuntu keeps its ports."""
        if self._mirror is not None:
            yield [Source(self._mirror, each.suite, each.component) for each in found]
            return
        yield list(found)
        for change in (_ports_host, _ports_folder):
            changed = [Source(change(each.uri), each.suite, each.component) for each in found]
            if changed != list(found):
                yield changed

    def _run(self, *words: str, seconds: float) -> list[str]:
        """The lines that APT prints as errors."""
        found = self._call(["apt-get", *self._options(), *words], seconds=seconds)
        lines = found.stderr.decode(errors="replace").splitlines()
        told = [line.strip()[:300] for line in lines if line.startswith(("E:", "W:", "Err:"))]
        return [each for each in told if not _TWICE.match(each)]

    def _options(self) -> list[str]:
        here = self._folder
        settings = {
            "Dir::State": here / "state",
            "Dir::State::status": here / "state" / "status",
            "Dir::Cache": here / "cache",
            "Dir::Etc::sourcelist": here / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::trusted": "/dev/null",
            "Dir::Etc::trustedparts": here / "keys",
            "Dir::Etc::preferencesparts": here / "preferences.d",
            "Dir::Etc::preferences": "/dev/null",
            "APT::Architecture": "arm64",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Debug::NoLocking": "1",
        }
        architectures = [f"APT::Architectures::={each}" for each in dict.fromkeys(("arm64", self.architecture))]
        words = [f"{name}={value}" for name, value in settings.items()] + ["APT::Architectures=", *architectures]
        return ["-q", *(part for word in words for part in ("-o", word))]

    def _call(
        self, command: list[str], *, seconds: float, folder: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        environment = os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        try:
            return subprocess.run(  # noqa: S603 - the system's APT, with options of ours
                command,
                cwd=folder or self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RunnerError(
                f"{command[0]} did not end in {seconds:g} s", hint="is the network reachable? run it again"
            ) from error
        except OSError as error:
            raise RunnerError(
                f"{command[0]} cannot be run: {error.strerror or error}", hint="it is part of Debian and Ubuntu"
            ) from error


_UNREACHED, _SOME = "Failed to fetch", "W: Some index files"
_TWICE = re.compile(r"W: Target .* is configured multiple times")
"""Each source is named for two architectures, and both have the packages for all of them."""
_INSTALLED = re.compile(r"Inst (?P<name>\S+) \((?P<version>\S+) ")


def system_sources() -> list[Source]:
    """The sources of the system's own release, whatever form they are written in; others are left out."""
    release = _release()
    text = _said(["apt-get", "indextargets", "--no-release-info", "--format", _FORMAT, "Created-By: Packages"])
    found = []
    for line in text.splitlines():
        uri, suite, component, _ = (*line.split("|"), "", "", "", "")[:4]
        own = suite.partition("-")[0].partition("/")[0]
        if uri and component and (own == release or own in _ROLLING):
            found.append(Source(uri.rstrip("/"), suite, component))
    return list(dict.fromkeys(found))


def unpack(package: Path, place: Path) -> None:
    """Unpack a package's files into a folder.

    Raises:
        RunnerError: It is damaged.
    """
    command = ["dpkg-deb", "-x", str(package), str(place)]
    found = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    if found.returncode:
        raise _failure(f"{package.name} cannot be unpacked", found)


def _release() -> str:
    """The name of the system's release, `bookworm` or `noble`."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    return told.get("VERSION_CODENAME", "").strip("\"'")


def _line(source: Source, architecture: str) -> str:
    return f"deb [arch={architecture}] {source.uri} {source.suite} {source.component}"


_ARCHIVE = re.compile(r"^(?P<scheme>\w+://)(?:[a-z]{2}\.)?(?:archive|security)\.(?P<rest>[^/]+)/ubuntu$")


def _ports_host(uri: str) -> str:
    """Where Ubuntu keeps the ports of its own archive: a host of the same domain."""
    return _ARCHIVE.sub(r"\g<scheme>ports.\g<rest>/ubuntu-ports", uri)


def _ports_folder(uri: str) -> str:
    """Where mirrors that have both keep the ports: beside the archive."""
    return f"{uri}-ports" if uri.endswith("/ubuntu") else uri


def _said(command: list[str]) -> str:
    found = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    return found.stdout.decode(errors="replace")


def _failure(message: str, found: subprocess.CompletedProcess[bytes]) -> RunnerError:
    lines = (found.stderr or found.stdout).decode(errors="replace").strip().splitlines()
    told = next((line.strip()[:300] for line in lines if line.startswith("E:")), lines[-1][:300] if lines else "")
    return RunnerError(f"{message}: {told}" if told else message, hint="run it again; is the network reachable?")
