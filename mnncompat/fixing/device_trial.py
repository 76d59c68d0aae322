"""How near a model comes to the original on a device, in the precision that it is deployed in."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, TensorProto, helper

from mnncompat import mnn
from mnncompat.devices.device import Device
from mnncompat.errors import RunnerError
from mnncompat.files.allowance import prolong
from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.model_file import Model, save
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity.device_check import HALF_DRAWS, LIMIT_SECONDS
from mnncompat.parity.real_data import real_data
from mnncompat.parity.real_draws import Feeder, run_reference_on
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.signature import input_signature
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from mnncompat.devices.device import Where
    from mnncompat.parity import Given
    from mnncompat.parity.input_plan import NamedFeeds

_MOST_DRAWS = 3
_PATIENCE_SECONDS = 15.0
"""Of a draw on the device: where one takes longer, it is the only one."""
_PEAK = "mnncompat/peak/"

Ratios = dict[tuple[str, str], float]
"""Draw and output -> signal-to-noise ratio in dB; -inf where the output is missing, or has other NaN or infinities."""


class Draws:
    """A model, and what it computes on the draws that forms of it are judged on.

    Args:
        original: The reference; its weights are loaded.
        shapes: Shapes of inputs, where they are dynamic.
        inputs: Real data, see `mnncompat.parity.real_data`.
        seed: Of the drawn inputs.
        memory: Bytes that a run may take at sizes that are chosen; None for the default.

    Raises:
        UsageError: A shape does not fit the model.
        RunnerError: The original gives no outputs.
    """

    def __init__(
        self,
        original: Model,
        *,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
        inputs: Given | None = None,
        seed: int = 0,
        memory: int | None = None,
    ) -> None:
        proto = original.skeleton
        feeder = Feeder(proto, input_signature(proto), shapes or {}, real_data(inputs), seed=seed, memory=memory)
        reference = run_reference_on(feeder, OnnxRunner(proto, name="the original under onnxruntime"))
        if isinstance(reference.outputs, Failure):
            raise RunnerError(
                f"nothing to compare the device with: {reference.outputs.message}",
                hint="give the shapes of dynamic inputs with --shape, or data with --input",
            )
        chosen = _chosen(reference.feeds, reference.given)
        self.feeds = [reference.feeds[at] for at in chosen]
        self.expected = [reference.outputs[at] for at in chosen]
        self.limits = Limits(seconds=LIMIT_SECONDS).with_memory(memory)

    def peaks(self, model: Model, names: Iterable[str]) -> dict[str, float]:
        """The largest magnitude of values of the main graph, over all draws; none if ONNX Runtime does not tell."""
        wanted = list(dict.fromkeys(names))
        proto = ModelProto()
        proto.CopyFrom(model.skeleton)
        for number, name in enumerate(wanted):
            flat, largest = f"{_PEAK}{number}/magnitude", f"{_PEAK}{number}"
            proto.graph.node.append(helper.make_node("Abs", [name], [flat]))
            proto.graph.node.append(helper.make_node("ReduceMax", [flat], [largest], keepdims=0))
            proto.graph.output.append(helper.make_tensor_value_info(largest, TensorProto.FLOAT, ()))
        ran = OnnxRunner(proto, name="onnxruntime").run([each.arrays for each in self.feeds])
        if isinstance(ran, Failure):
            return {}
        return {name: max(float(outputs[f"{_PEAK}{number}"]) for outputs in ran) for number, name in enumerate(wanted)}


class DeviceTrial:
    """Runs forms of one model on a device, on the same draws. A context manager.

    Args:
        where: The device, and how it computes there.
        draws: What it is given; where the device is slow, only the first.

    Raises:
        UsageError: The device is not set up.
        RunnerError: The device does not start.
    """

    decides = True

    def __init__(self, where: Where, draws: Draws) -> None:
        self._draws = draws
        self._feeds, self._expected, self._limits = list(draws.feeds), draws.expected, draws.limits
        self.where = where
        self._device = Device(where.device)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ending: object) -> None:
        self._device.close()

    def measure(self, model: Model) -> Ratios | str:
        """Convert a form of the model, and run it there.

        Returns:
            How near each floating-point output of each draw is to the original's; or why there are none.
        """
        prolong(LIMIT_SECONDS)
        with ScratchFolder() as folder:
            source, file = folder / "model.onnx", folder / "model.mnn"
            save(model, source)
            converted = mnn.convert(source, file, options=ConvertOptions(), limits=self._limits)
            if isinstance(converted, Failure):
                return converted.message
            return self._measured(file)

    def _measured(self, file: Path) -> Ratios | str:
        found: Ratios = {}
        performer = self._device.performer(self.where.precision, self.where.threads)
        for number, (feeds, expected) in enumerate(zip(list(self._feeds), self._expected, strict=False)):
            names = [name for name, array in expected.items() if array.dtype.kind == "f"]
            if not names:
                return "no output is a floating-point number"
            ran = mnn.run(file, [feeds.arrays], output_names=names, limits=self._limits, performer=performer)
            if isinstance(ran, Failure):
                return ran.message
            (outputs,) = ran.outputs
            found |= {(feeds.name, name): signal_to_noise(expected[name], outputs.get(name)) for name in names}
            if number == 0 and max(ran.draw_seconds, default=0.0) > _PATIENCE_SECONDS:
                del self._feeds[1:]
                break
        return found


def signal_to_noise(expected: np.ndarray, actual: np.ndarray | None) -> float:
    """The ratio in dB, inf if both are equal; -inf if they cannot be compared, or differ in what is not finite."""
    if actual is None or actual.shape != expected.shape:
        return -math.inf
    wanted, found = expected.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(found)):
        return -math.inf
    noise = float(np.sum(np.square(wanted[finite] - found[finite])))
    signal = float(np.sum(np.square(wanted[finite])))
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def _chosen(feeds: Sequence[NamedFeeds], given: Sequence[str]) -> list[int]:
    """The draws to run: the user's data, or those that show most of half precision."""
    names = [each.name for each in feeds]
    own = [at for at, name in enumerate(names) if name in given]
    if own:
        return own[:_MOST_DRAWS]
    known = [names.index(name) for name in HALF_DRAWS if name in names]
    return (known or list(range(len(names))))[:_MOST_DRAWS]
