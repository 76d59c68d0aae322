"""Convolutions and matrix products whose terms are added up in float16.

The running sum is rounded at every term. Of K terms with squares that add up to Q and a result S, the partial sums have
squares of K (Q / 6 + S^2 / 3) together, as of a random walk that ends in S, and the error is that of one rounding times
their root. Measured (emulated Cortex-A76, K of 16 to 4096): within 1 dB, as long as the terms do not all have one sign,
and are no smaller than the last bit of the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, helper

from mnncompat.diagnosing.half_precision.winograd import chosen_unit
from mnncompat.diagnosing.half_precision.winograd_nodes import Plan, WinogradNodes
from mnncompat.diagnosing.half_precision.winograd_samples import Convolution, WinogradSamples
from mnncompat.support.half_conditions import LARGEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnncompat.diagnosing.half_precision.arithmetic import Arithmetics
    from mnncompat.diagnosing.half_precision.emitting import Emitter
    from mnncompat.diagnosing.half_precision.weights import Weights

    Shape = tuple[int, ...]

_IMAGE, _MATRIX = 4, 2
_LEAST = 1e-30
_ROUNDED, _SMALL = 1 << 16, 1e-3
"""Elements up to which a constant is rounded; the mean size of larger ones from which on none loses its last bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A Winograd convolution: results of a block per axis, and the size of the kernel."""

    unit: int
    kernel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """The variance of the error of a sum, in those of one rounding.

    Attributes:
        random: For each of the sum of the squares of the terms.
        trend: For each of the square of the sum.
    """

    random: float
    trend: float


class Products:
    """Appends the products of a simulation.

    Args:
        emit: Of the simulation.
        table: Errors.
        shapes: Value -> its shape in this run, where that is known.
        weights: The constants.
    """

    def __init__(
        self,
        emit: Emitter,
        table: Arithmetics,
        shapes: Mapping[str, Shape],
        weights: Weights,
    ) -> None:
        self._emit = emit
        self._table = table
        self._shapes = shapes
        self._weights = weights
        self._judged: dict[str, bool] = {}

    def append(self, node: NodeProto, inputs: list[str]) -> str:
        """A product as a node of its own with its error.

        Args:
            node: The original.
            inputs: Its operands in the simulation, rounded to float16.

        Returns:
            The name of its result in the simulation, not rounded yet.
        """
        block = self.block(node)
        if block is not None:
            return self._by_winograd(node, inputs, self._plan(node, block))
        return self._with_errors(node, inputs, self._plain(node, inputs))

    def _plain(self, node: NodeProto, inputs: list[str]) -> str:
        """The result as ONNX defines it."""
        exact = self._emit.name()
        plain = NodeProto()
        plain.CopyFrom(node)
        del plain.input[:], plain.output[:]
        plain.input.extend(inputs)
        plain.output.append(exact)
        plain.name = exact
        self._emit.append(plain)
        return exact

    def _by_winograd(self, node: NodeProto, inputs: list[str], plan: Plan) -> str:
        """The result of transforms and products that are rounded each."""
        bias = inputs[2] if len(inputs) > 2 else ""  # noqa: PLR2004 - a bias
        samples = WinogradSamples(self._emit, self._table, plan)
        if samples.is_whole:
            return WinogradNodes(self._emit, self._table, plan).append(inputs[0], node.input[1], bias)
        each = Convolution(
            source=inputs[0],
            original=node.input[0],
            weight=node.input[1],
            kernels=self._weights[node.input[1]],
            bias=bias,
            plain=self._plain(node, [inputs[0], node.input[1], *inputs[2:]]),
        )
        return samples.append(each)

    def is_rounded(self, name: str) -> bool:
        """Whether an operand is rounded to float16; of large constants that is a part of the errors."""
        if name not in self._judged:
            weight = self._weights.get(name)
            self._judged[name] = weight is None or weight.size <= _ROUNDED or not _is_even(weight)
        return self._judged[name]

    def terms(self, node: NodeProto) -> int:
        """How many terms an element of the result is the sum of; 0 if that is not known."""
        weight, first = self._shapes.get(node.input[1], ()), self._shapes.get(node.input[0], ())
        if node.op_type == "Conv" and weight:
            return prod(weight[1:])
        if node.op_type == "ConvTranspose" and weight:
            strides = attribute(node, "strides", [1] * len(weight[2:]))
            return int(max(1, prod(weight) // (weight[1] * attribute(node, "group", 1)) // prod(strides)))
        if node.op_type == "Gemm" and weight:
            return int(weight[1 if attribute(node, "transB", 0) else 0])
        return first[-1] if node.op_type == "MatMul" and first else 0

    def block(self, node: NodeProto) -> Block | None:
        """The blocks of a convolution that MNN computes by Winograd; None of others."""
        weight, result = self._shapes.get(node.input[1], ()), self._shapes.get(node.output[0], ())
        source = self._shapes.get(node.input[0], ())
        if node.op_type != "Conv" or len(weight) != _IMAGE or len(result) != _IMAGE or len(source) != _IMAGE:
            return None
        plain = (
            node.input[1] in self._weights
            and attribute(node, "group", 1) == 1
            and set(attribute(node, "strides", [1, 1])) == {1}
            and set(attribute(node, "dilations", [1, 1])) == {1}
            and weight[2] == weight[3] > 1
            and _pads(node, source, weight, result) is not None
        )
        unit = chosen_unit(weight[2], weight[1], weight[0], result[2], result[3]) if plain else 0
        return Block(unit=unit, kernel=weight[2]) if unit else None

    def _plan(self, node: NodeProto, block: Block) -> Plan:
        source, result = self._shapes[node.input[0]], self._shapes[node.output[0]]
        before = _pads(node, source, self._shapes[node.input[1]], result) or (0, 0)
        return Plan(source=source, result=result, unit=block.unit, kernel=block.kernel, top=before[0], left=before[1])

    def _with_errors(self, node: NodeProto, inputs: list[str], exact: str) -> str:
        """The product with the errors of its sums."""
        count = self.terms(node)
        if not count:
            return exact
        block = count
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in self._weights:
            block = min(count, self._table.constant_block)
        share = block / count
        rounding = 0.0 if self.is_rounded(node.input[1]) else 1.0  # of weights: one of each term
        errors = Errors(random=block * (1 / 6 + (1 - share) / 3) + rounding, trend=block * share / 3)
        is_matrix = node.op_type in ("MatMul", "Gemm")
        scales = (
            self._of_matrices(node, inputs, exact, errors)
            if is_matrix
            else self._of_images(node, inputs, exact, errors)
        )
        rounding = self._table.rounding
        return self._emit.noisy(exact, scales, rounding, self._shapes.get(node.output[0])) if scales else exact

    def _of_matrices(self, node: NodeProto, inputs: list[str], exact: str, errors: Errors) -> list[str]:
        """What the errors are in proportion to: for each row, and for each column."""
        emit, shapes = self._emit, [self._shapes.get(name, ()) for name in node.input[:2]]
        if min(len(each) for each in shapes) < _MATRIX:
            return []
        turned = [bool(attribute(node, name, 0)) for name in ("transA", "transB")]
        axes = [len(shapes[0]) - 1 - turned[0], len(shapes[1]) - _MATRIX + turned[1]]
        energies = []
        for at, target in enumerate(([-1, 1], [1, -1])):
            weight = self._weights.get(node.input[at])
            if weight is not None:
                energy: str = emit.constant(np.square(weight).sum(axis=axes[at], keepdims=True))
            else:
                energy = emit.reduce("ReduceSumSquare", inputs[at], [axes[at]], keep=True)
            energies.append(emit.reshaped(energy, target) if turned[at] else energy)
        last = len(shapes[1]) - 1
        mean = emit.reduce("ReduceMean", energies[1], [last], keep=True)
        columns = emit.op("Sqrt", emit.op("Div", energies[1], emit.op("Max", mean, emit.number(_LEAST))))
        size = self._shapes.get(node.output[0], ())
        if not size:
            return []
        factor = errors.random / shapes[0][axes[0]] * abs(attribute(node, "alpha", 1.0)) ** 2
        random = emit.op("Mul", emit.op("Mul", energies[0], mean), emit.number(factor))
        sums = emit.reduce("ReduceSumSquare", exact, [len(size) - 1], keep=True)
        trend = emit.op("Mul", sums, emit.number(errors.trend / size[-1]))
        return [emit.op("Sqrt", emit.op("Add", random, trend)), columns]

    def _of_images(self, node: NodeProto, inputs: list[str], exact: str, errors: Errors) -> list[str]:
        """What the errors of a convolution are in proportion to, for each image and filter."""
        emit, shape, weight = self._emit, self._shapes.get(node.input[0]), self._weights.get(node.input[1])
        size = self._shapes.get(node.output[0], ())
        if weight is None or shape is None or len(shape) <= _MATRIX or len(size) != len(shape):
            return []
        places = list(range(2, len(shape)))
        squares = emit.constant(self._squares(node, weight))
        energy = emit.op("Mul", emit.energy(inputs[0], shape, places), emit.number(errors.random))
        random = emit.op("MatMul", energy, squares)
        trend = emit.op("Mul", emit.energy(exact, size, places), emit.number(errors.trend))
        return [emit.reshaped(emit.op("Sqrt", emit.op("Add", random, trend)), [*size[:2], *[1] * len(places)])]

    @staticmethod
    def _squares(node: NodeProto, weight: np.ndarray) -> np.ndarray:
        """The sums of squared weights from each channel to each filter."""
        groups, turned = attribute(node, "group", 1), node.op_type == "ConvTranspose"
        flat = weight.reshape(*weight.shape[:2], -1)
        kept = np.einsum("abk,abk->ab", flat, flat)
        if turned:
            kept /= prod(attribute(node, "strides", [1]))
            parts = np.split(kept, groups, axis=0)
        else:
            parts = [each.T for each in np.split(kept, groups, axis=0)]
        rows, columns = parts[0].shape
        found = np.zeros((rows * groups, columns * groups))
        for at, each in enumerate(parts):
            found[at * rows : (at + 1) * rows, at * columns : (at + 1) * columns] = each
        return found


def _is_even(weight: np.ndarray) -> bool:
    """Whether float16 rounds by a share of each element: none is too large, and they are not so small as a whole."""
    flat = weight.ravel()
    is_large = max(flat.max(), -flat.min()) > LARGEST
    return bool(not is_large and np.dot(flat, flat) > _SMALL**2 * flat.size)


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """The value of an attribute."""
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def _pads(node: NodeProto, source: Shape, weight: Shape, result: Shape) -> tuple[int, int] | None:
    """Rows above and columns before; None if the model does not say them."""
    way = attribute(node, "auto_pad", b"NOTSET")
    total = [result[at] + weight[at] - 1 - source[at] for at in (2, 3)]
    if way == b"NOTSET":
        pads = attribute(node, "pads", [0, 0, 0, 0])
        return (pads[0], pads[1])
    if way == b"VALID":
        return (0, 0)
    odd = 1 if way == b"SAME_LOWER" else 0
    return ((total[0] + odd) // 2, (total[1] + odd) // 2)
