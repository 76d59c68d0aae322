"""One level of gray of three colours: as Pillow computes it, and as others do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

GRAY_WEIGHTS = (19595, 38470, 7471)
"""Pillow's weights of red, green and blue, in parts of 65536 (ITU-R 601-2)."""
GRAY_WHOLE, GRAY_HALF = 65536, 32768
"""Their sum, and what is added to round."""


def gray(pixels: Pixels) -> Pixels:
    """Pixels of one channel, as `PIL.Image.Image.convert("L")` makes them.

    Args:
        pixels: (height, width, channels), red first, or gray already.
    """
    if pixels.shape[-1] == 1:
        return pixels
    levels = (pixels.astype(np.int64) @ np.asarray(GRAY_WEIGHTS) + GRAY_HALF) // GRAY_WHOLE
    found: Pixels = levels[..., None].astype(np.uint8)
    return found


def other_grays() -> Iterator[tuple[str, Callable[[Pixels], Pixels]]]:
    """Other ways from three colours to one channel: in words, and how."""
    yield "gray is computed with the weights of red and blue exchanged", lambda pixels: gray(pixels[..., ::-1])
    yield "gray is the mean of the colours, not weighted", _mean
    for at, name in enumerate(("red", "green", "blue")):
        yield f"gray is the channel of {name} alone", lambda pixels, at=at: pixels[..., at : at + 1]  # type: ignore[misc]


def _mean(pixels: Pixels) -> Pixels:
    found: Pixels = np.floor(pixels.mean(-1, keepdims=True) + 0.5).astype(np.uint8)
    return found
