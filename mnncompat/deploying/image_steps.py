"""Declared preprocessing as an application does it: a resize where MNN has none like it, then MNN's ImageProcess."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mnncompat.mnn.image_process import ImageProcess
from mnncompat.parity.resampling import crop_start, resized_size

if TYPE_CHECKING:
    from mnncompat.parity.images import Preprocess

    Size = tuple[int, int]

OWN_RESIZE = ("antialias", "bicubic", "nearest")
"""Filters that the code computes before ImageProcess: it lacks two, and takes the pixel beside in the third, where its
32-bit places are rounded."""
_FORMATS = {"rgb": "RGB", "bgr": "BGR", "gray": "GRAY"}
_FOUR = 4


class ImageSteps(NamedTuple):
    """How an image becomes an input.

    Attributes:
        resize: Height and width that the code itself resizes to first; None where ImageProcess does it.
        process: Of what ImageProcess gets.
    """

    resize: Size | None
    process: ImageProcess


def image_steps(preprocess: Preprocess, size: Size) -> ImageSteps:
    """The parameters for an image of a size.

    Args:
        preprocess: What is declared.
        size: Height and width of the image.
    """
    wanted = resized_size(size, preprocess.resize)
    own = wanted if preprocess.filter in OWN_RESIZE and wanted != size else None
    crop = preprocess.crop or wanted
    given = own or size
    top, left = crop_start(wanted, crop)
    down, shift_down = _axis(given[0], wanted[0], top, corners=preprocess.filter == "corners")
    right, shift_right = _axis(given[1], wanted[1], left, corners=preprocess.filter == "corners")
    mean, normal = normalisation(preprocess)
    process = ImageProcess(
        source="RGB",
        dest=_FORMATS[preprocess.color],
        filter="BILINEAL",
        mean=mean,
        normal=normal,
        matrix=(right, 0.0, shift_right, 0.0, down, shift_down, 0.0, 0.0, 1.0),
        size=crop,
    )
    return ImageSteps(own, process)


def _axis(given: int, wanted: int, start: int, *, corners: bool) -> tuple[float, float]:
    """Factor and shift from places in the result to places in the image."""
    if corners:
        factor = (given - 1) / max(wanted - 1, 1)
        return factor, start * factor
    factor = given / wanted
    return factor, (start + 0.5) * factor - 0.5


def normalisation(preprocess: Preprocess) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """``mean`` and ``normal``: (pixel / scale - mean) / std is (pixel - mean * scale) / (scale * std)."""
    channels = preprocess.channels

    def each(numbers: tuple[float, ...], default: float) -> tuple[float, ...]:
        return numbers if len(numbers) == channels else (numbers or (default,)) * channels

    mean = tuple(number * preprocess.scale for number in each(preprocess.mean, 0.0))
    normal = tuple(1.0 / (preprocess.scale * number) for number in each(preprocess.std, 1.0))
    return mean + (0.0,) * (_FOUR - channels), normal + (1.0,) * (_FOUR - channels)
