"""Names of devices: `host`, `arm64[:a53|:a76|:max]`, `ssh:HOST`, and those that a project declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mnncompat.errors import UsageError

HOST = "host"
ARM64 = "arm64"
SSH = "ssh"
DEFAULT_PROFILE = "a76"


class Profile(StrEnum):
    """A processor that is emulated: which instruction sets MNN finds."""

    A53 = "a53"
    """Cortex-A53: no float16, so that `low` computes in float32."""
    A76 = "a76"
    """Cortex-A76: float16 and dot products."""
    MAX = "max"
    """What the emulator knows beyond that: products of int8 matrices (i8mm)."""


CPUS = {Profile.A53: "cortex-a53", Profile.A76: "cortex-a76", Profile.MAX: "max,sve=off,sme=off"}
"""What the emulator calls the profiles."""
_HOSTNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:\[\]%-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceName:
    """A device, by name.

    Attributes:
        kind: `host`, `arm64` or `ssh`.
        profile: Of an emulated processor.
        host: What `ssh` connects to.
        python: The interpreter there.
        declared: The name under which a project declares it; empty if it is named directly.
    """

    kind: str
    profile: Profile | None = None
    host: str = ""
    python: str = "python3"
    declared: str = ""

    def __str__(self) -> str:
        if self.declared:
            return self.declared
        if self.kind == ARM64:
            return f"{ARM64}:{self.profile}"
        return f"{SSH}:{self.host}" if self.kind == SSH else HOST

    @property
    def arch(self) -> str | None:
        """Its architecture; None if only the device knows."""
        return "aarch64" if self.kind == ARM64 else None


def device_named(text: str, declared: Mapping[str, Any] | None = None) -> DeviceName:
    """Read the name of a device.

    Args:
        text: What the user wrote.
        declared: `[tool.mnncompat.devices]` of the project: name -> `{ssh = "HOST", python = "..."}`, or the name of a
            device as text.

    Raises:
        UsageError: There is no such device, or it is declared in another form.
    """
    kind, colon, rest = text.partition(":")
    if text == HOST:
        return DeviceName(kind=HOST)
    if kind == ARM64:
        return DeviceName(kind=ARM64, profile=_profile(rest if colon else DEFAULT_PROFILE))
    if kind == SSH and colon:
        return DeviceName(kind=SSH, host=_hostname(rest))
    if declared is not None and text in declared:
        return _declared(text, declared[text])
    names = ", ".join(declared or ())
    known = f"host, arm64, arm64:a53, arm64:a76, arm64:max, ssh:HOST{f', {names}' if names else ''}"
    raise UsageError(f"there is no device {text!r}", hint=f"there are: {known}")


def _declared(name: str, value: Any) -> DeviceName:
    if isinstance(value, str):
        found = device_named(value)
        return DeviceName(kind=found.kind, profile=found.profile, host=found.host, declared=name)
    fits = isinstance(value, dict) and isinstance(value.get(SSH), str) and value.keys() <= {SSH, "python"}
    python = value.get("python", "python3") if fits else None
    if not isinstance(python, str) or not python or python.startswith("-"):
        raise UsageError(
            f"[tool.mnncompat.devices] does not say what {name} is",
            hint=f'write {name} = "arm64:a76", or {name} = {{ ssh = "user@board", python = "/path/of/python3" }}',
        )
    return DeviceName(kind=SSH, host=_hostname(value[SSH]), python=python, declared=name)


def _profile(text: str) -> Profile:
    try:
        return Profile(text)
    except ValueError:
        known = ", ".join(f"arm64:{each}" for each in Profile)
        raise UsageError(f"there is no processor profile {text!r}", hint=f"there are: {known}") from None


def _hostname(text: str) -> str:
    """A name that ssh takes for a host, never for an option."""
    if not _HOSTNAME.fullmatch(text):
        raise UsageError(f"{text!r} is no name of a host", hint="write ssh:HOST or ssh:USER@HOST")
    return text
