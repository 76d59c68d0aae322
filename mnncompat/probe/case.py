"""What the probe measures: a micro-model, its inputs and its expected outputs. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import numpy as np

_NUMBERS = "biuf"
_WIDENED = frozenset({"bfloat16"})


def is_representable(value: object) -> bool:
    """Whether MNN has a tensor for an array: one of numpy's own numbers or bfloat16, and no double beyond float32.

    Measured on 3.6.1: uint16, uint32 and uint64 are held as int32, as int64 is; a graph input of complex numbers, of
    8-bit floats or of 4-bit numbers cannot be fed, and a cast to one of these does nothing. Integers that do not fit
    into int32 are detected when they are fed.
    """
    dtype = getattr(value, "dtype", None)
    if dtype is None or not (dtype.name in _WIDENED or (dtype.kind in _NUMBERS and _is_builtin(dtype))):
        return False
    return dtype.name != "float64" or not _overflows(cast("np.ndarray", value))


def _is_builtin(dtype: np.dtype) -> bool:
    """Whether a type is one of numpy's own, also if it came out of a pickle, where numpy makes a copy of it."""
    import numpy as np

    return np.dtype(dtype.type).isbuiltin == 1


def _overflows(value: np.ndarray) -> bool:
    import numpy as np

    finite = value[np.isfinite(value)]
    return bool(finite.size) and bool(np.abs(finite).max() > np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One micro-model with its expected outputs.

    Attributes:
        id: `corpus:name`, unique, and the same in every run: evidence refers to it.
        op: The op type under test, the key of a summary.
        model: The serialized ONNX model, without external data.
        feeds: Graph input -> array in ONNX's dtype. Initializers that are inputs too may be left out.
        expected: Graph output -> array in ONNX's dtype and shape, in the graph's order; None if MNN has no tensor
            for an input or output (see `is_representable`; string, sequence, optional, map): not run.
        rtol: Relative tolerance of the comparison, see `mnncompat.probe.judge`.
        atol: Absolute tolerance, in the output's unit; infinite where the result is random.
        earlier: Feeds that the same session runs before; what comes out of them is not looked at.
    """

    id: str
    op: str
    model: bytes
    feeds: dict[str, np.ndarray]
    expected: dict[str, np.ndarray] | None
    rtol: float = 1e-3
    atol: float = 1e-7
    earlier: tuple[dict[str, np.ndarray], ...] = ()
