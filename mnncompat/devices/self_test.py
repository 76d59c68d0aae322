"""Does a device run MNN, and what does `precision = low` mean there?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat import mnn
from mnncompat.devices.device import Device, Precision
from mnncompat.devices.names import ARM64, Profile
from mnncompat.errors import RunnerError
from mnncompat.files.scratch import ScratchFolder
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.devices.names import DeviceName
    from mnncompat.mnn import ServedEnvironment

LIMITS = Limits(seconds=120.0)
_LARGE, _ONE = 2048.0, 1.0
"""Their sum is 2049 in float32, and 2048 in float16, which has 11 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What a device did.

    Attributes:
        name: The device.
        environment: Its MNN, Python and machine.
        half: Precisions that compute in float16.
        problem: Why it cannot be used; empty if it can.
    """

    name: str
    environment: ServedEnvironment
    half: tuple[Precision, ...]
    problem: str = ""


def self_test(name: DeviceName, *, release: str | None = None) -> SelfTest:
    """Convert the smallest model here, and run it there in every precision.

    Args:
        name: The device.
        release: Of MNN there; None for that of this machine.

    Raises:
        UsageError: It is not set up.
        RunnerError: It does not start, or the model cannot be converted here.
    """
    import numpy as np

    feeds = {"x": np.array([[_LARGE, 3.0]], np.float32), "b": np.array([[_ONE, -5.0]], np.float32)}
    half, problems = [], []
    with ScratchFolder() as folder, Device(name, release=release) as device:
        file = _converted(folder)
        for precision in Precision:
            ran = mnn.run(file, [feeds], output_names=["y"], limits=LIMITS, performer=device.performer(precision))
            found = ran.message if isinstance(ran, Failure) else ran.outputs[0]["y"].ravel().tolist()
            if found == [_LARGE, -2.0]:
                half.append(precision)
            elif found != [_LARGE + _ONE, -2.0]:
                problems.append(f"{precision}: 2048 + 1 and 3 - 5 give {found}")
        environment = device.environment
    problems += _unexpected(name, half)
    return SelfTest(name=str(name), environment=environment, half=tuple(half), problem="; ".join(problems))


def _unexpected(name: DeviceName, half: list[Precision]) -> list[str]:
    """What does not fit an emulated processor."""
    if name.kind != ARM64:
        return []
    wanted = [] if name.profile is Profile.A53 else [Precision.LOW]
    if half == wanted:
        return []
    return [f"float16 in {', '.join(half) or 'no precision'}, expected in {', '.join(wanted) or 'none'}"]


def _converted(folder: Path) -> Path:
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(each, TensorProto.FLOAT, [1, 2]) for each in ("x", "b", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "b"], ["y"])], "sum", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (folder / "sum.onnx").write_bytes(model.SerializeToString())
    file = folder / "sum.mnn"
    done = mnn.convert(folder / "sum.onnx", file, options=ConvertOptions(), limits=LIMITS)
    if isinstance(done, Failure):
        raise RunnerError(f"MNN cannot convert the smallest model: {done.message}", hint="reinstall MNN")
    return file
