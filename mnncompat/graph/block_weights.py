"""Weights of a few bits with a scale and a zero point for each block, as com.microsoft.MatMulNBits holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BYTE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockWeights:
    """A matrix of integers, of which each block of a row has a scale.

    Attributes:
        bits: Of each integer.
        size: Elements of a block, along a row.
        integers: (columns of the product, rows), from 0.
        scales: (columns of the product, blocks), float32.
        zeros: Likewise: the integer that stands for 0.
        place: (rows,), the block of each row.
    """

    bits: int
    size: int
    integers: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.float32]
    place: NDArray[np.integer[Any]]

    @property
    def is_regular(self) -> bool:
        """Whether each block is `size` rows that follow one another, and the last one is as long as the others."""
        rows = self.integers.shape[1]
        return not rows % self.size and np.array_equal(self.place, np.arange(rows) // self.size)

    def floats(self) -> NDArray[np.float32]:
        """What they stand for: (columns of the product, rows)."""
        return (self.integers.astype(np.float32) - self.zeros[:, self.place]) * self.scales[:, self.place]


def unpacked(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Integers of a few bits out of bytes, the low bits first, along the last axis."""
    shifts = np.arange(0, _BYTE, bits, dtype=np.uint8)
    parts = (values[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return parts.reshape(*values.shape[:-1], -1)


def block_weights(
    packed: NDArray[Any],
    scales: NDArray[Any],
    zeros: NDArray[Any] | None,
    groups: NDArray[Any] | None,
    *,
    bits: int,
    size: int,
    shape: tuple[int, int],
) -> BlockWeights:
    """The weights of a MatMulNBits.

    Args:
        packed: Its operand B, bytes.
        scales: Its scales.
        zeros: Its zero points, packed bytes or floats; None for the middle.
        groups: The block of each row (``g_idx``); None for blocks that follow one another.
        bits: Its attribute.
        size: Its ``block_size``.
        shape: Its N and K.

    Raises:
        ValueError: The sizes contradict one another.
    """
    columns, rows = shape
    blocks = -(-rows // size)
    middle = np.full((columns, blocks), float(1 << (bits - 1)), np.float32)
    if zeros is not None and zeros.dtype == np.uint8:
        middle = unpacked(zeros.reshape(columns, -1), bits)[:, :blocks].astype(np.float32)
    elif zeros is not None:
        middle = zeros.astype(np.float32).reshape(columns, blocks)
    return BlockWeights(
        bits=bits,
        size=size,
        integers=unpacked(packed.reshape(columns, -1), bits)[:, :rows],
        scales=scales.astype(np.float32).reshape(columns, blocks),
        zeros=middle,
        place=np.arange(rows) // size if groups is None else groups.reshape(-1)[:rows],
    )
