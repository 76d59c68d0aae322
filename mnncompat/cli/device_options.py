"""`--device`, `--precision` and `--threads`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from mnncompat.cli.declared import option
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.converting.gate_options import GateOptions
    from mnncompat.devices.device import Where
    from mnncompat.devices.names import DeviceName

DeviceOption = Annotated[
    str | None,
    option(
        "--device",
        metavar="NAME",
        help="Run the file there as well: arm64[:a53|:a76|:max], ssh:HOST, or one of [tool.mnncompat.devices]; "
        "`mnncompat device list` lists them.",
    ),
]
JudgeOption = Annotated[
    str | None,
    option(
        "--device",
        metavar="NAME",
        help="With --precision low: keep a rewrite for half precision only where this device computes the outputs "
        "better with it: arm64[:a53|:a76|:max], ssh:HOST, or one of [tool.mnncompat.devices].",
    ),
]
PrecisionOption = Annotated[
    str | None,
    option(
        "--precision",
        metavar="NAME",
        help="What MNN computes in where the file is deployed: high, normal or low (float16 on most phones). "
        "[default: high]",
    ),
]
ThreadsOption = Annotated[
    int, option("--threads", min=1, metavar="N", help="Threads of MNN on the device.", show_default=True)
]
ArchOption = Annotated[
    str | None,
    option(
        "--arch",
        metavar="NAME",
        help="Architecture that the file is deployed on: x86_64, aarch64 or armv7. [default: all at once]",
    ),
]
PRECISIONS = ("high", "normal", "low")
LOW = PRECISIONS[-1]


class OnDevice(NamedTuple):
    """A device to measure on."""

    device: DeviceOption = None
    precision: PrecisionOption = None
    threads: ThreadsOption = 1

    def where(self) -> Where | None:
        """Where, None for this machine.

        Raises:
            UsageError: There is no such device or precision, or a number of threads is given without a device.
        """
        return _where(self.device, self.precision, self.threads)

    def deployment(self) -> dict[str, Any]:
        """`arch` and `precision` of the device, as a target takes them; without a device, of any architecture.

        Raises:
            UsageError: There is no such device or precision.
        """
        where = self.where()
        return {"arch": None if where is None else where.device.arch, "precision": parse_precision(self.precision)}

    @property
    def untried(self) -> str:
        """What is said where a file is deployed in float16 and no device runs it; else empty."""
        return _untried(self.device, self.precision)


class DeployedDevice(NamedTuple):
    """A device to run a file on, and what is rewritten for it."""

    device: DeviceOption = None
    precision: PrecisionOption = None
    threads: ThreadsOption = 1
    arch: ArchOption = None

    def applied(self, gate: GateOptions) -> GateOptions:
        """A conversion for the place where the file is deployed; run there too, if a device is named.

        Raises:
            UsageError: There is no such device or precision, or a number of threads is given without a device.
        """
        from dataclasses import replace

        where = _where(self.device, self.precision, self.threads)
        implied = None if where is None else where.device.arch
        precision = parse_precision(self.precision)
        untried = _untried(self.device, self.precision)
        return replace(gate, where=where, arch=self.arch or implied, precision=precision, untried=untried)


HERE, UNDEPLOYED = OnDevice(), DeployedDevice()
"""This machine."""


def _where(device: str | None, precision: str | None, threads: int) -> Where | None:
    if device is None and threads > 1:
        raise UsageError("--threads is about a device", hint="name it: --device arm64")
    return parse_where(device, precision, threads)


def _untried(device: str | None, precision: str | None) -> str:
    if device is not None or parse_precision(precision) != LOW:
        return ""
    return "float16 was not run: precision low makes no difference on this machine; --device arm64 runs it"


class FixedFor(NamedTuple):
    """Where a fixed model is deployed, and a device that judges what is rewritten for it."""

    device: JudgeOption = None
    precision: PrecisionOption = None
    threads: ThreadsOption = 1
    arch: ArchOption = None

    def told(self) -> dict[str, Any]:
        """`arch` and `precision`, as a target takes them.

        Raises:
            UsageError: There is no such device or precision.
        """
        where = self.where()
        implied = None if where is None else where.device.arch
        return {"arch": self.arch or implied, "precision": parse_precision(self.precision)}

    def where(self) -> Where | None:
        """The device that judges, None for none.

        Raises:
            UsageError: There is no such device or precision, or the precision is not the one that it judges.
        """
        where = _where(self.device, self.precision, self.threads)
        if self.device is not None and parse_precision(self.precision) != LOW:
            raise UsageError(
                "a device judges rewrites for half precision, and none was asked for",
                hint="add --precision low, or leave --device out: `mnncompat verify --device` compares the result",
            )
        return where


class DeploymentOptions(NamedTuple):
    """Where a file is deployed."""

    arch: ArchOption = None
    precision: PrecisionOption = None

    def told(self) -> dict[str, Any]:
        """`arch` and `precision`, as a target takes them.

        Raises:
            UsageError: There is no such precision.
        """
        return {"arch": self.arch, "precision": parse_precision(self.precision)}


ANYWHERE, FOR_ANY = DeploymentOptions(), FixedFor()
"""As it is by default."""


def parse_precision(text: str | None) -> str:
    """The precision, `high` if none is given.

    Raises:
        UsageError: There is no such precision.
    """
    if text is not None and text not in PRECISIONS:
        raise UsageError(f"unknown precision: {text}", hint=f"there are: {', '.join(PRECISIONS)}")
    return text or PRECISIONS[0]


def declared_devices() -> dict[str, Any]:
    """What the project declares in `[tool.mnncompat.devices]`.

    Raises:
        UsageError: It is no table.
    """
    from mnncompat.cli.config import configured

    found = configured("devices")
    if found is not None and not isinstance(found, dict):
        raise UsageError("[tool.mnncompat] devices is not a table", hint="write [tool.mnncompat.devices]")
    return dict(found or {})


def parse_device(text: str) -> DeviceName:
    """The device of that name; a line on stderr where a project says which machine that is.

    Raises:
        UsageError: There is none.
    """
    from mnncompat.cli.console import note
    from mnncompat.devices.names import device_named

    found = device_named(text, declared_devices())
    if found.declared and found.host:
        note(f"{found.declared} is ssh:{found.host}, as pyproject.toml says")
    return found


def parse_where(device: str | None, precision: str | None, threads: int) -> Where | None:
    """Where a file is to be run besides this machine; None if nowhere.

    Raises:
        UsageError: There is no such device or precision.
    """
    chosen = parse_precision(precision)
    if device is None:
        return None
    from mnncompat.devices.device import Precision, Where
    from mnncompat.devices.names import HOST

    named = parse_device(device)
    return None if named.kind == HOST else Where(device=named, precision=Precision(chosen), threads=threads)
