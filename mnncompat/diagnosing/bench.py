"""Converts and runs small models, milliseconds each, and judges what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mnncompat import mnn
from mnncompat.devices.device import Precision
from mnncompat.diagnosing.deviations import deviation
from mnncompat.diagnosing.lanes import Lanes
from mnncompat.diagnosing.tracing import HERE
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity import FLOAT32
from mnncompat.parity.output_scale import coarse_outputs
from mnncompat.probe.on_device import DeviceServer
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto

    from mnncompat.devices.device import Where
    from mnncompat.diagnosing.excerpts import Excerpt
    from mnncompat.mnn.request import Performer
    from mnncompat.parity import Tolerance
    from mnncompat.results.diagnosis import Deviation

_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out of one attempt.

    Attributes:
        failure: How conversion or run failed; None if there are outputs.
        deviations: Output -> how far it is off.
        outputs: Output -> array.
    """

    failure: Failure | None = None
    deviations: dict[str, Deviation] = field(default_factory=dict)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Whether every output is within its tolerance."""
        return self.failure is None and not any(each.is_wrong for each in self.deviations.values())

    @property
    def worst(self) -> Deviation | None:
        """The output that is furthest off."""
        return max(self.deviations.values(), key=lambda each: each.error_ratio, default=None)

    @property
    def words(self) -> str:
        """What came out, in one line."""
        if self.failure is not None:
            return self.failure.message
        worst = self.worst
        if worst is None or not worst.is_wrong:
            return "right"
        return worst.problem or f"off by up to {worst.max_abs:.3g}, {worst.snr_db:.1f} dB"


class Bench:
    """Runs micro-models on MNN. A context manager: leaving it ends its processes.

    Args:
        folder: Where files go.
        limits: What each child may use.
        tolerance: Of outputs.
        where: A device that runs what is converted here; None for this machine.
        side_by_side: Whether several models may be run at a time, which takes as much more memory.
        lanes: Processes on this machine that are there already.
        stays: Whether these are not ended here: one at a time is asked then.

    Attributes:
        pool: Threads in which requests may be made while others are; None if there is to be only one at a time.

    Raises:
        UsageError: The device is not set up.
        RunnerError: A process cannot be started.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limits: Limits,
        tolerance: Tolerance = FLOAT32,
        where: Where | None = None,
        side_by_side: bool = True,
        lanes: Lanes | None = None,
        stays: bool = True,
    ) -> None:
        self._stays = where is None and lanes is not None and stays
        self._folder = folder
        self.where = where
        self.limits = Limits(seconds=min(limits.seconds, _SECONDS), memory_bytes=limits.memory_bytes)
        self.tolerance = tolerance
        self.server: Lanes | DeviceServer = DeviceServer(where) if where else lanes or Lanes(side_by_side=side_by_side)
        several = self.server.count if isinstance(self.server, Lanes) and not self._stays else 1
        self.pool = ThreadPoolExecutor(several) if several > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pool is not None:
            self.server.abandon()  # what was begun and is not needed
            self.pool.shutdown(cancel_futures=True)
        if not self._stays:
            self.server.__exit__(kind, error, trace)

    @property
    def name(self) -> str:
        """What reports call what runs files."""
        return HERE if self.where is None else f"{HERE} on {self.where}"

    @property
    def near(self) -> Performer:
        """Carries out requests on this machine."""
        return self.server.near if isinstance(self.server, DeviceServer) else self.server.perform

    @property
    def in_float32(self) -> Performer | None:
        """Carries out requests on the device in float32; None if they are computed so anyway."""
        if not isinstance(self.server, DeviceServer) or self.server.where.precision is Precision.HIGH:
            return None
        return self.server.far(Precision.HIGH)

    @property
    def deployment(self) -> dict[str, Any]:
        """`arch` and `precision`, as a target takes them."""
        if self.where is None:
            return {}
        return {"arch": self.where.device.arch, "precision": self.where.precision.value}

    def deviation(self, expected: np.ndarray, actual: np.ndarray) -> Deviation:
        """How far a value is from its reference, by this bench's tolerance."""
        return deviation(expected, actual, self.tolerance)

    def convert(self, model: ModelProto, options: ConvertOptions | None = None) -> Path | Failure:
        """Convert a model; the file stays until the folder goes."""
        folder = Path(mkdtemp(dir=self._folder))
        source, file = folder / "model.onnx", folder / "model.mnn"
        source.write_bytes(model.SerializeToString())
        found = mnn.convert(
            source, file, options=options or ConvertOptions(), limits=self.limits, performer=self.server.perform
        )
        return found if isinstance(found, Failure) else file

    def attempt(self, part: Excerpt, options: ConvertOptions | None = None) -> Outcome:
        """Convert an excerpt and run it."""
        return self.run(part.model, part.feeds, part.expected, options)

    def run(
        self,
        model: ModelProto,
        feeds: Mapping[str, np.ndarray],
        expected: Mapping[str, np.ndarray],
        options: ConvertOptions | None = None,
        performer: Performer | None = None,
    ) -> Outcome:
        """Convert a model, run it, and compare the outputs.

        Args:
            model: The model.
            feeds: Input name -> array.
            expected: Output name -> the right array.
            options: Of the conversion.
            performer: Carries out the run; that of the bench, if None.
        """
        file = self.convert(model, options)
        if isinstance(file, Failure):
            return Outcome(failure=file)
        perform = self.server.perform
        ran = mnn.run(file, [feeds], output_names=list(expected), limits=self.limits, performer=performer or perform)
        if isinstance(ran, Failure):
            return Outcome(failure=ran)
        coarse = coarse_outputs(model, list(expected))
        outputs = ran.outputs[0]
        found = {
            name: deviation(wanted, outputs[name], self.tolerance, is_coarse=name in coarse)
            for name, wanted in expected.items()
        }
        return Outcome(deviations=found, outputs=outputs)
