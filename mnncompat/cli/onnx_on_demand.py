"""`import onnx` without what no check needs: its helpers, text formats and command lines, half of its time.

The package is entered in `sys.modules` before it is executed. Its messages come from the module that defines them, and
its modules are imported when they are asked for. Whatever else is asked of it executes the package as it is.

`ml_dtypes`, which ONNX's helpers import, is executed when one of its names is asked for: it holds the types that NumPy
lacks (bfloat16, float8, int4), almost no model has them, and its release 0.7.0 takes a second (measured on
2026-12-01: 0.7 to 1.1 processor seconds, all of them in its extension module). ONNX's table of types names all of them,
and graphsurgeon and `onnx.helper.make_tensor` look there for any: NumPy's own are told without it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import ItemsView, Iterator, Mapping
from functools import cached_property
from types import ModuleType
from typing import Any, NamedTuple

_MESSAGES = "onnx.onnx_ml_pb2"
_TYPES, _TABLE_MODULE, _TABLE = "ml_dtypes", "onnx._mapping", "TENSOR_TYPE_MAP"
_LAZY = (_TYPES, _TABLE_MODULE)
"""Modules that helpers import, and seldom use; the second is a table of what the first defines."""
_OWN = {
    "FLOAT": ("float32", "FLOAT"),
    "UINT8": ("uint8", "INT32"),
    "INT8": ("int8", "INT32"),
    "UINT16": ("uint16", "INT32"),
    "INT16": ("int16", "INT32"),
    "INT32": ("int32", "INT32"),
    "INT64": ("int64", "INT64"),
    "STRING": ("object", "STRING"),
    "BOOL": ("bool", "INT32"),
    "FLOAT16": ("float16", "INT32"),
    "DOUBLE": ("float64", "DOUBLE"),
    "UINT32": ("uint32", "UINT64"),
    "UINT64": ("uint64", "UINT64"),
    "COMPLEX64": ("complex64", "FLOAT"),
    "COMPLEX128": ("complex128", "DOUBLE"),
}
"""ONNX's name of a type that NumPy has -> NumPy's, and what a tensor's field for its elements holds."""


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
    if _is_waiting(_TABLE_MODULE) and _is_waiting(_TYPES):
        table, types = sys.modules[_TABLE_MODULE], TensorTypes()
        execute = vars(table)["__getattr__"]
        table.__getattr__ = lambda wanted: types if wanted == _TABLE else execute(wanted)  # type: ignore[method-assign]


class Entry(NamedTuple):
    """What ONNX's table says of a type, as `onnx._mapping.TensorDtypeMap`."""

    np_dtype: Any
    storage_dtype: int
    name: str


class TensorTypes(Mapping[int, Any]):
    """ONNX's table of types by their numbers, which executes `ml_dtypes` for those alone that NumPy lacks.

    Pairs, which are asked for to find the number of an array's type, are those of NumPy's types as long as `ml_dtypes`
    is not executed: no array can be of another one before.
    """

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return dict(sys.modules["onnx"].TensorProto.DataType.items())

    @cached_property
    def _own(self) -> dict[int, Entry]:
        import numpy as np

        return {
            self._numbers[name]: Entry(np.dtype(own), self._numbers[stored], f"TensorProto.{name}")
            for name, (own, stored) in _OWN.items()
        }

    def __getitem__(self, number: int) -> Any:
        return self._own[number] if number in self._own else self._whole()[number]

    def __iter__(self) -> Iterator[int]:
        return iter(number for number in self._numbers.values() if number)

    def __len__(self) -> int:
        return len(self._numbers) - 1

    def __contains__(self, number: object) -> bool:
        return bool(number) and number in self._numbers.values()

    def items(self) -> ItemsView[int, Any]:
        """Pairs of a number and what the table says, see above."""
        return self._own.items() if _is_waiting(_TYPES) else self._whole().items()

    def _whole(self) -> Mapping[int, Any]:
        found: Mapping[int, Any] = _executed(sys.modules[_TABLE_MODULE], _TABLE)
        return found


def _is_waiting(name: str) -> bool:
    """Whether a module was entered, and not executed."""
    return "__getattr__" in vars(sys.modules.get(name, sys))


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
