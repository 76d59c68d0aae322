"""Versions of what a diagnosis depends on."""

from __future__ import annotations

import importlib.metadata
import platform


def versions() -> dict[str, str]:
    """Versions of the packages and of Python, and the platform; without what is not installed."""
    found = {}
    for name in ("MNN", "onnx", "onnxruntime", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
