"""In which of two forms a fully connected head becomes convolutions."""

from __future__ import annotations

from enum import StrEnum

from mnncompat.errors import UsageError


class HeadForm(StrEnum):
    """How the first layer of a head reads the features [N, C, H, W]."""

    SPATIAL = "spatial"
    """By a convolution with an H x W kernel; nothing is reshaped before it."""
    FLAT = "flat"
    """By a 1 x 1 convolution of the features reshaped to [N, C*H*W, 1, 1]."""


def head_form(word: str | None) -> HeadForm | None:
    """The form that an option names, None if it names none.

    Raises:
        UsageError: There is no such form.
    """
    if word is None:
        return None
    try:
        return HeadForm(word)
    except ValueError as error:
        raise UsageError(f"unknown form of heads: {word}", hint=f"there are: {', '.join(HeadForm)}") from error
