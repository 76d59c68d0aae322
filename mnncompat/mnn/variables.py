"""MNN's variables and numpy's arrays, from one to the other. In the child process, for the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnncompat.results.failure_kinds import FailureKind

if TYPE_CHECKING:
    import numpy as np


class TaskError(Exception):
    """A failure that a task noticed."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def describe(entry: Any) -> tuple[list[int], str, str]:
    """Shape, numpy dtype and layout of an input. Some builds give a tuple where a dimension is dynamic."""
    if isinstance(entry, tuple):
        shape, layout, dtype = (*entry, None, None)[:3]
    else:
        shape, layout, dtype = entry.shape, entry.data_format, entry.dtype
    return list(shape or ()), _numpy_name(dtype), _layout_name(layout)


def entry_of(layout: str, dtype: str) -> tuple[None, Any, Any]:
    """How MNN holds a tensor, as it describes inputs itself."""
    from MNN import expr

    dtypes = {"float64": expr.double, "int32": expr.int, "int64": expr.int64, "uint8": expr.uint8, "int8": expr.int8}
    layouts = {"NHWC": expr.NHWC, "NC4HW4": expr.NC4HW4}
    return None, layouts.get(layout, expr.NCHW), dtypes.get(dtype, expr.float)


def _numpy_name(dtype: Any) -> str:
    from MNN import expr

    names = {expr.double: "float64", expr.int: "int32", expr.int64: "int64", expr.uint8: "uint8", expr.int8: "int8"}
    return next((name for known, name in names.items() if known == dtype), "float32")


def _layout_name(layout: Any) -> str:
    from MNN import expr

    names = {expr.NHWC: "NHWC", expr.NC4HW4: "NC4HW4"}
    return next((name for known, name in names.items() if known == layout), "NCHW")


def as_held(array: np.ndarray, entry: Any, name: str) -> np.ndarray:
    """The array in the dtype that MNN holds this input in, contiguous. Values must survive, but for a float's rounding.

    Integers may become floats: 3.0 calls every input float32 that the converted graph does not use.
    """
    import numpy as np

    dtype = np.dtype(describe(entry)[1])
    with np.errstate(over="ignore", invalid="ignore"):
        held = np.require(array, dtype=dtype, requirements=["C", "A"])
    if not (array.dtype.kind == dtype.kind == "f" or np.array_equal(held, array)):
        message = f"input {name!r} holds {array.dtype} values that do not fit into MNN's {dtype}"
        raise TaskError(FailureKind.UNREPRESENTABLE, message)
    return held


def as_held_by_name(arrays: list[np.ndarray], entries: list[Any], inputs: list[str]) -> dict[str, np.ndarray]:
    """The arrays of one draw by input name, in the dtypes that MNN holds the inputs in."""
    return {name: as_held(array, entry, name) for array, entry, name in zip(arrays, entries, inputs, strict=True)}


def to_variable(array: np.ndarray, entry: Any) -> Any:
    """A variable with the array's contents, in the layout of the input.

    Given an address, `const` copies, takes every dtype, and keeps a scalar a scalar. (pymnn/src/expr.h, 3.0.0 to 3.6.1)
    """
    from MNN import expr

    _, name, layout = describe(entry)
    plain = expr.NHWC if layout == "NHWC" else expr.NCHW
    variable = expr.const(array.ctypes.data, list(array.shape), plain, entry_of(layout, name)[2])
    return expr.convert(variable, expr.NC4HW4) if layout == "NC4HW4" else variable


def read_array(variable: Any, name: str) -> np.ndarray:
    """Copy an output out of MNN's memory, which the next run overwrites, in the logical layout."""
    import numpy as np
    from MNN import expr

    if variable.shape is None:
        raise TaskError(FailureKind.ERROR, f"output {name!r} has no shape")
    shape, dtype, layout = describe(variable)
    if 0 in shape:
        return np.zeros(shape, dtype)
    try:
        plain = expr.convert(variable, expr.NCHW) if layout == "NC4HW4" else variable
        return np.array(plain.read(), copy=True).reshape(plain.shape)
    except SystemError as error:
        raise TaskError(FailureKind.ERROR, f"output {name!r} cannot be read") from error
