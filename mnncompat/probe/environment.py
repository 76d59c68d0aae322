"""What a measurement depends on besides the case: versions and the processor."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.mnn import ServedEnvironment

_TELLING = ("sse4_1", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "asimd", "asimddp", "i8mm", "sve2")


def describe(environment: ServedEnvironment, where: Where | None = None) -> dict[str, str]:
    """The header of a file of evidence.

    Args:
        environment: What MNN ran in.
        where: The device, None for this machine.

    Returns:
        Key -> value, without dates, names of machines or paths.
    """
    return {
        "mnn": environment.mnn,
        "system": environment.system,
        "machine": environment.machine,
        **_processor(where),
        "onnx": metadata.version("onnx"),
        "onnxruntime": metadata.version("onnxruntime"),
        "numpy": metadata.version("numpy"),
    }


def _processor(where: Where | None) -> dict[str, str]:
    if where is None:
        return {"cpu": " ".join(cpu_features()) or "unknown"}
    return {"cpu": str(where.device), "precision": where.precision.value}


def cpu_features() -> tuple[str, ...]:
    """Instruction sets of this processor by which MNN selects its kernels; empty if the system does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ()
    names = {"flags", "Features"}
    lines = (line.partition(":") for line in text.splitlines())
    flags = next((value.split() for key, _, value in lines if key.strip() in names), [])
    return tuple(feature for feature in _TELLING if feature in flags)
