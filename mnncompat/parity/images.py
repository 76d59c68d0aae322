"""Images as a model's input, with Pillow (extra ``images``).

``resize:224,crop:224,color:rgb,scale:255,mean:0.485/0.456/0.406,std:0.229/0.224/0.225,layout:nchw``

Each key is given once at most, in any order. What is done, always in this order:

1. The file is decoded, and turned as its EXIF orientation says. Images of more than 8 bits are refused.
2. ``color``: ``rgb`` (default), ``bgr``, or ``gray`` of one channel (ITU-R 601-2). Transparency is dropped.
3. ``resize``: ``N`` makes the shorter side N and keeps the aspect ratio (the longer side is rounded down);
   ``HxW`` makes it H high and W wide. Default: as large as it is. ``filter``: ``antialias`` (default: bilinear) and
   ``bicubic`` as Pillow and torchvision do, or without antialiasing ``bilinear``, ``nearest`` and ``corners``: see
   `mnncompat.parity.resampling`.
4. ``crop``: ``N`` or ``HxW`` from the middle, and from the even one of two middles, as torchvision does;
   an image that is smaller is refused. Default: nothing is cut off.
5. For an input of floats: divided by ``scale`` (default 1), less ``mean``, divided by ``std``, in float32. ``mean`` and
   ``std`` are one number or one for each channel, in the order of ``color``. An input of uint8 gets the bytes.
6. ``layout``: ``nchw``, ``nhwc``, ``chw`` or ``hwc``; ``n`` is an axis of one image. Default: what the declared shape
   says, with the channels first where it says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat.errors import UsageError
from mnncompat.parity.resampling import SAMPLED, Size, crop_start, resized_size, sampled

if TYPE_CHECKING:
    from mnncompat.parity.signature import InputSpec

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
"""Suffixes of files that are read as images."""
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
"""What is decoded, whatever a file is called: Pillow knows formats by their contents, and some run other programs."""
_MOST_PIXELS = 1 << 15
"""Of one side that an image is resized to or cut from."""
FILTERS = ("antialias", "bicubic", *SAMPLED)
"""How images are resized; the first two with Pillow, whose kernel grows with what is made smaller."""
_COLORS = ("rgb", "bgr", "gray")
_LAYOUTS = ("nchw", "nhwc", "chw", "hwc")
_EXAMPLE = "resize:224,crop:224,scale:255,mean:0.485/0.456/0.406,std:0.229/0.224/0.225"
_DEEP = ("I", "F")
_CHANNELS = (1, 3)
_RANKS = {3: ("chw", "hwc"), 4: ("nchw", "nhwc")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """How an image becomes an input; see the top of this module.

    Attributes:
        resize: The shorter side, or height and width.
        filter: How it is resized: one of `FILTERS`.
        crop: Height and width.
        color: One of rgb, bgr, gray.
        scale: Pixels are divided by it.
        mean: Subtracted then: empty, one number, or one for each channel.
        std: Divided by then, like `mean`.
        layout: One of nchw, nhwc, chw, hwc; empty for what the input declares.
    """

    resize: int | Size | None = None
    filter: str = FILTERS[0]
    crop: Size | None = None
    color: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: str = ""

    @property
    def channels(self) -> int:
        """Number of channels."""
        return 1 if self.color == "gray" else 3

    def prepare(self, pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
        """Steps 5 and 6.

        Args:
            pixels: What `decode` returned.
            spec: The input.

        Raises:
            UsageError: The input does not take images, or not such ones.
        """
        layout = self._layout_for(spec)
        values = pixels if spec.dtype == np.uint8 else self._normalized(pixels, spec)
        values = values if layout.endswith("hwc") else np.moveaxis(values, -1, 0)
        array = np.ascontiguousarray(values[None] if layout.startswith("n") else values)
        _require_size(spec, layout, array.shape, declared=_declared_layout(spec))
        if spec.dtype == np.uint8 and (self.scale != 1 or self.mean or self.std):
            raise UsageError(
                f"input {spec.name!r} takes bytes, so its images cannot be scaled",
                hint="leave out scale, mean and std: the model does that itself",
            )
        return array

    def _normalized(self, pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
        values = pixels.astype(np.float32) / np.float32(self.scale)
        mean, std = (np.asarray(each, np.float32) for each in (self.mean or 0, self.std or 1))
        return ((values - mean) / std).astype(spec.dtype)

    def _layout_for(self, spec: InputSpec) -> str:
        if spec.dtype is None or not (spec.dtype.kind == "f" or spec.dtype == np.uint8):
            kind = "of another type" if spec.dtype is None else spec.dtype.name
            raise UsageError(
                f"input {spec.name!r} is {kind}, which no image is", hint="images are fed as floats or as uint8"
            )
        if spec.shape is None:
            return self.layout or "nchw"
        if len(spec.shape) not in _RANKS:
            declared = [each if each is not None else "?" for each in spec.shape]
            raise UsageError(
                f"input {spec.name!r} is no image: the model declares {declared} for it".replace("'", ""),
                hint="an image has 3 axes, or 4 with a batch",
            )
        first, last = _RANKS[len(spec.shape)]
        if self.layout and self.layout not in (first, last):
            raise UsageError(
                f"--preprocess {spec.name}=layout:{self.layout}: the input has {len(spec.shape)} axes",
                hint=f"its layout is {first} or {last}",
            )
        return self.layout or _declared_layout(spec) or first


def _declared_layout(spec: InputSpec) -> str:
    """The layout that the shape of an input says by its channels; empty where it says nothing."""
    if spec.shape is None or len(spec.shape) not in _RANKS:
        return ""
    first, last = _RANKS[len(spec.shape)]
    if spec.shape[-3] in _CHANNELS:
        return first
    return last if spec.shape[-1] in _CHANNELS else ""


def parse_preprocess(option: str, text: str) -> Preprocess:
    """Read ``resize:224,scale:255``.

    Args:
        option: What the user wrote, for messages.
        text: The steps, separated by commas.

    Raises:
        UsageError: A key that does not exist or comes twice, or a value that does not fit.
    """
    found: dict[str, Any] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        key, _, value = part.partition(":")
        if key not in _PARSERS:
            raise UsageError(f"{option}: there is no step {key!r}", hint=f"there are: {', '.join(_PARSERS)}")
        if key in found:
            raise UsageError(f"{option}: {key} is given twice", hint="give each step once")
        parse, form = _PARSERS[key]
        try:
            found[key] = parse(value)
        except ValueError:
            raise UsageError(f"{option}: {part!r} is not understood", hint=f"write it as {form}") from None
    if not found:
        raise UsageError(f"{option} says nothing", hint=f"for instance {_EXAMPLE}")
    preprocess = Preprocess(**found)
    for key in ("mean", "std"):
        if len(getattr(preprocess, key)) not in (0, 1, preprocess.channels):
            raise UsageError(
                f"{option}: {key} has {len(getattr(preprocess, key))} numbers for {preprocess.channels} channels",
                hint="give one number, or one for each channel, separated by /",
            )
    return preprocess


def decode(path: Path, preprocess: Preprocess) -> np.ndarray:
    """Steps 1 to 4: pixels as uint8, (height, width, channels).

    Args:
        path: An image file.
        preprocess: How it is prepared.

    Raises:
        UsageError: Pillow is not installed, or the file is no image that can be prepared so.
    """
    return placed(opened(path, gray=preprocess.color == "gray"), preprocess, path)


def opened(path: Path, *, gray: bool = False) -> np.ndarray:
    """Steps 1 and 2: pixels of the whole image as uint8, (height, width, channels), red first or gray.

    Raises:
        UsageError: As for `decode`.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise UsageError(
            f"{path} is an image, and Pillow is not installed", hint='pip install "mnncompat[images]"'
        ) from error
    try:
        with Image.open(path, formats=_FORMATS) as file:
            _require_bytes(file.mode, path)
            turned = ImageOps.exif_transpose(file)
            image = turned.convert("L" if gray else "RGB")
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise whatever their parts do: struct, zlib, TypeError, ...
        told = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path} cannot be read as an image: {told}", hint="convert it to PNG or JPEG") from error
    return np.asarray(image, dtype=np.uint8).reshape(image.height, image.width, -1)


def _require_bytes(mode: str, path: Path) -> None:
    if mode.startswith(_DEEP):
        raise UsageError(f"{path} has more than 8 bits", hint="prepare it yourself, and save an array as .npy")


def as_trained(path: Path) -> Any:
    """An image as training code opens it: a `PIL.Image.Image` of three colours, its EXIF orientation not heeded.

    Raises:
        UsageError: As for `decode`.
    """
    opened(path)  # says what is wrong with it
    from PIL import Image

    with Image.open(path, formats=_FORMATS) as file:
        return file.convert("RGB")


def placed(pixels: np.ndarray, preprocess: Preprocess, path: Path) -> np.ndarray:
    """Steps 3 and 4, and blue first where that is asked for.

    Args:
        pixels: Of the whole image, red first or gray: uint8, (height, width, channels).
        preprocess: How it is prepared.
        path: What messages call it.

    Raises:
        UsageError: The image is smaller than the crop.
    """
    size = resized_size((pixels.shape[0], pixels.shape[1]), preprocess.resize)
    pixels = resized_pixels(pixels, size, preprocess.filter)
    return _cropped(path, pixels[..., ::-1] if preprocess.color == "bgr" else pixels, preprocess.crop)


def resized_pixels(pixels: np.ndarray, size: Size, kind: str) -> np.ndarray:
    """Pixels of 8 bits, (height, width, channels), in another height and width, by one of `FILTERS` or of Pillow's."""
    from PIL import Image

    if kind in SAMPLED or pixels.shape[:2] == size:
        return sampled(pixels, size, kind)
    name = "BILINEAR" if kind == "antialias" else kind.upper()
    image = Image.fromarray(pixels if pixels.shape[-1] > 1 else pixels[..., 0])
    return np.asarray(image.resize(size[::-1], Image.Resampling[name]), np.uint8).reshape(*size, pixels.shape[-1])


def _cropped(path: Path, pixels: np.ndarray, wanted: Size | None) -> np.ndarray:
    height, width = wanted or pixels.shape[:2]
    top, left = crop_start((pixels.shape[0], pixels.shape[1]), (height, width))
    if height > pixels.shape[0] or width > pixels.shape[1]:
        raise UsageError(
            f"{path} is {pixels.shape[0]}x{pixels.shape[1]}, smaller than the crop of {height}x{width}",
            hint="resize it first: resize:N makes the shorter side N",
        )
    return pixels[top : top + height, left : left + width]


def _require_size(spec: InputSpec, layout: str, shape: tuple[int, ...], *, declared: str) -> None:
    """The image is as large as the input declares; `declared` is the layout that its shape says, if any."""
    sizes = dict(zip(layout, spec.shape or (), strict=False))
    found = dict(zip(layout, shape, strict=True))
    wrong = [axis for axis, size in sizes.items() if axis in "hw" and isinstance(size, int) and size != found[axis]]
    if wrong and declared and layout != declared:
        raise UsageError(
            f"layout:{layout} does not fit input {spec.name!r}, whose shape says {declared}",
            hint="leave layout out: it is then what the input declares",
        )
    if wrong:
        height, width = (sizes[axis] if isinstance(sizes[axis], int) else found[axis] for axis in "hw")
        raise UsageError(
            f"the image for input {spec.name!r} is {found['h']}x{found['w']}, the model has {height}x{width}",
            hint=f"resize:{height}x{width} in --preprocess makes it so",
        )


def _side(text: str) -> int:
    side = int(text)
    if not 1 <= side <= _MOST_PIXELS:
        raise ValueError(text)
    return side


def _size(text: str) -> Size:
    height, cross, width = text.partition("x")
    return _side(height), _side(width if cross else height)


def _numbers(text: str) -> tuple[float, ...]:
    numbers = tuple(float(each) for each in text.split("/"))
    if not all(map(isfinite, numbers)):
        raise ValueError(text)
    return numbers


def _divisors(text: str) -> tuple[float, ...]:
    numbers = _numbers(text)
    if min(numbers) <= 0:
        raise ValueError(text)
    return numbers


def _divisor(text: str) -> float:
    (number,) = _divisors(text)
    return number


def _one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    return parse


_PARSERS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "resize": (lambda text: _size(text) if "x" in text else _side(text), "resize:224 or resize:224x320"),
    "filter": (_one_of(FILTERS), f"filter:{FILTERS[0]}, one of {', '.join(FILTERS)}"),
    "crop": (_size, "crop:224 or crop:224x320"),
    "color": (_one_of(_COLORS), "color:rgb, color:bgr or color:gray"),
    "scale": (_divisor, "scale:255"),
    "mean": (_numbers, "mean:0.5 or mean:0.485/0.456/0.406"),
    "std": (_divisors, "std:0.5 or std:0.229/0.224/0.225"),
    "layout": (_one_of(_LAYOUTS), "layout:nchw, layout:nhwc, layout:chw or layout:hwc"),
}
