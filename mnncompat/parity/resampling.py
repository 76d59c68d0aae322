"""Resize pixels of 8 bits without antialiasing: from the neighbours of the middle of each output pixel.

``bilinear`` takes four neighbours, however small the result is: torchvision with ``antialias=False``, OpenCV, MNN's
ImageProcess, Android's `Bitmap.createScaledBitmap`. ``corners`` is the same with the corner pixels on those of the
original (``align_corners=True``). ``nearest`` takes one pixel, as Pillow does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

Size = tuple[int, int]
"""Height and width."""
SAMPLED = ("bilinear", "nearest", "corners")
"""How pixels are resized here."""
_LAST = 255


def sampled(pixels: Pixels, size: tuple[int, int], kind: str) -> Pixels:
    """Pixels of another size.

    Args:
        pixels: (height, width, channels).
        size: Height and width of the result.
        kind: One of `SAMPLED`.

    Returns:
        The same number of channels; halves are rounded up.
    """
    if pixels.shape[:2] == size:
        return pixels
    if kind == "nearest":
        down, right = (_nearest(old, new) for old, new in zip(pixels.shape, size, strict=False))
        nearest: Pixels = pixels[down][:, right]
        return nearest
    rows, columns = (_places(old, new, kind) for old, new in zip(pixels.shape, size, strict=False))
    values = _between(_between(pixels.astype(np.float64), rows, 0), columns, 1)
    return np.floor(np.clip(values, 0, _LAST) + 0.5).astype(np.uint8)


def _nearest(old: int, new: int) -> NDArray[np.intp]:
    """Which pixels are taken: places are summed up as Pillow does it, which decides where they lie between two."""
    steps = np.full(new, old / new)
    steps[0] /= 2
    found: NDArray[np.intp] = np.minimum(np.cumsum(steps).astype(np.intp), old - 1)
    return found


def _places(old: int, new: int, kind: str) -> NDArray[np.float64]:
    """Where output pixels lie between those of the original."""
    numbers = np.arange(new, dtype=np.float64)
    found = numbers * ((old - 1) / max(new - 1, 1)) if kind == "corners" else (numbers + 0.5) * (old / new) - 0.5
    return np.clip(found, 0, old - 1)


def _between(values: NDArray[np.float64], places: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, values.shape[axis] - 1)
    share = (places - low).reshape([-1 if each == axis else 1 for each in range(values.ndim)])
    found: NDArray[np.float64] = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
    return found


def resized_size(size: Size, wanted: int | Size | None) -> Size:
    """Height and width after an image is resized to its shorter side, or to both."""
    if not isinstance(wanted, int):
        return wanted or size
    height, width = size
    if height <= width:
        return wanted, wanted * width // height
    return wanted * height // width, wanted


def crop_start(size: Size, crop: Size) -> Size:
    """First row and column of what is cut out of the middle: the even one of two, as torchvision rounds.

    Args:
        size: Height and width of the image.
        crop: Of what is cut out, not larger.
    """
    return round((size[0] - crop[0]) / 2), round((size[1] - crop[1]) / 2)
