"""Winograd's convolution with every intermediate result rounded to float16, written with ONNX's operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.diagnosing.half_precision.winograd import matrices

if TYPE_CHECKING:
    from mnncompat.diagnosing.half_precision.arithmetic import Arithmetics
    from mnncompat.diagnosing.half_precision.emitting import Emitter


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a convolution is cut into blocks.

    Attributes:
        source: Shape of the input, NCHW.
        result: Shape of the result, NCHW.
        unit: Results of a block per axis.
        kernel: Size of the square kernel.
        top: Rows of padding above.
        left: Columns of padding on the left.
    """

    source: tuple[int, ...]
    result: tuple[int, ...]
    unit: int
    kernel: int
    top: int
    left: int

    @property
    def size(self) -> int:
        """Elements of a transformed block per axis."""
        return self.unit + self.kernel - 1

    @property
    def grid(self) -> tuple[int, int]:
        """Blocks per axis."""
        return -(-self.result[2] // self.unit), -(-self.result[3] // self.unit)


class WinogradNodes:
    """Appends one convolution.

    Args:
        emit: Of the simulation.
        table: Errors.
        plan: How it is cut.
    """

    def __init__(self, emit: Emitter, table: Arithmetics, plan: Plan) -> None:
        self._emit = emit
        self._table = table
        self._plan = plan
        self._results, self._weights, self._sources = matrices(plan.unit, plan.kernel)

    def append(self, source: str, weight: np.ndarray, bias: str) -> str:
        """The convolution.

        Args:
            source: The input, rounded to float16.
            weight: (filters, channels, kernel, kernel).
            bias: (filters,), or empty.

        Returns:
            The result, not rounded yet.
        """
        emit, plan = self._emit, self._plan
        found = self._gathered(self._products(self._transformed(source), weight))
        if bias:
            found = emit.op("Add", found, emit.reshaped(bias, [1, plan.result[1], 1, 1]))
        return found

    def _transformed(self, source: str) -> str:
        """The transformed blocks: (size * size, batch, channels, blocks)."""
        emit, plan, size = self._emit, self._plan, self._plan.size
        batch, channels, height, width = plan.source
        rows, columns = plan.grid
        below = (rows - 1) * plan.unit + size - height - plan.top
        right = (columns - 1) * plan.unit + size - width - plan.left
        down = np.tile(self._sources.reshape(1, size, 1, size, 1), (channels, 1, 1, 1, 1)).reshape(-1, 1, size, 1)
        across = np.tile(self._sources.reshape(1, size, 1, 1, size), (channels * size, 1, 1, 1, 1))
        first = emit.op(
            "Conv",
            source,
            emit.constant(down),
            group=channels,
            strides=[plan.unit, 1],
            pads=[plan.top, 0, below, 0],
        )
        second = emit.op(
            "Conv",
            emit.rounded(first),
            emit.constant(across.reshape(-1, 1, 1, size)),
            group=channels * size,
            strides=[1, plan.unit],
            pads=[0, plan.left, 0, right],
        )
        flat = emit.reshaped(emit.rounded(second), [batch, channels, size * size, rows * columns])
        return emit.op("Transpose", flat, perm=[2, 0, 1, 3])

    def _products(self, sources: str, weight: np.ndarray) -> str:
        """Products with the transformed weights, added up over the channels: (size * size, batch, filters, blocks)."""
        emit, size = self._emit, self._plan.size
        filters, channels = weight.shape[:2]
        exact = np.einsum("pi,qj,ocij->pqoc", self._weights, self._weights, weight.astype(np.float64))
        moved = exact.reshape(size * size, 1, filters, channels).astype(np.float16).astype(np.float32)
        sums = emit.op("MatMul", emit.constant(moved), sources)
        blocks = self._plan.grid[0] * self._plan.grid[1]
        energy = emit.reduce("ReduceSumSquare", sources, [3], keep=True)
        spread = emit.op("Sqrt", emit.op("MatMul", emit.constant(np.square(moved)), energy))
        shape = (size * size, self._plan.result[0], filters, blocks)
        random = self._table.rounding * (channels / 6 / blocks) ** 0.5
        trend = self._table.rounding * (channels / 3) ** 0.5
        return emit.rounded(emit.noisy(emit.noisy(sums, [sums], trend, shape), [spread], random, shape))

    def _gathered(self, products: str) -> str:
        """The results of the blocks, put together: NCHW."""
        emit, plan, size = self._emit, self._plan, self._plan.size
        batch, filters, height, width = plan.result
        rows, columns = plan.grid
        places, back = batch * filters * rows * columns, emit.constant(self._results)
        first = emit.op("MatMul", back, emit.reshaped(products, [size, size * places]))
        second = emit.op("MatMul", back, emit.reshaped(emit.rounded(first), [plan.unit, size, places]))
        apart = emit.reshaped(emit.rounded(second), [plan.unit, plan.unit, batch, filters, rows, columns])
        joined = emit.op("Transpose", apart, perm=[2, 3, 4, 0, 5, 1])
        whole = emit.reshaped(joined, [batch, filters, rows * plan.unit, columns * plan.unit])
        return emit.sliced(whole, [2, 3], [height, width])
