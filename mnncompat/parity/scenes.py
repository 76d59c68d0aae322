"""Pictures to feed a model of pictures with: areas, edges, lines and gradients, as photographs have them.

Noise has neither areas nor edges. What reacts to them stays silent on it: of a detector (NudeNet 320), one wrong row of
a convolution moves the boxes by 0.6 pixels on a photograph (66 dB) and shows at 80 to 92 dB on every draw of noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Shape = tuple[int, ...]

_CHANNELS = (1, 3, 4)
_RANK = 4
_LEAST = 16
"""Rows and columns from which on an input with the channels of a picture is taken for one."""
_AREAS, _LINES = 24, 12
_GRAIN = 0.02


def is_picture(shape: Shape) -> bool:
    """True for 4-D shapes that pictures have: 1, 3 or 4 channels, second or last, of at least 16 rows and columns."""
    return len(shape) == _RANK and shape[0] > 0 and (_is_image(shape[1:]) or _is_image((shape[3], *shape[1:3])))


def scenes(shape: Shape, random: np.random.Generator) -> Values:
    """A scene for each element of the batch, of numbers from 0 to 1 (1 excluded).

    Args:
        shape: One for which `is_picture` is true; channels stand second, or last.
        random: Source of the scenes.
    """
    if _is_image(shape[1:]):
        return np.stack([_scene(shape[1:], random) for _ in range(shape[0])])
    size = (shape[3], *shape[1:3])
    return np.stack([np.moveaxis(_scene(size, random), 0, -1) for _ in range(shape[0])])


def _is_image(size: Shape) -> bool:
    return size[0] in _CHANNELS and min(size[1:]) >= _LEAST


def _scene(size: Shape, random: np.random.Generator) -> Values:
    """Areas before a background, each with a gradient of its own, then lines, then grain."""
    rows, columns = np.linspace(-1, 1, size[1])[:, None], np.linspace(-1, 1, size[2])[None, :]
    picture = _gradient(rows, columns, size[0], random)
    for _ in range(_AREAS):
        _put_area(picture, rows, columns, random)
    for _ in range(_LINES):
        _stroke(picture, random)
    picture += _GRAIN * random.standard_normal(picture.shape)
    return np.clip(picture, 0, np.nextafter(np.float32(1), np.float32(0)))


def _gradient(rows: Values, columns: Values, channels: int, random: np.random.Generator) -> Values:
    """A colour that changes slowly."""
    colour, down, right = random.random((channels, 1, 1)), *random.uniform(-0.25, 0.25, (2, channels, 1, 1))
    return np.asarray(colour + down * rows + right * columns)


def _put_area(picture: Values, rows: Values, columns: Values, random: np.random.Generator) -> None:
    """An ellipse or a rectangle, from a 30th of the picture up to a half, turned by any angle."""
    y, x = random.uniform(-1, 1, 2)
    height, width = np.exp(random.uniform(np.log(1 / 30), np.log(1 / 2), 2))
    angle, is_round = random.uniform(0, np.pi), random.random() < 0.5  # noqa: PLR2004 - evenly
    near = np.hypot(height, width)
    window = (
        slice(*np.searchsorted(rows[:, 0], (y - near, y + near))),
        slice(*np.searchsorted(columns[0], (x - near, x + near))),
    )
    rows, columns = rows[window[0]], columns[:, window[1]]
    along = ((rows - y) * np.cos(angle) + (columns - x) * np.sin(angle)) / height
    across = ((columns - x) * np.cos(angle) - (rows - y) * np.sin(angle)) / width
    inside = along**2 + across**2 <= 1 if is_round else np.maximum(np.abs(along), np.abs(across)) <= 1
    place = picture[:, *window]
    np.copyto(place, _gradient(rows, columns, len(picture), random), where=inside)


def _stroke(picture: Values, random: np.random.Generator) -> None:
    """Several lines side by side, of 1 to 3 elements, upright or level: print, grids, fences."""
    turned = picture if random.random() < 0.5 else picture.swapaxes(1, 2)  # noqa: PLR2004 - evenly
    channels, length, width = turned.shape
    thick, colour = random.integers(1, 4), random.random((channels, 1, 1))
    top, left = random.integers(0, length), random.integers(0, width)
    bottom = top + random.integers(4, max(length // 3, 5))
    for place in range(random.integers(1, 9)):
        start = left + place * 3 * thick
        turned[:, top:bottom, start : start + thick] = colour
