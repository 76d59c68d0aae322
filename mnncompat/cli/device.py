"""`mnncompat device`: set up, list, test and remove what a converted file can be run on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnncompat.cli import Ended
from mnncompat.cli.bounded import bounded
from mnncompat.cli.console import emit, note
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.devices.places import Emulation
    from mnncompat.devices.self_test import SelfTest

_NAME = "arm64"
device = typer.Typer(
    help="Devices to run converted files on: emulated arm64, or a machine behind ssh.", no_args_is_help=True
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="arm64, arm64:a53, arm64:a76, arm64:max, ssh:HOST, host.")]
_Emulated = Annotated[str, typer.Argument(metavar="NAME", help="arm64.")]
_Release = Annotated[
    str | None,
    typer.Option("--mnn", metavar="VERSION", help="Release of MNN there. [default: the one that is installed here]"),
]
_Mirror = Annotated[
    str | None,
    typer.Option(
        "--mirror", metavar="URL", help="A Debian or Ubuntu mirror that has arm64. [default: as APT's sources say]"
    ),
]


@device.command("setup")
@bounded
def setup(name: _Emulated = _NAME, *, mnn: _Release = None, mirror: _Mirror = None) -> None:
    """Set up the emulation of arm64 in the user's cache, and test it.

    Nothing of the system is changed, and no root is needed: packages of the system, and wheels of MNN and numpy, are
    downloaded and unpacked there.
    """
    from mnncompat.devices import setup as work
    from mnncompat.devices.device import installed_release
    from mnncompat.devices.names import device_named
    from mnncompat.devices.self_test import self_test

    _require_emulated(name)
    release = mnn or installed_release()
    found = work.set_up(release, mirror=mirror, say=note)
    note("self-test")
    work.compile_there(found, release)
    _told(self_test(device_named(_NAME), release=release))
    emit(f"arm64 is set up in {found.folder}: MNN {', '.join(found.releases)}, Python {found.python}")


@device.command("list")
@bounded
def list_devices() -> None:
    """List the devices: what is set up, and what the project declares."""
    from mnncompat.cli.device_options import declared_devices
    from mnncompat.devices.names import device_named
    from mnncompat.devices.places import emulation

    found, declared = emulation(), declared_devices()
    lines = [("host", "this machine"), ("arm64", _state(found)), ("ssh:HOST", "any machine with Python, numpy and MNN")]
    for name in declared:
        each = device_named(name, declared)
        told = f"ssh:{each.host}, {each.python}" if each.host else f"{each.kind}:{each.profile}"
        lines.append((name, f"{told} (pyproject.toml)"))
    width = max(len(name) for name, _ in lines)
    emit("\n".join(f"{name:{width}}  {told}" for name, told in lines))


@device.command("test")
@bounded
def run_test(name: _Name = _NAME, *, mnn: _Release = None) -> None:
    """Run the smallest model on a device in every precision. Exit status 1 if it is not right."""
    from mnncompat.cli.device_options import parse_device
    from mnncompat.devices.self_test import self_test

    _told(self_test(parse_device(name), release=mnn))


@device.command("remove")
@bounded
def remove(name: _Emulated = _NAME, *, mnn: _Release = None) -> None:
    """Remove the emulation of arm64, or with --mnn one release from it."""
    from mnncompat.devices import setup as work

    _require_emulated(name)
    emit(f"removed {work.remove(mnn, say=note)}")


def _require_emulated(name: str) -> None:
    if name != _NAME:
        raise UsageError(f"{name!r} is not set up or removed", hint="arm64 is, with all its profiles")


def _state(found: Emulation | None) -> str:
    if found is None:
        return "not set up: mnncompat device setup arm64"
    how = f"{found.emulator} {found.version}" if found.image else f"QEMU {found.version}"
    releases = ", ".join(found.releases) or "no release of MNN"
    return f"profiles a53, a76, max; MNN {releases}; Python {found.python}, {how}, in {found.folder}"


def _told(found: SelfTest) -> None:
    where: Any = found.environment
    half = f"float16 with --precision {', '.join(found.half)}" if found.half else "float32 in every precision"
    emit(f"{found.name}: MNN {where.mnn}, Python {where.python}, {where.system} {where.machine}: {half}")
    if found.problem:
        emit(f"{found.name}: not right: {found.problem}")
        raise Ended(1)
