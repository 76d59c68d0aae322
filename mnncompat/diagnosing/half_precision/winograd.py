"""Winograd's convolution as MNN computes it in float16: which convolutions, which blocks, which matrices.

Source: `ConvolutionPackWinograd.cpp` (`canUseWinograd`, `bestWinogradUnit`) and `WingoradGenerater.cpp` of MNN 3.6.1.
"""

from __future__ import annotations

from functools import cache
from math import ceil, isqrt

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
_BLOCKS = (4, 6)
"""Sizes of transformed blocks that MNN has in float16."""
_LEAST_UNIT, _MOST_UNIT = 2, 8


def chosen_unit(kernel: int, channels: int, filters: int, height: int, width: int) -> int:
    """Output elements of a block per axis, 0 where MNN does not use Winograd.

    Args:
        kernel: Size of the square kernel.
        channels: Of the input.
        filters: Channels of the output.
        height: Of the output.
        width: Of the output.
    """
    most = max(min(isqrt(height * width), _MOST_UNIT), _LEAST_UNIT)
    direct = 2.0 * height * width * channels * filters * kernel * kernel
    best, unit = 0.0, 0
    for each in range(_LEAST_UNIT, most + 1):
        block = each + kernel - 1
        if block not in _BLOCKS:
            continue
        transforms = 2.0 * block**3 * channels + (block + each) * each * 2 * block * filters
        blocks = ceil(width / each) * ceil(height / each)
        rate = direct / ((transforms + 2.0 * block * block * channels * filters) * blocks)
        if rate > best:
            best, unit = rate, each
    return unit if best >= 1 else 0


@cache
def matrices(unit: int, kernel: int) -> tuple[Matrix, Matrix, Matrix]:
    """The transforms of results, weights and inputs: `A` (unit, block), `G` (block, kernel), `B` (block, block).

    A block of results is `A ((G w G^T) * (B x B^T)) A^T`. The points are 0, 1, -1, 2, -2, ... and infinity; the
    divisors belong to the weights, as in MNN.

    Args:
        unit: Results of a block per axis.
        kernel: Size of the kernel.
    """
    block = unit + kernel - 1
    points = [0.0, *((1 + at // 2) * (-1.0) ** at for at in range(block - 2))]
    divisors = [np.prod([one - other for other in points if other != one]) for one in points]
    divisors[0] = abs(divisors[0])
    results = _powers(points, unit).T
    weights = _powers(points, kernel) / np.array([*divisors, 1.0])[:, None]
    products = np.array([results[o] * weights[:, k] for o in range(unit) for k in range(kernel)])
    wanted = np.array([np.eye(block)[o + k] for o in range(unit) for k in range(kernel)])
    return results, weights, np.linalg.lstsq(products, wanted, rcond=None)[0].round(9)


def amplification(unit: int, kernel: int) -> float:
    """How many times larger than the inputs what is computed from them can be."""
    return float(np.abs(matrices(unit, kernel)[2]).sum(axis=1).max() ** 2)


def _powers(points: list[float], count: int) -> Matrix:
    last = [0.0] * (count - 1) + [1.0]
    return np.array([*([point**power for power in range(count)] for point in points), last])
