"""How far MNN's answer may be from the expected one, by what kind of arithmetic an operator does.

The probe compares by `mnncompat.parity.tolerance`: `|actual - expected| <= atol + rtol * (|expected| + s)`, where `s`
is the RMS of the output or of a slice of it. A wrong axis, mode or factor is off by the magnitude of the output and
fails by two orders. Rounding passes, and so do the approximations that MNN makes on purpose:

- GELU is a tanh formula by default, 4.7e-4 off; exp, tanh, sigmoid, erf are polynomials, 1e-5 to 1e-4 off;
- convolutions may take Winograd's form, whose error is relative to the channel, not to the element;
- float16 models are computed in float32 by MNN on x86 while the reference rounds each tensor to 11 bits.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

_HALF_RTOL = 1e-2
_HALF_SHARE = 2e-3
_HALF_FACTOR = 3


class Precision(Enum):
    """Kinds of arithmetic: `rtol`, the part of `atol` that is fixed, and its part in units of the output's RMS."""

    EXACT = (1e-6, 1e-7, 0.0)
    """Values are moved or selected."""
    ARITHMETIC = (1e-3, 1e-6, 1e-5)
    """A few roundings."""
    ACCUMULATED = (1e-3, 1e-6, 5e-4)
    """Sums of products: the error is that of the largest terms."""
    APPROXIMATE = (2e-3, 1e-3, 0.0)
    """Transcendental functions: MNN's approximations have an absolute error, whatever the output's scale."""


def tolerances(
    precision: Precision, arrays: Iterable[np.ndarray], expected: Iterable[np.ndarray]
) -> tuple[float, float]:
    """The tolerances of a case.

    Args:
        precision: The kind of arithmetic.
        arrays: Inputs and outputs of the model. One float16 array makes it a float16 model.
        expected: The outputs; the scale is the largest of their RMS.

    Returns:
        `rtol` and `atol`.
    """
    rtol, fixed, share = precision.value
    if precision is not Precision.EXACT and any(each.dtype == np.float16 for each in arrays):
        rtol, fixed, share = _HALF_RTOL, _HALF_FACTOR * fixed, max(share, _HALF_SHARE)
    scale = max(_scale(each) for each in expected)
    return rtol, float(f"{fixed + share * scale:.3g}")


def _scale(values: np.ndarray) -> float:
    if values.dtype.kind != "f":
        return 0.0
    finite = values[np.isfinite(values)].astype(np.float64)
    return float(np.sqrt(np.mean(np.square(finite)))) if finite.size else 0.0
