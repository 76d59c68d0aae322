"""What an output was before a function flattened it: how far its inputs are from bringing it to life.

A classifier's sigmoid is 1 to the last digit wherever its logit is above 17. No error in what comes before shows then.
The logit says in which direction to look for inputs that show one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnncompat.graph.operator_traits import ARITHMETIC, CASTS, RESHAPES
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.inference.constant_folding import constant_value, is_constant

if TYPE_CHECKING:
    from onnx import NodeProto

    from mnncompat.graph.view import GraphView

_FAR = 1e4
"""Larger values count as this one: they may be infinite."""
_ONE_AXIS = 13
"""The opset from which on a Softmax has one axis."""
_TAILS = {"Elu": (0.0, np.inf), "HardSwish": (-3.0, np.inf), "Softplus": (0.0, np.inf)}
"""Where functions of one flat side are steep."""
HANDED_ON = frozenset((*CASTS, *RESHAPES, *ARITHMETIC, "Identity", "Transpose", "Slice", "Gather"))
"""Operators that are looked through, if they have one operand that is computed."""
CLIPPING = frozenset(
    ("Clip", "Erf", "HardSigmoid", "Max", "Min", "Relu", "Sigmoid", "Softsign", "Tanh", "ThresholdedRelu", *_TAILS)
)
"""Functions of one number that are flat somewhere."""


class Steep(NamedTuple):
    """Where a function is steep.

    Attributes:
        distance: How far what is flattened is from there; 0 there.
        side: On which side of it, as a number: on a line between inputs with different ones lies a steep place.
    """

    distance: Callable[[np.ndarray], float]
    side: Callable[[np.ndarray], int]


Slope = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Saturating(NamedTuple):
    """Where an output is flattened.

    Attributes:
        value: What is flattened, a value of the main graph.
        element: Its element type (`onnx.TensorProto.DataType`).
        steep: Where the function is steep.
        function: Type of the operator.
        slope: Gives the function's result and its slope for float64 operands; None for functions that choose.
    """

    value: str
    element: int
    steep: Steep
    function: str
    slope: Slope | None


def saturating(view: GraphView, output: str) -> Saturating | None:
    """Find what flattens an output, looking through operators that hand it on.

    Args:
        view: The main graph.
        output: One of its outputs.
    """
    node = view.producer(output)
    while node is not None and is_onnx(node) and node.op_type in HANDED_ON:
        computed = [name for name in node.input if name and not is_constant(view, name)]
        node = view.producer(computed[0]) if len(computed) == 1 else None
    if node is None or not is_onnx(node):
        return None
    value = next((name for name in node.input if name and not is_constant(view, name)), "")
    if view.producer(value) is None:
        return None
    limits = bounds(view, node)
    steep, element = _steep(node, limits), view.dtype(value)
    if steep is None or element is None:
        return None
    return Saturating(value, element, steep, node.op_type, _slope(node, view.opset, limits))


def bounds(view: GraphView, node: NodeProto) -> tuple[float, float] | None:
    """Between which numbers an operator hands on its operand as it is, and beyond which it is flat; None of others."""
    if not is_onnx(node):
        return None
    if node.op_type == "Relu":
        return 0.0, np.inf
    if node.op_type == "ThresholdedRelu":
        return attribute(node, "alpha", 1.0), np.inf
    if node.op_type == "Clip":
        low = _number(view, node, 1, attribute(node, "min", -np.inf))
        high = _number(view, node, 2, attribute(node, "max", np.inf))
        return None if low is None or high is None or low > high else (low, high)
    if node.op_type in ("Max", "Min") and len(node.input) == 2:  # noqa: PLR2004 - with a constant
        limit = _number(view, node, 1, None) if is_constant(view, node.input[1]) else _number(view, node, 0, None)
        if limit is not None:
            return (limit, np.inf) if node.op_type == "Max" else (-np.inf, limit)
    return None


def _number(view: GraphView, node: NodeProto, place: int, default: float | None) -> float | None:
    """A constant operand of one element; None if it is another one."""
    if place >= len(node.input) or not node.input[place]:
        return default
    found = constant_value(view, node.input[place]) if is_constant(view, node.input[place]) else None
    return float(found.item()) if found is not None and found.size == 1 else None


def _steep(node: NodeProto, limits: tuple[float, float] | None) -> Steep | None:
    if node.op_type in ("Sigmoid", "Tanh", "HardSigmoid", "Softsign", "Erf"):
        return Steep(lambda value: _mean(np.abs(value)), _sign)
    limits = limits or _TAILS.get(node.op_type)
    if limits is not None:
        low, high = limits
        middle = sum(limits) / 2 if np.isfinite(limits).all() else low if np.isfinite(low) else high
        return Steep(
            lambda value: _mean(np.maximum(np.maximum(low - value, value - high), 0)),
            lambda value: _sign(value - (middle if np.isfinite(middle) else 0.0)),
        )
    if node.op_type in ("Softmax", "LogSoftmax", "ArgMax", "ArgMin", "TopK"):
        axis = attribute(node, "axis", 0 if node.op_type.startswith("Arg") else -1)
        flip = -1 if node.op_type == "ArgMin" else 1
        return Steep(lambda value: _margin(flip * value, axis), lambda value: _winner(flip * value))
    return None


def _slope(node: NodeProto, opset: int, limits: tuple[float, float] | None) -> Slope | None:
    if limits is not None:
        return lambda value: _within(value, *limits)
    if node.op_type == "Elu":
        alpha = attribute(node, "alpha", 1.0)
        return lambda value: _of_exponential(value, alpha)
    if node.op_type == "HardSigmoid":
        alpha, beta = attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5)
        return lambda value: _of_bounds(alpha * value + beta, alpha)
    if node.op_type == "Softmax":
        return lambda value: _of_softmax(value, _axes(node, opset, value.ndim))
    return _SLOPES.get(node.op_type)


def _axes(node: NodeProto, opset: int, rank: int) -> tuple[int, ...]:
    """The axes along which a Softmax has the sum 1; before opset 13 all from one on."""
    axis = attribute(node, "axis", -1 if opset >= _ONE_AXIS else 1) % max(rank, 1)
    return (axis,) if opset >= _ONE_AXIS else tuple(range(axis, rank))


def _of_sigmoid(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    result = 0.5 * (1 + np.tanh(value / 2))
    return result, result * (1 - result)


def _within(value: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    return np.clip(value, low, high), np.where((value > low) & (value < high), 1.0, 0.0)


def _of_exponential(value: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    power = np.exp(np.minimum(value, 0))
    return np.where(value > 0, value, alpha * (power - 1)), np.where(value > 0, 1.0, alpha * power)


def _of_bounds(line: np.ndarray, slope: float) -> tuple[np.ndarray, np.ndarray]:
    return np.clip(line, 0, 1), np.where((line > 0) & (line < 1), slope, 0.0)


def _of_softmax(value: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore"):
        result = value - value.max(axis=axes, keepdims=True, initial=-np.inf)
        np.exp(result, out=result)
        result /= result.sum(axis=axes, keepdims=True)
    return result, result * (1 - result)


_SLOPES: dict[str, Slope] = {
    "HardSwish": lambda value: (value * np.clip(value / 6 + 0.5, 0, 1), np.clip(value / 3 + 0.5, 0, 1)),
    "Sigmoid": _of_sigmoid,
    "Softplus": lambda value: (np.logaddexp(value, 0), _of_sigmoid(value)[0]),
    "Softsign": lambda value: (value / (1 + np.abs(value)), 1 / np.square(1 + np.abs(value))),
    "Tanh": lambda value: (np.tanh(value), 1 - np.square(np.tanh(value))),
}


def _sign(value: np.ndarray) -> int:
    return int(np.sign(np.mean(np.nan_to_num(value.astype(np.float64))))) if value.size else 0


def _winner(value: np.ndarray) -> int:
    return int(np.argmax(value)) if value.size else 0


def _margin(value: np.ndarray, axis: int) -> float:
    """Mean lead of the largest element over the next one."""
    if not -value.ndim <= axis < value.ndim or value.shape[axis] < 2:  # noqa: PLR2004 - a choice
        return 0.0
    ordered = np.sort(np.nan_to_num(value.astype(np.float64)), axis=axis)
    return _mean(np.take(ordered, -1, axis) - np.take(ordered, -2, axis))


def _mean(distances: np.ndarray) -> float:
    if not distances.size:
        return 0.0
    known = np.nan_to_num(distances.astype(np.float64), nan=_FAR, posinf=_FAR, neginf=_FAR)
    return float(np.minimum(known, _FAR).mean())
