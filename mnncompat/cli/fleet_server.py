"""The program that does tasks for a worker of a cluster: commands, as their own process would do them.

It is started by `mnncompat.fleet.served` and told there what to do. Models are worked on in a child that this process
watches, so the limits of time and memory are those of the command.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from mnncompat.cli import config
from mnncompat.cli.ci import convert_for
from mnncompat.cli.commands import command_named
from mnncompat.cli.declared import grouped
from mnncompat.cli.fleet_options import invoked, taken_by
from mnncompat.cli.onnx_on_demand import import_onnx_on_demand
from mnncompat.errors import MnncompatError
from mnncompat.files.allowance import rest
from mnncompat.files.scratch import ScratchFolder
from mnncompat.files.user_cache import share_measurements
from mnncompat.fleet.attended import Attendant
from mnncompat.fleet.outcomes import Answer, packed, timed
from mnncompat.fleet.served import LIFE, End, Request, Trouble, receive, send, trouble_of
from mnncompat.fleet.travel import Snapshot, is_full, relocated, require_space, under, unpack
from mnncompat.fleet.watch import die_with

if TYPE_CHECKING:
    from mnncompat.probe.prober import Prober

_SPACE = 16 << 20
_COPIES = 4
"""Bytes that a model needs on the disk, beside copies of its own."""


class _DoneError(Exception):
    """All models of a request are answered."""


def main() -> None:
    """Answer requests until there are no more."""
    requests, answers, notes = _pipes()
    die_with(int(os.environ.pop(LIFE)))
    import_onnx_on_demand()
    attendant = Attendant(_Server(notes).serve)
    while True:
        try:
            request: Request = receive(requests)
        except EOFError:
            attendant.close()
            return
        send(answers, End(_carried_out(attendant, request, answers)))


def _pipes() -> tuple[BinaryIO, BinaryIO, _Notes]:
    """Pipes for requests and answers; what others read and print goes nowhere."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1) if os.environ.get("MNNCOMPAT_TRACEBACK") else (0, 1, 2):
        os.dup2(nothing, descriptor)
    notes = _Notes()
    sys.stderr = os.fdopen(os.dup(notes.descriptor), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    return requests, answers, notes


class _Notes:
    """What this process and its children write to standard error."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self.descriptor = os.memfd_create("notes")
        else:
            import tempfile

            self.descriptor, name = tempfile.mkstemp()
            Path(name).unlink()
        self._read = 0

    def new(self) -> str:
        """What came since it was asked before."""
        size = os.fstat(self.descriptor).st_size
        text = os.pread(self.descriptor, size - self._read, self._read)
        self._read = size
        return text.decode(errors="replace")


def _carried_out(attendant: Attendant, request: Request, answers: BinaryIO) -> Trouble | None:
    """Do what a request asks for; what kept it from being done, if that is not about the models."""
    try:
        with ScratchFolder() as root:
            require_space(root, _SPACE + _COPIES * request.shipment.bytes)
            unpack(request.shipment, root)

            def tell(number: int, data: bytes) -> None:
                try:
                    send(answers, (number, data))
                except OSError:  # whoever asked is gone, and waits for nothing any more
                    attendant.close()
                    raise SystemExit(1) from None

            return attendant.carry_out(request, root, tell)
    except MnncompatError as error:
        return trouble_of(error)
    except OSError as error:
        return _trouble_with(error)


def _trouble_with(error: Exception) -> Trouble:
    if is_full(error):
        return Trouble(f"there is no space for temporary files: {error}", "make space, or set TMPDIR")
    return Trouble(f"internal error: {type(error).__name__}: {error}", "report it")


class _Server:
    """What the child does.

    Args:
        notes: Where its standard error goes.
    """

    def __init__(self, notes: _Notes) -> None:
        self._notes = notes
        self._probers: dict[str, Prober] = {}

    def _measure(self, request: Request, tell: Callable[[bytes], None]) -> None:
        """Measure the cases of a request; of each is told the environment as well."""
        from mnncompat.probe.environment import describe
        from mnncompat.probe.prober import Prober

        where = request.values["where"]
        if str(where) not in self._probers:
            self._probers[str(where)] = Prober(where=where)
        prober = self._probers[str(where)]
        header = describe(prober.environment, where)
        for case in request.values["cases"]:
            begun = time.monotonic()
            found = None if case is None else prober.measure(case)
            tell(packed(Answer(result=(found, header), seconds=time.monotonic() - begun)))

    def serve(self, request: Request, root: Path, tell: Callable[[bytes], None]) -> Trouble | None:
        """Carry out a command, and tell the answer of each model; what kept the rest from being done."""
        try:
            self._command(request, root, tell)
        except _DoneError:
            return None
        except MnncompatError as error:
            return trouble_of(relocated(error, root))
        except Exception as error:  # noqa: BLE001 - told by whoever sent the request
            return _trouble_with(error)
        finally:
            rest()
            os.chdir("/")
        return Trouble("the command did not begin with the models", "report it")

    def _command(self, request: Request, root: Path, tell: Callable[[bytes], None]) -> None:
        self._notes.new()
        if request.command == "measure":
            self._measure(request, tell)
            raise _DoneError
        share_measurements(Path(request.shipment.store) if request.shipment.store else None)
        os.chdir(under(root, request.shipment.place))
        empty = root / ".mnncompat.toml"
        empty.touch()
        config.choose(under(root, request.config) if request.config else empty)
        values = {name: _value(name, value, root) for name, value in request.values.items()}
        if not request.own:
            values["models"] = [under(root, each) for each in request.models]
        snapshot = Snapshot(root) if request.writes else None

        def take(models: Sequence[Path], work: Callable[[Path], Any]) -> NoReturn:
            answered = timed(work)
            for path in models:
                answer = answered(path)
                if snapshot is not None:
                    require_space(root, _SPACE)  # what a full disk makes of a model is not told
                if answer.error is not None and is_full(answer.error):
                    raise answer.error
                files = {} if snapshot is None else snapshot.written()
                tell(_packed(answer._replace(notes=self._notes.new(), files=files), root))
            raise _DoneError

        with taken_by(take), invoked(request.command, values):
            if request.command == "ci":
                convert_for(values)
            else:
                command = command_named(request.command)
                command(**grouped(command, values))


def _packed(answer: Answer, root: Path) -> bytes:
    """An answer with the paths that the sender knows; it cannot be pickled only if it holds an error of a library."""
    try:
        data = packed(answer)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told in words
        told = answer.error if answer.error is not None else error
        return _packed(answer._replace(result=None, error=RuntimeError(f"{type(told).__name__}: {told}")), root)
    return packed(relocated(answer, root)) if root.name.encode() in data else data


def _value(name: str, value: Any, root: Path) -> Any:
    """The value of an option, with the paths that it has here."""
    if isinstance(value, Path):
        return under(root, value)
    if name == "data":
        return [_named(each, root) for each in value]
    if name == "transform":
        return [f"{each.partition('=')[0]}={_function(each.partition('=')[2], root)}" for each in value]
    if name == "feeds":
        return [_function(each, root) for each in value]
    if name == "metric":
        return _function(value, root)
    return value


def _function(value: str, root: Path) -> str:
    path, _, name = value.rpartition(":")
    return f"{under(root, path)}:{name}"


def _named(value: str, root: Path) -> str:
    name, equals, path = value.partition("=")
    return f"{name}{equals}{under(root, path)}"


if __name__ == "__main__":
    main()
