"""The data: scikit-learn's handwritten digits, scaled from 8x8 to the 28x28 that the network takes.

The scaling is plain numpy, in integers up to one final division, so that it gives the same bits on every machine: an
app that deploys the model needs this file and numpy, but neither torch nor scikit-learn. Only `load_digits` reads
scikit-learn's data, which comes with the package; nothing is downloaded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

SOURCE_SIZE = 8
TARGET_SIZE = 28
BRIGHTEST = 16
"""The largest pixel value of the source images; the smallest is 0."""

TEST_EVERY = 5
"""One image in so many of each class goes to the test set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Labelled source images. ``pixels``: uint8 ``[N, 8, 8]`` in 0..16; ``labels``: uint8 ``[N]`` in 0..9."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @property
    def images(self) -> NDArray[np.float32]:
        """The images as the network takes them: see `upscale`."""
        return upscale(self.pixels)

    def select(self, mask: NDArray[np.bool_]) -> "Digits":
        """Return the digits at which ``mask`` (bool ``[N]``) is true, in their order."""
        return Digits(pixels=self.pixels[mask], labels=self.labels[mask])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The test digits with torch's answer to them. ``logits``: float32 ``[N, 10]``."""

    digits: Digits
    logits: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write the reference to ``path``, a compressed ``.npz``; equal contents give equal bytes."""
        np.savez_compressed(path, pixels=self.digits.pixels, labels=self.digits.labels, logits=self.logits)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: If there is no file at ``path``.
            KeyError: If the file lacks one of the arrays.
        """
        with np.load(path) as arrays:
            digits = Digits(pixels=arrays["pixels"], labels=arrays["labels"])
            return cls(digits=digits, logits=arrays["logits"])


def load_digits() -> Digits:
    """Read all 1,797 digits of scikit-learn's bundled data set."""
    from sklearn import datasets  # only training needs scikit-learn

    bunch = datasets.load_digits()
    return Digits(pixels=bunch.images.astype(np.uint8), labels=bunch.target.astype(np.uint8))


def split(digits: Digits) -> tuple[Digits, Digits]:
    """Split into a training and a test set, stratified: every fifth image of each class is a test image.

    No random numbers are involved, so the split does not depend on a library's version.
    """
    is_test = np.zeros(len(digits.labels), dtype=np.bool_)
    for label in np.unique(digits.labels):
        is_test[np.flatnonzero(digits.labels == label)[::TEST_EVERY]] = True
    return digits.select(~is_test), digits.select(is_test)


def upscale(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale uint8 ``[N, 8, 8]`` in 0..16 bilinearly to float32 NCHW ``[N, 1, 28, 28]`` in 0..1.

    Pixel centres are at half-integers and the border is repeated, as in ``torch.nn.functional.interpolate`` with
    ``align_corners=False``. Output pixel ``i`` lies at ``(i + 1/2) * 8/28 - 1/2 = (4 i - 5) / 14`` of the source, so
    that every weight is a multiple of 1/14 and the sums are exact in integers.
    """
    weights, unit = _interpolation_weights()
    scaled = weights @ pixels.astype(np.int64) @ weights.T
    images = (scaled / (unit * unit * BRIGHTEST)).astype(np.float32)
    return images[:, np.newaxis, :, :]


def _interpolation_weights() -> tuple[NDArray[np.int64], int]:
    """Return the weights of the source pixels for each output pixel, int64 ``[28, 8]``, and what one row sums to."""
    unit = 14
    position = np.clip(4 * np.arange(TARGET_SIZE) - 5, 0, unit * (SOURCE_SIZE - 1))
    distance = np.abs(position[:, np.newaxis] - unit * np.arange(SOURCE_SIZE))
    return np.maximum(unit - distance, 0), unit


def test_feeds() -> Iterator[dict[str, NDArray[np.float32]]]:
    """The test digits as `mnncompat verify --feeds` takes them, one at a time."""
    for image in Reference.load(Path(__file__).with_name("test-digits.npz")).digits.images:
        yield {"image": image[None]}
