"""Which known fault of preprocessing explains a tensor: order of colours, layout, resize, crop, orientation, numbers.

A tensor is compared with the pixels that each way of placing an image gives. For each channel the line is fitted that
makes the tensor of the pixels; what is left over does not depend on scale, mean and std, so the placement is found
first, whatever the numbers are. The line of the right placement then tells the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnncompat.deploying.foreign_resizes import foreign_filters, paddings
from mnncompat.deploying.image_steps import normalisation
from mnncompat.deploying.number_faults import Numbers, number_faults
from mnncompat.errors import UsageError
from mnncompat.parity.gray_levels import gray, other_grays
from mnncompat.parity.images import FILTERS, placed
from mnncompat.parity.resampling import crop_start, resized_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnncompat.parity.images import Preprocess

    Pixels = NDArray[np.uint8]
    Resize = Callable[[Pixels, tuple[int, int]], Pixels]
    Tensor = NDArray[np.floating]

_SAME, _CLEARLY = 0.75, 0.6
"""Levels that rounding leaves over; and how much less another placement has to leave over to be believed."""
_SHIFTS = (-1, 0, 1)
_IMAGES = "images"


class Way(NamedTuple):
    """One way of placing an image.

    Attributes:
        words: In what it differs from what is declared; empty for that itself.
        place: Pixels of the whole image -> (height, width, channels) of the result.
        back: What undoes to a tensor what happened to it after its numbers were computed.
    """

    words: tuple[str, ...]
    place: Callable[[Pixels], Pixels | None]
    back: Callable[[Tensor], Tensor] = lambda tensor: tensor


def faults(images: Sequence[Pixels], tensors: Sequence[Tensor], preprocess: Preprocess) -> list[str]:
    """In what tensors differ from what is declared.

    Args:
        images: Pixels of whole images, red first.
        tensors: What somebody made of each: (height, width, channels), float.
        preprocess: What is declared.

    Returns:
        Sentences; empty if they agree up to rounding. The last one says so if nothing explains the difference.
    """
    declared = _fitted(images, tensors, Way((), lambda pixels: _placed(pixels, preprocess)))
    if declared is not None and declared.left <= _SAME:
        return number_faults(declared.numbers, preprocess)
    tried = [(each.words, _fitted(images, tensors, each)) for each in _ways(preprocess, images)]
    known = [(round(found.left, 1), len(words), words, found) for words, found in tried if found is not None]
    limit = _SAME if declared is None else min(_SAME, _CLEARLY * declared.left)
    if not known or min(known)[3].left > limit:
        return [_unexplained(images, tensors, preprocess)]
    *_, words, best = min(known)
    return [*words, *number_faults(best.numbers, preprocess)]


class _Fit(NamedTuple):
    left: float
    numbers: Numbers


def _fitted(images: Sequence[Pixels], tensors: Sequence[Tensor], way: Way) -> _Fit | None:
    """How much a way leaves over, in levels, and the numbers that it needs; None if sizes differ."""
    pairs = []
    for pixels, tensor in zip(images, tensors, strict=True):
        found, undone = way.place(pixels), way.back(tensor)
        if found is None or found.shape != undone.shape:
            return None
        pairs.append((found.reshape(-1, found.shape[-1]).astype(np.float64), undone.reshape(-1, undone.shape[-1])))
    given, wanted = (np.concatenate(each).astype(np.float64) for each in zip(*pairs, strict=True))
    lines = [_line(x, y) for x, y in zip(given.T, wanted.T, strict=True)]
    if any(not factor for factor, _ in lines):
        return None
    factor, shift = (np.asarray(each) for each in zip(*lines, strict=True))
    apart = (given * factor + shift - wanted) / factor
    return _Fit(float(np.sqrt((apart**2).mean())), Numbers(tuple(-shift / factor), tuple(1 / factor)))


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    spread = float(((x - x.mean()) ** 2).sum())
    if not spread:
        return 0.0, 0.0
    factor = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    return factor, float(y.mean() - factor * x.mean())


def _ways(declared: Preprocess, images: Sequence[Pixels]) -> Iterator[Way]:
    """Known faults alone, then two of them together."""
    steps, turns = [*_steps(declared, images)], [*_turns()]
    yield from (Way((words,), partial(_placed, preprocess=other)) for words, other in steps)
    yield from (Way((words,), partial(_placed, preprocess=declared), back) for words, back in turns)
    for words, turn in _orientations():
        yield Way((words,), lambda pixels, turn=turn: _placed(turn(pixels), declared))  # type: ignore[misc]
    yield from (Way((words,), partial(_placed, preprocess=declared, shift=shift)) for shift, words in _shifts(declared))
    yield from (
        Way((words,), partial(_placed, preprocess=declared, gray_of=other)) for words, other in _colors(declared)
    )
    yield from _resizes(declared, images)
    for (one, first), (two, second) in combinations(steps, 2):
        changed = {name: getattr(second, name) for name in _changed(declared, second)}
        if not set(changed) & set(_changed(declared, first)):
            yield Way((one, two), partial(_placed, preprocess=replace(first, **changed)))
    for one, other in steps:
        yield from (Way((one, two), partial(_placed, preprocess=other), back) for two, back in turns)


def _changed(declared: Preprocess, other: Preprocess) -> list[str]:
    return [name for name in ("resize", "filter", "crop", "color") if getattr(declared, name) != getattr(other, name)]


def _steps(declared: Preprocess, images: Sequence[Pixels]) -> Iterator[tuple[str, Preprocess]]:
    """Other steps, and in what words they differ."""
    if declared.color != "gray":
        other = "bgr" if declared.color == "rgb" else "rgb"
        yield f"the order of colours is {other.upper()}, not {declared.color.upper()}", replace(declared, color=other)
    for kind in FILTERS:
        if kind != declared.filter:
            yield f"it resizes with the filter {kind}, not {declared.filter}", replace(declared, filter=kind)
    height, width = images[0].shape[:2]
    size = resized_size((height, width), declared.resize)
    target = declared.crop or size
    if isinstance(declared.resize, int):
        square = (declared.resize, declared.resize)
        yield "the image is stretched to a square, and does not keep its proportions", replace(declared, resize=square)
    elif declared.resize is not None:
        shorter = min(declared.resize)
        yield (
            "the image keeps its proportions (the shorter side is resized) and is cropped, and is not stretched",
            replace(declared, resize=shorter, crop=declared.crop or target),
        )
    if declared.crop is not None:
        yield "it resizes to the size of the crop, and does not crop", replace(declared, resize=declared.crop)
        shorter = min(declared.crop)
        yield f"it resizes the shorter side to {shorter} before the crop", replace(declared, resize=shorter)
        if declared.resize is not None:
            yield "it crops without resizing", replace(declared, resize=None)


def _turns() -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    """What may happen to the tensor in the end, and what undoes it."""
    yield "rows and columns are exchanged", lambda tensor: tensor.transpose(1, 0, 2)
    yield (
        "the memory of channels last (NHWC) is read as channels first (NCHW)",
        lambda tensor: np.moveaxis(tensor, -1, 0).reshape(tensor.shape),
    )
    yield (
        "the memory of channels first (NCHW) is read as channels last (NHWC)",
        lambda tensor: np.moveaxis(tensor.reshape(tensor.shape[2], *tensor.shape[:2]), 0, -1),
    )


def _orientations() -> Iterator[tuple[str, Callable[[Pixels], Pixels]]]:
    """What may happen to the image before."""
    yield "the image is mirrored left to right", lambda pixels: pixels[:, ::-1]
    yield "the image is upside down (flipped)", lambda pixels: pixels[::-1]
    for times in (1, 2, 3):
        turned = "the image is turned by {} degrees: the EXIF orientation is not heeded on one side"
        yield turned.format(90 * times), lambda pixels, times=times: np.rot90(pixels, times)  # type: ignore[misc]


def _shifts(declared: Preprocess) -> Iterator[tuple[tuple[int, int] | str, str]]:
    """Other places of the crop, by rows and columns or by name."""
    if declared.crop is None:
        return
    yield "corner", "it crops at the upper left, not in the middle"
    for name in ("down", "up"):
        yield name, f"half a pixel before the crop is rounded {name}, not to the even one as torchvision does"
    for down in _SHIFTS:
        for right in _SHIFTS:
            if down or right:
                yield (down, right), f"the crop begins {down:+d} rows and {right:+d} columns away from the middle"


def _colors(declared: Preprocess) -> Iterator[tuple[str, Callable[[Pixels], Pixels]]]:
    """Other colours than the declared ones."""
    if declared.color == "gray":
        yield from other_grays()
    else:
        yield "the image is gray: its three channels are equal", lambda pixels: np.repeat(gray(pixels), 3, -1)


def _resizes(declared: Preprocess, images: Sequence[Pixels]) -> Iterator[Way]:
    """Resizes for which there are no steps."""
    height, width = images[0].shape[:2]
    target = declared.crop or resized_size((height, width), declared.resize)
    channels = slice(None, None, -1 if declared.color == "bgr" else 1)

    def whole(pixels: Pixels, resize: Resize) -> Pixels:
        colored = gray(pixels) if declared.color == "gray" else pixels
        return resize(colored, target)[..., channels]

    def before_crop(pixels: Pixels, resize: Resize) -> Pixels | None:
        size = resized_size((pixels.shape[0], pixels.shape[1]), declared.resize)
        return _placed(resize(pixels, size), replace(declared, resize=None))

    if declared.resize is not None:
        for words, resize in foreign_filters():
            told = f"it resizes with the filter {words}, not {declared.filter}"
            yield Way((told,), partial(before_crop, resize=resize))
    mean = tuple(round(each) for each in normalisation(declared)[0][: declared.channels])
    for words, resize in paddings(mean[:: -1 if declared.color == "bgr" else 1]):
        yield Way((f"the image keeps its proportions and is {words}",), partial(whole, resize=resize))


def _placed(
    pixels: Pixels,
    preprocess: Preprocess,
    shift: tuple[int, int] | str = (0, 0),
    gray_of: Callable[[Pixels], Pixels] | None = None,
) -> Pixels | None:
    """Pixels as placed by some steps; None if the crop does not fit."""
    if gray_of is not None or preprocess.color == "gray":
        pixels = (gray_of or gray)(pixels)
    try:
        if shift == (0, 0) or preprocess.crop is None:
            return placed(pixels, preprocess, Path(_IMAGES))
        whole = placed(pixels, replace(preprocess, crop=None), Path(_IMAGES))
    except UsageError:
        return None
    height, width = preprocess.crop
    rest = (whole.shape[0] - height, whole.shape[1] - width)
    middle = crop_start((whole.shape[0], whole.shape[1]), preprocess.crop)
    corners = {"corner": (0, 0), "down": (rest[0] // 2, rest[1] // 2), "up": (-(-rest[0] // 2), -(-rest[1] // 2))}
    top, left = corners[shift] if isinstance(shift, str) else (middle[0] + shift[0], middle[1] + shift[1])
    if top < 0 or left < 0 or top + height > whole.shape[0] or left + width > whole.shape[1]:
        return None
    return whole[top : top + height, left : left + width]


def _unexplained(images: Sequence[Pixels], tensors: Sequence[Tensor], preprocess: Preprocess) -> str:
    """What is told where no known fault explains the difference."""
    found = _placed(images[0], preprocess)
    if found is None or found.shape != tensors[0].shape:
        declared = "nothing that fits" if found is None else _words(found.shape)
        exchanged = found is not None and found.shape[:2] == tensors[0].shape[1::-1]
        told = "height and width are exchanged: " if exchanged else ""
        return f"{told}it gives {_words(tensors[0].shape)}, the declared steps {declared}"
    mean, normal = normalisation(preprocess)
    channels = found.shape[-1]
    expected = (found.astype(np.float64) - mean[:channels]) * normal[:channels]
    levels = np.abs(expected - tensors[0]) / np.asarray(normal[:channels])
    return f"it differs by {levels.mean():.1f} levels of 8 bits in the mean, and no fault that is known explains it"


def _words(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]} of {shape[2]} channels"
