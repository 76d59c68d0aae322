"""`import onnx` without what no check needs: its helpers, text formats and command lines, half of its time.

The package is entered in `sys.modules` before it is executed. Its messages come from the module that defines them, and
its modules are imported when they are asked for. Whatever else is asked of it executes the package as it is.

`ml_dtypes`, which ONNX's helpers import, is executed when one of its names is asked for: it holds the types that NumPy
lacks (bfloat16, float8, int4), almost no model has them, and its release 0.7.0 takes a second (measured on
2026-12-01: 0.7 to 1.1 processor seconds, all of them in its extension module).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

_MESSAGES = "onnx.onnx_ml_pb2"
_LAZY = ("ml_dtypes", "onnx._mapping")
"""Modules that helpers import, and seldom use; the second is a table of what the first defines."""


def import_onnx_on_demand() -> None:
    """Enter the package; does nothing if it is imported already, or is not there."""
    if "onnx" in sys.modules:
        return
    spec = importlib.util.find_spec("onnx")
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    module.__getattr__ = _Attributes(module).find  # type: ignore[method-assign]
    sys.modules["onnx"] = module
    for name in _LAZY:
        _enter_lazily(name)


def _enter_lazily(name: str) -> None:
    """Enter a module that is executed when it is first asked for a name; nothing happens if it is not there.

    `importlib.util.LazyLoader` would not do: the statement `import` asks for `__spec__`, at which it executes.
    """
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None:
        return
    module = importlib.util.module_from_spec(spec)
    module.__getattr__ = lambda wanted: _executed(module, wanted)  # type: ignore[method-assign]
    sys.modules[name] = module


def _executed(module: ModuleType, name: str) -> Any:
    """Execute a module that was entered, once, and ask it."""
    spec = module.__spec__
    if vars(module).pop("__getattr__", None) is not None and spec is not None and spec.loader is not None:
        spec.loader.exec_module(module)
    return getattr(module, name)


class _Attributes:
    """What the package is asked for before it is executed."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def find(self, name: str) -> Any:
        if name.startswith("__"):
            return self._whole(name)
        if name == "load_from_string":  # what shape inference ends with
            self._module.load_from_string = self._load  # type: ignore[attr-defined]
            return self._load
        if f"onnx.{name}" in _LAZY:
            return importlib.import_module(f"onnx.{name}")
        if hasattr(importlib.import_module(_MESSAGES), name):
            found = getattr(sys.modules[_MESSAGES], name)
            setattr(self._module, name, found)
            return found
        if importlib.util.find_spec(f"onnx.{name}") is not None:
            return importlib.import_module(f"onnx.{name}")
        return self._whole(name)

    def _load(self, data: Any, *more: Any, **named: Any) -> Any:
        """`onnx.load_from_string`: of bytes alone they are a serialised model."""
        if more or named or not isinstance(data, bytes):
            return self._whole("load_from_string")(data, *more, **named)
        return sys.modules[_MESSAGES].ModelProto.FromString(data)

    def _whole(self, name: str) -> Any:
        """Execute the package, and ask it."""
        return _executed(self._module, name)
