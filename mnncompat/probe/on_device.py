"""Where cases are measured: on this machine, or converted here and run on a device."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from mnncompat.devices.device import Device
from mnncompat.mnn import ForkServer, Limits
from mnncompat.mnn.worker import CONVERTING
from mnncompat.parity.tolerance import HALF_PRECISION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mnncompat.devices.device import Precision, Where
    from mnncompat.mnn import ServedEnvironment
    from mnncompat.mnn.request import Answer, Performer
    from mnncompat.parity import Tolerance
    from mnncompat.results.failures import Failure

SLOWER = 12.0
"""How many times longer than here a step may take under an emulator."""


class DeviceServer:
    """Converts on this machine and runs on a device, in the interface of a `ForkServer`. A context manager.

    Args:
        where: The device, and how it computes.
        release: Of MNN there; None for the one that converts.
        python: Interpreter of an environment with the MNN that converts; this one when None.
        fill: Byte that memory is filled with before it is written.
        memory: Bytes that a run may take under the emulator.

    Raises:
        UsageError: The device is not set up.
        RunnerError: A process cannot be started.
    """

    def __init__(
        self,
        where: Where,
        *,
        release: str | None = None,
        python: Path | None = None,
        fill: int | None = None,
        memory: int = Limits().memory_bytes,
    ) -> None:
        self.where = where
        with ExitStack() as stack:
            self._near = stack.enter_context(ForkServer(python=python, fill=fill))
            if release is None and python is not None:
                release = self._near.environment.mnn
            self._device = stack.enter_context(Device(where.device, release=release, fill=fill, memory=memory))
            self._far = self._device.performer(where.precision, where.threads)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ending: object) -> None:
        self._stack.close()

    def abandon(self) -> None:
        """From another thread: make the request that is being carried out, and all later ones, raise `RunnerError`."""
        self._near.abandon()
        self._device.abandon()

    @property
    def near(self) -> Performer:
        """Carries out requests on this machine."""
        return self._near.perform

    def far(self, precision: Precision) -> Performer:
        """Carries out requests on the device, in another precision.

        Args:
            precision: MNN's.
        """
        return self._longer(self._device.performer(precision, self.where.threads))

    @property
    def environment(self) -> ServedEnvironment:
        """The environment that files are run in."""
        return self._device.environment

    def perform(
        self, task: str, arguments: Mapping[str, Any], /, *, directory: Path, limits: Limits
    ) -> Answer | Failure:
        """Carry out one request, see `ForkServer.perform`."""
        if task in CONVERTING:
            return self._near.perform(task, arguments, directory=directory, limits=limits)
        return self._longer(self._far)(task, arguments, directory=directory, limits=limits)

    @staticmethod
    def _longer(perform: Performer) -> Performer:
        """With more time for each step."""

        def performed(
            task: str, arguments: Mapping[str, Any], /, *, directory: Path, limits: Limits
        ) -> Answer | Failure:
            longer = replace(limits, seconds=SLOWER * limits.seconds)
            return perform(task, arguments, directory=directory, limits=longer)

        return performed


def tolerance_there(where: Where | None) -> Tolerance | None:
    """What is asked beyond a case's own tolerance; None where that holds as it is: in float32."""
    return HALF_PRECISION if where is not None and where.precision == "low" else None
