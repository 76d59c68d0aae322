"""Images with what photographs have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def photograph(seed: int, size: tuple[int, int] = (150, 190)) -> Pixels:
    """Areas, edges, gradients and texture: red first."""
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (9, 11, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(rough).resize(size[::-1], Image.Resampling.BICUBIC), np.float64)
    fine = rng.normal(0, 12, (*size, 1)) + 25 * (rng.random((*size, 1)) > 0.9)
    return np.clip(smooth + fine, 0, 255).astype(np.uint8)
