"""MNN's ImageProcess, run in a child process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mnncompat.mnn.arrays import read_arrays, write_arrays
from mnncompat.mnn.process import working_directory
from mnncompat.mnn.request import perform
from mnncompat.mnn.worker import FEEDS, OUTPUTS
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.mnn.options import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageProcess:
    """Parameters of MNN's ImageProcess, which computes (pixel - mean) * normal.

    Attributes:
        source: Format of the image: `RGB`, `BGR` or `GRAY`.
        dest: Format of the result.
        filter: `BILINEAL` or `NEAREST`; MNN spells it so in Python.
        mean: Four numbers, in the order of `dest`.
        normal: Likewise.
        matrix: Row by row: from places in the result to places in the image.
        size: Height and width of the result.
    """

    source: str
    dest: str
    filter: str
    mean: tuple[float, ...]
    normal: tuple[float, ...]
    matrix: tuple[float, ...]
    size: tuple[int, int]


def processed(
    images: Sequence[np.ndarray], wanted: Sequence[ImageProcess], *, limits: Limits
) -> list[np.ndarray] | Failure:
    """Prepare images with MNN.

    Args:
        images: Pixels as uint8, (height, width, channels).
        wanted: How each is prepared.
        limits: What the child process may use.

    Returns:
        float32, (height, width, channels) of each, or how it failed.

    Raises:
        RunnerError: MNN is not installed.
    """
    with working_directory() as directory:
        write_arrays(directory / FEEDS, list(images))
        answer = perform("prepare", {"wanted": [asdict(each) for each in wanted]}, directory=directory, limits=limits)
        return answer if isinstance(answer, Failure) else read_arrays(directory / OUTPUTS)
