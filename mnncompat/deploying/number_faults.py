"""Which mistake with scale, mean and std explains the numbers that a tensor was made with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mnncompat.deploying.image_steps import normalisation

if TYPE_CHECKING:
    from mnncompat.parity.images import Preprocess

_MEAN_APART, _STD_APART = 0.75, 0.01
"""Levels, and a share, that rounding explains."""
_MOST = 255
_KNOWN: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CLIP": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "0.5 and 0.5: values from -1 to 1": ((0.5,), (0.5,)),
    "MNIST": ((0.1307,), (0.3081,)),
}
"""Of pixels that were divided by 255."""


class Numbers(NamedTuple):
    """A tensor is (pixel - mean) / std, in levels of 8 bits.

    Attributes:
        mean: Of each channel.
        std: Likewise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


def number_faults(found: Numbers, declared: Preprocess) -> list[str]:
    """In what the numbers differ from the declared ones; empty if they do not."""
    told = _declared(declared)
    mean, std = _close_means(found.mean, told.mean), _close_deviations(found.std, told.std)
    if mean and std:
        return []
    both = [words for words, other in _together(declared, told) if _is(found, other)]
    if both:
        return both[:1]
    known: list[str] = []
    if not std:
        known += _nearest(_of_std(declared, told), found.std, _close_deviations)
    if not mean:
        known += _nearest(_of_mean(declared, told), found.mean, _close_means)
    complete = len(known) == (not std) + (not mean)
    numbers = f"it computes (pixel - {_words(found.mean)}) / {_words(found.std)}"
    numbers += f", the declared steps (pixel - {_words(told.mean)}) / {_words(told.std)}"
    return known if complete else [*known, numbers]


def _declared(declared: Preprocess) -> Numbers:
    mean, normal = normalisation(declared)
    channels = declared.channels
    return Numbers(mean[:channels], tuple(1 / each for each in normal[:channels]))


def _together(declared: Preprocess, told: Numbers) -> list[tuple[str, Numbers]]:
    """Mistakes that change both numbers."""
    scale, nothing = declared.scale, (0.0,) * len(told.mean)
    twice = Numbers(_times(told.mean, scale), _times(told.std, scale))
    inverted = Numbers(tuple(_MOST - each for each in told.mean), _times(told.std, -1))
    found = [
        ("mean and std are in the opposite order of channels", Numbers(told.mean[::-1], told.std[::-1])),
        *(("mean and std are in another order of channels", each) for each in _orders(told)),
        ("the image is inverted: 255 less the pixel", inverted),
        (f"pixels are not divided by the scale of {scale:g}", _over(told, scale)),
        (f"pixels are divided by the scale of {scale:g} twice", twice),
        ("mean and std are not applied", Numbers(nothing, (scale,) * len(nothing))),
        ("no numbers are applied: the pixels are as they are", Numbers(nothing, (1.0,) * len(nothing))),
    ]
    if scale == 1:
        found.append(("pixels are divided by 255 first", Numbers(_times(told.mean, 255), _times(told.std, 255))))
    found += [(f"mean and std are those of {name}", _in_levels(*each, told)) for name, each in _KNOWN.items()]
    return [each for each in found if not _is(each[1], told)]


def _orders(told: Numbers) -> list[Numbers]:
    """The channels turned by one and by two."""
    return [Numbers(told.mean[at:] + told.mean[:at], told.std[at:] + told.std[:at]) for at in range(1, len(told.mean))]


def _in_levels(mean: tuple[float, ...], std: tuple[float, ...], told: Numbers) -> Numbers:
    """Numbers of pixels of 0 to 1 in levels, for as many channels as are told."""
    wanted = len(told.mean) if len(mean) == 1 else len(mean)
    if wanted != len(told.mean):
        return told
    return Numbers(_times(mean * (wanted if len(mean) == 1 else 1), _MOST), _times(std * (wanted // len(std)), _MOST))


def _over(told: Numbers, scale: float) -> Numbers:
    return Numbers(_times(told.mean, 1 / scale), _times(told.std, 1 / scale))


def _of_std(declared: Preprocess, told: Numbers) -> list[tuple[str, tuple[float, ...]]]:
    scale = declared.scale
    std = tuple(each / scale for each in told.std)
    return [
        ("it does not divide by std", (scale,) * len(std)),
        ("it multiplies by std instead of dividing by it", tuple(scale / each for each in std)),
        ("std is in the opposite order of channels", told.std[::-1]),
        ("std is applied before the scale: it is not divided by it", std),
        (f"pixels are not divided by the scale of {scale:g}", std),
        ("the scale is 127.5, not 255", _times(told.std, 127.5 / scale)),
        ("the scale is 255", _times(told.std, 255 / scale)),
        ("the scale is 256", _times(told.std, 256 / scale)),
    ]


def _of_mean(declared: Preprocess, told: Numbers) -> list[tuple[str, tuple[float, ...]]]:
    scale = declared.scale
    mean = _times(told.mean, 1 / scale)
    return [
        ("it subtracts no mean", (0.0,) * len(mean)),
        ("mean is subtracted before the pixels are divided by the scale, not after it", mean),
        ("mean is subtracted after the pixels are divided by the scale, not before it", _times(told.mean, scale)),
        ("mean is subtracted after the pixels are divided by 255, not before it", _times(told.mean, 255)),
        ("mean is in the opposite order of channels", told.mean[::-1]),
        ("mean is added, not subtracted", _times(told.mean, -1)),
    ]


def _times(numbers: Sequence[float], factor: float) -> tuple[float, ...]:
    return tuple(each * factor for each in numbers)


def _nearest(
    tried: Sequence[tuple[str, tuple[float, ...]]],
    found: tuple[float, ...],
    fits: Callable[[Sequence[float], Sequence[float]], bool],
) -> list[str]:
    """The words of the numbers that are nearest, of those that fit."""
    near = [(sum(abs(a - b) for a, b in zip(found, other, strict=True)), words) for words, other in tried]
    fitting = [each for each, (_, other) in zip(near, tried, strict=True) if fits(found, other)]
    return [min(fitting)[1]] if fitting else []


def _is(one: Numbers, two: Numbers) -> bool:
    return _close_means(one.mean, two.mean) and _close_deviations(one.std, two.std)


def _close_means(one: Sequence[float], two: Sequence[float]) -> bool:
    limits = (max(_MEAN_APART, _STD_APART * abs(b)) for b in two)
    return all(abs(a - b) <= limit for a, b, limit in zip(one, two, limits, strict=True))


def _close_deviations(one: Sequence[float], two: Sequence[float]) -> bool:
    return all(abs(a - b) <= _STD_APART * abs(b) for a, b in zip(one, two, strict=True))


def _words(numbers: Sequence[float]) -> str:
    return "/".join(f"{each:.4g}" for each in numbers)
