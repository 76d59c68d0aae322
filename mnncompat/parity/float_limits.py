"""The limits of every type of floats that numpy knows: its own, and those that ONNX adds to it."""

from __future__ import annotations

from typing import Any

import numpy as np


def float_limits(dtype: np.dtype[Any]) -> Any:
    """What `numpy.finfo` tells, of float8 too, which numpy takes for a kind of float and knows nothing about.

    Args:
        dtype: Of kind `f`.
    """
    if issubclass(dtype.type, np.floating):
        return np.finfo(dtype)
    from ml_dtypes import finfo

    return finfo(dtype)  # type: ignore[no-untyped-call]
