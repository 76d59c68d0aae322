"""Winograd's convolution with every intermediate result rounded to float16, written with ONNX's operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.diagnosing.half_precision.winograd import matrices

if TYPE_CHECKING:
    from mnncompat.diagnosing.half_precision.arithmetic import Arithmetics
    from mnncompat.diagnosing.half_precision.emitting import Emitter


LEAST = 1e-30
"""Taken for the energy of weights that are all 0."""


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
        step: Rows from one row of blocks to the next; 0 for those of a block's results.
    """

    source: tuple[int, ...]
    result: tuple[int, ...]
    unit: int
    kernel: int
    top: int
    left: int
    step: int = 0

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

    def append(self, source: str, weight: str, bias: str) -> str:
        """The convolution.

        Args:
            source: The input, rounded to float16.
            weight: (filters, channels, kernel, kernel), not rounded.
            bias: (filters,), or empty.

        Returns:
            The result, not rounded yet.
        """
        emit, plan = self._emit, self._plan
        found = self._gathered(self._products(self.transformed(source), weight))
        if bias:
            found = emit.op("Add", found, emit.reshaped(bias, [1, plan.result[1], 1, 1]))
        return found

    def transformed(self, source: str) -> str:
        """The transformed blocks: (size * size, batch, channels, blocks)."""
        emit, plan, size = self._emit, self._plan, self._plan.size
        batch, channels, height, width = plan.source
        rows, columns = plan.grid
        step = plan.step or plan.unit
        below = (rows - 1) * step + size - height - plan.top
        right = (columns - 1) * plan.unit + size - width - plan.left
        down = np.tile(self._sources.reshape(1, size, 1, size, 1), (channels, 1, 1, 1, 1)).reshape(-1, 1, size, 1)
        across = np.tile(self._sources.reshape(1, size, 1, 1, size), (channels * size, 1, 1, 1, 1))
        first = emit.op(
            "Conv",
            source,
            emit.constant(down),
            group=channels,
            strides=[step, 1],
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

    def _products(self, sources: str, weight: str) -> str:
        """Products with the transformed weights, added up over the channels: (size * size, batch, filters, blocks)."""
        emit, plan, points = self._emit, self._plan, self._plan.size**2
        channels, filters, blocks = plan.source[1], plan.result[1], plan.grid[0] * plan.grid[1]
        flat = emit.reshaped(weight, [filters * channels, plan.kernel**2])
        both = emit.op("MatMul", flat, emit.constant(np.kron(self._weights, self._weights).T))
        turned = emit.op("Transpose", emit.rounded(both), perm=[1, 0])
        moved = emit.reshaped(turned, [points, 1, filters, channels])
        sums = emit.op("MatMul", moved, sources)
        of_channels = emit.reduce("ReduceSumSquare", moved, [2], keep=True)
        of_filters = emit.reduce("ReduceSumSquare", moved, [3], keep=True)
        whole = emit.op("Max", emit.reduce("ReduceSum", of_filters, [2], keep=True), emit.number(LEAST))
        energy = emit.op("MatMul", of_channels, emit.reduce("ReduceSumSquare", sources, [3], keep=True))
        random = emit.op("Mul", emit.op("Div", of_filters, whole), emit.op("Mul", energy, emit.number(channels / 6)))
        trend = emit.op("Mul", emit.reduce("ReduceSumSquare", sums, [3], keep=True), emit.number(channels / 3))
        spread = emit.op("Sqrt", emit.op("Add", random, trend))
        shape = (points, plan.result[0], filters, blocks)
        return emit.rounded(emit.noisy(sums, [spread], self._table.rounding / blocks**0.5, shape, at=3))

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
