"""Resizes that training code does and `--preprocess` has no word for, to name them: other filters, padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.parity.images import resized_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Size = tuple[int, int]
    Resize = Callable[[Pixels, Size], Pixels]

_CUBIC = -0.75
"""OpenCV's and torch's constant of a bicubic kernel; Pillow's is -0.5."""
_LAST = 255
_FILLS = (0, 114, 127, 128, 255)
"""What images are padded with; 114 is that of YOLO."""


def foreign_filters() -> Iterator[tuple[str, Resize]]:
    """Filters of other libraries: what they are called, and the resize."""
    yield "bicubic without antialiasing (OpenCV, torch)", _sampled_cubic
    yield "nearest from the upper left (OpenCV, torch)", _upper_left
    for name in ("lanczos", "box", "hamming"):
        yield name, partial(resized_pixels, kind=name)


def paddings(mean: tuple[int, ...]) -> Iterator[tuple[str, Resize]]:
    """Ways of padding an image that keeps its proportions to a size: in words, and how.

    Args:
        mean: What the declared steps subtract of each channel, in levels; numbers of 0 after the normalisation.
    """
    fills = [(str(each), (each,) * len(mean)) for each in _FILLS]
    for words, fill in [*fills, ("the mean", mean)]:
        for corner in (False, True):
            for kind in ("antialias", "bilinear"):
                where = "at the right and below" if corner else "on both sides"
                yield f"padded with {words} {where}", _padded(fill, kind, corner=corner)


def _padded(fill: tuple[int, ...], kind: str, *, corner: bool) -> Resize:
    def resize(pixels: Pixels, size: Size) -> Pixels:
        factor = min(size[0] / pixels.shape[0], size[1] / pixels.shape[1])
        high, wide = (max(1, round(each * factor)) for each in pixels.shape[:2])
        high, wide = min(high, size[0]), min(wide, size[1])
        top, left = (0, 0) if corner else ((size[0] - high) // 2, (size[1] - wide) // 2)
        found = np.empty((*size, pixels.shape[-1]), np.uint8)
        found[:] = fill
        found[top : top + high, left : left + wide] = resized_pixels(pixels, (high, wide), kind)
        return found

    return resize


def _upper_left(pixels: Pixels, size: Size) -> Pixels:
    rows, columns = (np.arange(new) * old // new for old, new in zip(pixels.shape, size, strict=False))
    found: Pixels = pixels[rows][:, columns]
    return found


def _sampled_cubic(pixels: Pixels, size: Size) -> Pixels:
    values = pixels.astype(np.float64)
    for axis in (0, 1):
        values = _cubic_along(values, size[axis], axis)
    return np.floor(np.clip(values, 0, _LAST) + 0.5).astype(np.uint8)


def _cubic_along(values: NDArray[np.float64], new: int, axis: int) -> NDArray[np.float64]:
    old = values.shape[axis]
    places = (np.arange(new) + 0.5) * (old / new) - 0.5
    low = np.floor(places).astype(int)
    total = np.zeros((*values.shape[:axis], new, *values.shape[axis + 1 :]))
    for at in (-1, 0, 1, 2):
        weights = _kernel(np.abs(places - low - at)).reshape([-1 if each == axis else 1 for each in range(values.ndim)])
        total += weights * values.take(np.clip(low + at, 0, old - 1), axis)
    return total


def _kernel(away: NDArray[np.float64]) -> NDArray[np.float64]:
    near = ((_CUBIC + 2) * away - (_CUBIC + 3)) * away**2 + 1
    far = ((away - 5) * away + 8) * away * _CUBIC - 4 * _CUBIC
    return np.where(away <= 1, near, far)
