"""Winograd's convolution of large maps: its error is measured on a sample of blocks and filters, the rest is drawn.

If the sample overflows, so does the convolution, and all of its result is NaN here. Where the input is so large that
its transform may overflow, the blocks with its largest element are looked at as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

from mnncompat.diagnosing.half_precision.winograd import amplification
from mnncompat.diagnosing.half_precision.winograd_nodes import LEAST, WinogradNodes
from mnncompat.support.half_conditions import LARGEST

if TYPE_CHECKING:
    from mnncompat.diagnosing.half_precision.arithmetic import Arithmetics
    from mnncompat.diagnosing.half_precision.emitting import Emitter
    from mnncompat.diagnosing.half_precision.winograd_nodes import Plan

_BLOCKS, _FILTERS = 64, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution in a simulation.

    Attributes:
        source: Its input, rounded to float16.
        original: Its input as ONNX defines it.
        weight: Its weights, not rounded.
        kernels: The same: (filters, channels, kernel, kernel).
        bias: (filters,), or empty.
        plain: Its result as ONNX defines it, of `source`.
    """

    source: str
    original: str
    weight: str
    kernels: np.ndarray
    bias: str
    plain: str


class WinogradSamples:
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
        self._filters = _spread(0, plan.result[1] - 1, _FILTERS)
        self._rows = self._chosen_rows()

    @property
    def is_whole(self) -> bool:
        """Whether the sample would be all of it."""
        return len(self._rows) == self._plan.grid[0] and len(self._filters) == self._plan.result[1]

    def append(self, node: Convolution) -> str:
        """The convolution; returns its result, not rounded yet."""
        emit = self._emit
        spread = self._relative_error(node, self._errors(node))
        if len(self._rows) < self._plan.grid[0]:
            spread = emit.op("Add", spread, self._overflow(node))
        norms = emit.constant(np.sqrt(_squares(node.kernels)).reshape(1, -1, 1, 1))
        return emit.noisy(node.plain, [emit.op("Mul", norms, spread)], 1.0, self._plan.result)

    def _chosen_rows(self) -> list[int]:
        """Rows of blocks that lie inside the input; all if none does, or there are not many."""
        plan = self._plan
        rows, columns = plan.grid
        first = -(-plan.top // plan.unit)
        last = (plan.source[2] + plan.top - plan.size) // plan.unit
        wanted = -(-_BLOCKS // columns)
        return _spread(first, last, wanted) if wanted < rows and last - first + 1 >= wanted else list(range(rows))

    def _errors(self, node: Convolution) -> str:
        """The errors of the chosen filters in the chosen rows."""
        emit, plan, filters = self._emit, self._plan, self._filters
        source, plain = node.source, node.plain
        part = replace(plan, result=(plan.result[0], len(filters), *plan.result[2:]))
        if len(self._rows) < plan.grid[0]:
            starts = [row * plan.unit for row in self._rows]
            source = emit.chosen(source, 2, [at - plan.top + each for at in starts for each in range(plan.size)])
            plain = emit.chosen(plain, 2, [at + each for at in starts for each in range(plan.unit)])
            part = replace(self._band(len(starts)), result=(*part.result[:2], len(starts) * plan.unit, plan.result[3]))
        bias = emit.chosen(node.bias, 0, filters) if node.bias else ""
        nodes = WinogradNodes(emit, self._table, part)
        found = nodes.append(source, emit.constant(node.kernels[filters]), bias)
        return emit.op("Sub", found, emit.chosen(plain, 1, filters))

    def _band(self, count: int) -> Plan:
        """The plan of so many rows of blocks, one after the other."""
        plan = self._plan
        source = (*plan.source[:2], count * plan.size, plan.source[3])
        result = (*plan.result[:2], count * plan.unit, plan.result[3])
        return replace(plan, source=source, result=result, top=0, step=plan.size)

    def _overflow(self, node: Convolution) -> str:
        """0, or NaN if the transform overflows in the rows of blocks with the largest element."""
        emit, plan = self._emit, self._plan
        limit = emit.number(LARGEST / amplification(plan.unit, plan.kernel))
        may, never = emit.branch("may"), emit.branch("never")
        rows = may.reduce("ReduceMax", may.op("Abs", node.source), [0, 1, 3], keep=False)
        largest = may.op("Cast", may.op("ArgMax", rows, axis=0, keepdims=1), to=TensorProto.FLOAT)
        block = may.op("Floor", may.op("Mul", may.op("Add", largest, may.number(plan.top)), may.number(1 / plan.unit)))
        offsets = np.array([*range(-plan.unit, plan.size - plan.unit), *range(plan.size)], np.float32) - plan.top
        wanted = may.op("Add", may.op("Mul", block, may.number(plan.unit)), may.constant(offsets))
        inside = may.op("Max", may.number(0.0), may.op("Min", wanted, may.number(plan.source[2] - 1.0)))
        lines = may.op("Gather", node.source, may.op("Cast", inside, to=TensorProto.INT64), axis=2)
        transformed = WinogradNodes(may, self._table, self._band(2)).transformed(lines)
        nothing = may.op("Mul", may.reduce("ReduceSum", transformed, None, keep=False), may.number(0.0))
        for branch, output in ((may, nothing), (never, never.constant(0.0))):
            branch.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
        is_large = emit.op("Greater", emit.extreme(node.original), limit)
        return emit.op("If", is_large, then_branch=may.graph, else_branch=never.graph)

    def _relative_error(self, node: Convolution, errors: str) -> str:
        """The error of a result, root mean square, as a share of the norm of its kernel: a number."""
        emit, plan, filters = self._emit, self._plan, self._filters
        rows = min(len(self._rows) * plan.unit, plan.result[2])
        count = plan.result[0] * rows * plan.result[3] * len(filters)
        shares = 1 / (count * np.maximum(_squares(node.kernels[filters]), LEAST))
        energies = emit.op("Mul", emit.reduce("ReduceSumSquare", errors, [0, 2, 3], keep=False), emit.constant(shares))
        return emit.op("Sqrt", emit.reduce("ReduceSum", energies, None, keep=False))


def _squares(kernels: np.ndarray) -> np.ndarray:
    """The sum of squares of each filter."""
    flat = kernels.reshape(len(kernels), -1)
    return np.asarray(np.einsum("fk,fk->f", flat, flat), dtype=np.float64)


def _spread(first: int, last: int, count: int) -> list[int]:
    """So many places from first to last, evenly."""
    places = np.linspace(first, last, min(count, last - first + 1))
    return [int(each) for each in np.unique(places.round())]
