"""A planted fault of preprocessing is found, and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from photographs import photograph
from PIL import Image

from mnncompat.deploying.preprocess_faults import faults
from mnncompat.parity.images import parse_preprocess, placed
from mnncompat.parity.resampling import crop_start

MEAN, STD = np.asarray([0.485, 0.456, 0.406]), np.asarray([0.229, 0.224, 0.225])
DECLARED = "resize:96,crop:80,scale:255,mean:0.485/0.456/0.406,std:0.229/0.224/0.225"
Pixels = NDArray[np.uint8]
Tensor = NDArray[np.float64]


def resize(pixels: Pixels, size: tuple[int, int], kind: Image.Resampling = Image.Resampling.BILINEAR) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], kind))


def middle(pixels: Pixels, size: int = 80, shift: tuple[int, int] = (0, 0)) -> Pixels:
    top, left = (pixels.shape[0] - size) // 2 + shift[0], (pixels.shape[1] - size) // 2 + shift[1]
    return pixels[top : top + size, left : left + size]


def usual(pixels: Pixels) -> Pixels:
    """Resized and cropped as declared; written without the package."""
    return middle(resize(pixels, (96, 96 * pixels.shape[1] // pixels.shape[0])))


def numbers(pixels: Pixels) -> Tensor:
    found: Tensor = (pixels / 255 - MEAN) / STD
    return found


def not_antialiased(pixels: Pixels, *, corners: bool = False, mode: str = "bilinear") -> Pixels:
    """As torch does without antialiasing."""
    import torch
    from torch.nn import functional

    planes = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    aligned = {} if mode == "nearest" else {"align_corners": corners}
    found = functional.interpolate(planes, size=(96, 121), mode=mode, **aligned)
    return np.asarray(found[0].permute(1, 2, 0).round().clamp(0, 255).numpy(), np.uint8)


def padded(pixels: Pixels, fill: int) -> Pixels:
    """80x80: the image as wide as that, and as high as its proportions say."""
    found = np.full((80, 80, 3), fill, np.uint8)
    high = round(pixels.shape[0] * 80 / pixels.shape[1])
    top = (80 - high) // 2
    found[top : top + high] = resize(pixels, (high, 80))
    return found


def channels_last_as_first(tensor: Tensor) -> Tensor:
    height, width, channels = tensor.shape
    found: Tensor = np.moveaxis(tensor.reshape(channels, height, width), 0, -1)
    return found


PLANTED: dict[str, tuple[Callable[[Pixels], Tensor], str]] = {
    "blue first": (lambda x: numbers(usual(x)[..., ::-1]), "the order of colours is BGR"),
    "blue first, and its numbers": (
        lambda x: (usual(x)[..., ::-1] / 255 - MEAN[::-1]) / STD[::-1],
        "the order of colours is BGR | mean and std are in the opposite",
    ),
    "mean after scale": (lambda x: (usual(x) - MEAN) / 255 / STD, "mean is subtracted before the pixels are divided"),
    "numbers of blue first": (lambda x: (usual(x) / 255 - MEAN[::-1]) / STD[::-1], "mean and std are in the opposite"),
    "channels last": (lambda x: channels_last_as_first(numbers(usual(x))), "(NHWC) is read as channels first (NCHW)"),
    "not antialiased": (lambda x: numbers(middle(not_antialiased(x))), "filter bilinear, not antialias"),
    "corners": (lambda x: numbers(middle(not_antialiased(x, corners=True))), "filter corners, not antialias"),
    "nearest": (lambda x: numbers(middle(resize(x, (96, 121), Image.Resampling.NEAREST))), "filter nearest"),
    "bicubic": (lambda x: numbers(middle(resize(x, (96, 121), Image.Resampling.BICUBIC))), "filter bicubic"),
    "scaled twice": (lambda x: (usual(x) / 255 / 255 - MEAN) / STD, "divided by the scale of 255 twice"),
    "not scaled": (lambda x: (usual(x) - MEAN) / STD, "not divided by the scale of 255"),
    "no mean": (lambda x: usual(x) / 255 / STD, "it subtracts no mean"),
    "no std": (lambda x: usual(x) / 255 - MEAN, "does not divide by std"),
    "std multiplied": (lambda x: (usual(x) / 255 - MEAN) * STD, "multiplies by std"),
    "stretched": (lambda x: numbers(middle(resize(x, (96, 96)))), "does not keep its proportions"),
    "upper left": (lambda x: numbers(resize(x, (96, 121))[:80, :80]), "crops at the upper left"),
    "one row off": (
        lambda x: numbers(middle(resize(x, (96, 121)), shift=(1, 0))),
        "begins +1 rows and +0 columns",
    ),
    "not cropped": (lambda x: numbers(resize(x, (80, 80))), "resizes to the size of the crop"),
    "rows as columns": (lambda x: numbers(usual(x)).transpose(1, 0, 2), "rows and columns are exchanged"),
    "mirrored": (lambda x: numbers(usual(x[:, ::-1])), "mirrored"),
    "turned": (lambda x: numbers(usual(np.rot90(x, 2))), "turned by 180 degrees"),
    "to -1 and 1": (lambda x: usual(x) / 127.5 - 1, "those of 0.5 and 0.5: values from -1 to 1"),
    "numbers of CLIP": (
        lambda x: (usual(x) / 255 - [0.481, 0.458, 0.408]) / [0.2686, 0.2613, 0.2758],
        "mean and std are those of CLIP",
    ),
    "channels turned": (
        lambda x: (usual(x) / 255 - MEAN[[1, 2, 0]]) / STD[[1, 2, 0]],
        "mean and std are in another order of channels",
    ),
    "inverted": (lambda x: numbers((255 - usual(x)).astype(np.uint8)), "the image is inverted"),
    "gray": (
        lambda x: numbers(usual(np.asarray(Image.fromarray(x).convert("L").convert("RGB")))),
        "the image is gray: its three channels are equal",
    ),
    "letterbox": (lambda x: numbers(padded(x, 114)), "keeps its proportions and is padded with 114 on both sides"),
    "cubic without antialiasing": (
        lambda x: numbers(middle(not_antialiased(x, mode="bicubic"))),
        "the filter bicubic without antialiasing (OpenCV, torch), not antialias",
    ),
    "lanczos": (lambda x: numbers(middle(resize(x, (96, 121), Image.Resampling.LANCZOS))), "filter lanczos"),
    "nearest of torch": (lambda x: numbers(middle(not_antialiased(x, mode="nearest"))), "nearest from the upper left"),
    "blue first, not antialiased": (
        lambda x: numbers(middle(not_antialiased(x))[..., ::-1]),
        "the order of colours is BGR | filter bilinear",
    ),
    "blue first and channels last": (
        lambda x: channels_last_as_first(numbers(usual(x)[..., ::-1])),
        "the order of colours is BGR | read as channels first",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_named(name: str) -> None:
    made, words = PLANTED[name]
    image = photograph(list(PLANTED).index(name))
    found = faults([image], [made(image)], parse_preprocess("--preprocess", DECLARED))
    told = "; ".join(found)
    assert all(part in told for part in words.split(" | ")), told
    assert len(found) == 1 + words.count(" | "), told


GRAYS: dict[str, tuple[Callable[[Pixels], Tensor], str]] = {
    "weights exchanged": (
        lambda x: np.asarray(Image.fromarray(x[..., ::-1].copy()).convert("L")) / 255,
        "weights of red and blue exchanged",
    ),
    "not weighted": (lambda x: x.mean(-1) / 255, "the mean of the colours"),
    "one channel": (lambda x: x[..., 1] / 255, "the channel of green alone"),
    "inverted": (lambda x: 1 - np.asarray(Image.fromarray(x).convert("L")) / 255, "the image is inverted"),
}


@pytest.mark.parametrize("name", GRAYS)
def test_a_fault_of_gray_is_named(name: str) -> None:
    made, words = GRAYS[name]
    image = photograph(3)
    (found,) = faults([image], [made(image)[..., None]], parse_preprocess("--preprocess", "color:gray,scale:255"))
    assert words in found


def test_the_middle_is_that_of_torchvision() -> None:
    """It rounds (size - crop) / 2 to the even one; others round down, and that is told."""
    assert [crop_start((20 + rest, 21), (20, 20))[0] for rest in range(8)] == [0, 0, 1, 2, 2, 2, 3, 4]
    declared = parse_preprocess("--preprocess", "crop:141x183")
    image = photograph(3, (144, 190))
    assert faults([image], [image[2:143, 4:187].astype(float)], declared) == []
    (found,) = faults([image], [image[1:142, 3:186].astype(float)], declared)
    assert "rounded down, not to the even one as torchvision does" in found


@pytest.mark.parametrize("size", [(150, 190), (96, 121), (81, 300), (200, 120)])
def test_what_is_declared_has_no_fault(size: tuple[int, int]) -> None:
    images = [photograph(7, size), photograph(8, size)]
    declared = parse_preprocess("--preprocess", DECLARED)
    same = [numbers(placed(each, declared, Path("image"))) for each in images]
    assert faults(images, same, declared) == []
    assert faults(images, [each + np.random.default_rng(0).uniform(-0.002, 0.002) for each in same], declared) == []


def test_what_is_not_known_is_said() -> None:
    images = [photograph(3)]
    declared = parse_preprocess("--preprocess", DECLARED)
    found = faults(images, [numbers(usual(images[0])) ** 3], declared)
    assert len(found) == 1
    assert "no fault that is known explains it" in found[0]
    assert "it gives 40x40 of 3 channels" in faults(images, [np.zeros((40, 40, 3))], declared)[0]
