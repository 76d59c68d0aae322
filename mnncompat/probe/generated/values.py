"""Values for operands: what matters to an operator is their range, and that no decision hangs on a rounding error."""

from __future__ import annotations

from typing import Any

import numpy as np

_FEW = 9
_STEP = 2.0**-6  # float16 holds its multiples up to 32 exactly


def normal(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], scale: float = 1.0) -> np.ndarray:
    """N(0, scale) for floating-point numbers; -9 to 9, or 0 to 9 if unsigned; True and False evenly."""
    if dtype.kind == "f":
        return np.asarray(random.standard_normal(shape) * scale).astype(dtype)
    low, high = {"b": (0, 1), "u": (0, _FEW)}.get(dtype.kind, (-_FEW, _FEW))
    return np.asarray(random.integers(low, high + 1, shape)).astype(dtype)


def uniform(
    random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], low: float, high: float
) -> np.ndarray:
    """Evenly from `low` to `high`; integers include both."""
    if dtype.kind == "f":
        return np.asarray(random.uniform(low, high, shape)).astype(dtype)
    floor = max(low, 0) if dtype.kind in "bu" else low
    return np.asarray(random.integers(int(np.ceil(floor)), int(np.floor(high)) + 1, shape)).astype(dtype)


def distinct(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """A shuffled range around zero; floating-point numbers lie 1/64 apart and are exact in float16 too.

    Order is then the same in every precision: what depends on it (ArgMax, TopK, MaxPool's indices) is well defined.
    """
    count = int(np.prod(shape))
    steps = random.permutation(count)
    if dtype.kind in "bu":
        return np.asarray(steps.reshape(shape)).astype(dtype)
    step = _STEP if dtype.kind == "f" else 1
    return np.asarray(((steps - count // 2) * step).reshape(shape)).astype(dtype)
