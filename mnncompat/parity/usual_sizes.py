"""Sizes that dynamic dimensions are given, by where they stand."""

from __future__ import annotations

from collections.abc import Sequence

BATCHES = (1, 2, 3)
"""Sizes that a dynamic batch is given."""
MORE_BATCHES = (4, 8)
"""Those that are tried where the model takes too few of them."""
_STATE, _IMAGE, _VIDEO = 3, 4, 5
"""Ranks of a state [layers, batch, features], an image and a video."""
_CHANNELS = (3, 1)
_HEIGHTS = (64, 224, 32, 128, 256, 640, 48, 16)
_WIDTHS = (96, 64, 224, 32, 128, 256, 640, 320, 48, 16)
LENGTHS: Sequence[int] = (16, 8, 32, 64, 128, 512, 1, 4, 2, 16000)
"""Those of a sequence or a signal."""


def usual_sizes(shape: tuple[int | str | None, ...], axis: int) -> Sequence[int]:
    """Sizes of a dimension that is not the batch, the preferred ones first.

    Args:
        shape: Of the input, as the model declares it.
        axis: Of the dimension.
    """
    rank = len(shape)
    if is_state(shape, axis):
        return (*BATCHES, *LENGTHS)
    if rank not in (_IMAGE, _VIDEO):
        return LENGTHS
    channels_last = isinstance(shape[-1], int) and not isinstance(shape[1], int)
    spatial = axis if channels_last else axis - 1
    if spatial == 0 or spatial == rank - 1:
        return _CHANNELS
    return _WIDTHS if spatial == rank - 2 else _HEIGHTS


def is_state(shape: tuple[int | str | None, ...], axis: int) -> bool:
    """Whether a dimension is the batch of a state, [layers, batch, features]."""
    return len(shape) == _STATE and axis == 1 and isinstance(shape[0], int) and isinstance(shape[2], int)
