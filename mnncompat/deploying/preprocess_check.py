"""Compare three ways from an image to an input: the training transform, what is declared, and MNN's ImageProcess."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat.deploying.image_steps import image_steps, normalisation
from mnncompat.deploying.preprocess_faults import faults
from mnncompat.errors import UsageError
from mnncompat.mnn.image_process import processed
from mnncompat.parity.feed_functions import called, function_of
from mnncompat.parity.images import as_trained, opened, placed, resized_pixels
from mnncompat.results.failures import Failure
from mnncompat.results.preprocess_report import MOST_LEVELS, PreprocessReport

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.mnn import Limits
    from mnncompat.parity.images import Preprocess

    Tensor = NDArray[np.float64]
    Transform = Callable[[Any], Any]

_MOST_IMAGES = 8
_CHANNELS = (1, 3)
_IMAGE_RANK = 3
_OPTION = "--transform"


def transformed(files: Sequence[Path], target: str) -> list[np.ndarray]:
    """What the training transform makes of images, as it is.

    Args:
        files: The images.
        target: ``module:function``; it gets a `PIL.Image.Image`.

    Raises:
        UsageError: There is no such function, or it fails.
    """
    function = function_of(_OPTION, target)
    found = [called(_OPTION, target, function, as_trained(file)) for file in files]
    return [_array(target, each) for each in found]


def check_preprocess(
    name: str,
    files: Sequence[Path],
    preprocess: Preprocess,
    steps: str,
    transform: str,
    *,
    limits: Limits,
) -> PreprocessReport:
    """Compare on images.

    Args:
        name: Of the input.
        files: Images; the first ones are taken.
        preprocess: What is declared.
        steps: The same as the user wrote it.
        transform: The training transform, ``module:function``; empty for none.
        limits: Of MNN's child process.

    Raises:
        UsageError: An image cannot be read or placed, or the transform fails.
        RunnerError: MNN is not installed.
    """
    files = files[:_MOST_IMAGES]
    images = [opened(file, gray=preprocess.color == "gray") for file in files]
    declared = [_declared(pixels, preprocess, file) for pixels, file in zip(images, files, strict=True)]
    report = _against_mnn(name, files, images, declared, preprocess, steps, limits)
    if not transform:
        return report
    tensors = [_last(each, declared[0].shape[-1]) for each in transformed(files, transform)]
    colored = [opened(file) for file in files] if preprocess.color == "gray" else images
    return _with_transform(report, colored, declared, tensors, preprocess, transform)


def _declared(pixels: np.ndarray, preprocess: Preprocess, file: Path) -> Tensor:
    """What the declared steps make of an image: (height, width, channels)."""
    found = placed(pixels, preprocess, file).astype(np.float64)
    mean, normal = (np.asarray(each[: preprocess.channels]) for each in normalisation(preprocess))
    result: Tensor = (found - mean) * normal
    return result


def _against_mnn(
    name: str,
    files: Sequence[Path],
    images: Sequence[np.ndarray],
    declared: Sequence[Tensor],
    preprocess: Preprocess,
    steps: str,
    limits: Limits,
) -> PreprocessReport:
    given, wanted = [], []
    for pixels, file in zip(images, files, strict=True):
        colored = opened(file) if preprocess.color == "gray" else pixels
        step = image_steps(preprocess, (pixels.shape[0], pixels.shape[1]))
        given.append(colored if step.resize is None else resized_pixels(colored, step.resize, preprocess.filter))
        wanted.append(step.process)
    own = any(image_steps(preprocess, (each.shape[0], each.shape[1])).resize is not None for each in images)
    found = processed(given, wanted, limits=limits)
    made = PreprocessReport(input=name, steps=steps, images=len(files), resizes_before=own)
    if isinstance(found, Failure):
        return replace(made, problem=f"MNN's ImageProcess fails: {found.message}")
    return replace(made, levels=max(_apart(*each, preprocess) for each in zip(found, declared, strict=True)))


def _with_transform(
    report: PreprocessReport,
    images: Sequence[np.ndarray],
    declared: Sequence[Tensor],
    tensors: Sequence[Tensor],
    preprocess: Preprocess,
    transform: str,
) -> PreprocessReport:
    pairs = list(zip(declared, tensors, strict=True))
    same_size = all(one.shape == two.shape for one, two in pairs)
    levels = max(_apart(one, two, preprocess) for one, two in pairs) if same_size else None
    found: tuple[str, ...] = ()
    if levels is None or levels > MOST_LEVELS:
        found = tuple(faults(images, tensors, preprocess))
        if not found:
            found = (f"single pixels differ by up to {levels:.1f} levels of 8 bits",)
    return replace(report, transform=transform, transform_levels=levels, faults=found)


def _apart(one: np.ndarray, two: np.ndarray, preprocess: Preprocess) -> float:
    """The largest difference in levels of 8 bits."""
    normal = np.asarray(normalisation(preprocess)[1][: preprocess.channels])
    return float((np.abs(one.astype(np.float64) - two) / normal).max(initial=0.0))


def _last(array: np.ndarray, channels: int) -> Tensor:
    """A tensor with channels last: (height, width, channels)."""
    values = np.asarray(array, np.float64)
    if values.ndim == _IMAGE_RANK + 1 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == _IMAGE_RANK - 1:
        values = values[None]
    if values.ndim != _IMAGE_RANK:
        raise UsageError(
            f"{_OPTION} gives an array of shape {list(array.shape)}, which is no image",
            hint="it returns (channels, height, width), (height, width, channels), or one of them in a batch of one",
        )
    first = values.shape[0] == channels or (values.shape[0] in _CHANNELS and values.shape[-1] not in _CHANNELS)
    return np.moveaxis(values, 0, -1) if first else values


def _array(target: str, value: Any) -> np.ndarray:
    try:
        found = np.asarray(value)
    except Exception as error:
        raise UsageError(f"{_OPTION} {target} returns no array: {error}", hint="return a tensor or an array") from error
    if found.dtype.kind not in "biuf":
        raise UsageError(f"{_OPTION} {target} returns {found.dtype.name}", hint="return a tensor of numbers")
    return found
