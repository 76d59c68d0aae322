"""Searches for constants beyond float16: where MNN computes in half precision, a number above 65504 is 65504.

Masks of -1e9 or -Infinity do not matter where nothing reads more than that they are large: behind Softmax, Exp or a
comparison, 65504 does as well. They matter where an output shows them, and as factors, which scale all of a result.
What is divided by a constant is multiplied by its inverse, which is another matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from onnx import NodeProto, TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.operator_traits import ARITHMETIC, CASTS, COMPARISONS, MOVES
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.tensor_values import tensor_array
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import constant_value, constants
from mnncompat.support.model_scope import HazardLocation, Scope

LARGEST = 65504.0
"""Of float16."""
_FACTORS = ("Mul", "Div")
_PICKS = ("Gather", "GatherElements", "GatherND", "Where")
_FLOATS = frozenset((TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16))
_OPERANDS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(MOVES, (0,)),
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "LogSoftmax", "Dropout", "TopK"), (0,)),
    **dict.fromkeys(CASTS, (0,)),
    **dict.fromkeys(("Abs", "Neg"), (0,)),
    **dict.fromkeys(ARITHMETIC - {"Div"}, (0, 1)),
    **dict.fromkeys(("Concat", "Mean", "Sum"), tuple(range(64))),
    "Div": (0,),
    "Pad": (0, 2),
    "ScatterElements": (0, 2),
    "ScatterND": (0, 2),
    "Where": (1, 2),
}
"""Op type -> the operands whose large elements are large elements of the first result."""
_BOUNDED = COMPARISONS | frozenset(
    (
        *("ArgMax", "ArgMin", "Clip", "Erf", "Exp", "HardSigmoid", "Hardmax", "Max", "Min", "Not", "Sigmoid", "Sign"),
        *("Softmax", "Softsign", "Tanh"),
    )
)
"""Of them it makes no difference how large a large element is, or it cannot be said."""


class _Use(NamedTuple):
    """A constant beyond float16, and the node that reads it beside values that are computed.

    Attributes:
        position: Of the node.
        constant: Its name.
        number: The element of the largest magnitude.
    """

    position: int
    constant: str
    number: float


def beyond_half(scope: Scope) -> Iterator[HazardLocation]:
    """A constant above 65504 that an output shows, or that is a factor of a result."""
    return (found for found, is_picked in _hazards(scope) if not is_picked)


def beyond_half_picked(scope: Scope) -> Iterator[HazardLocation]:
    """A constant above 65504 of which a condition or indices decide what an output shows."""
    return (found for found, is_picked in _hazards(scope) if is_picked)


def _hazards(scope: Scope) -> Iterator[tuple[HazardLocation, bool]]:
    """What was found, and whether values decide."""
    for view in scope.graphs:
        for use in _uses(view):
            node = view.nodes[use.position]
            is_factor = node.op_type in _FACTORS
            shown = _shown(view, node.output[0], as_number=is_factor)
            if shown:
                values = {"constant": use.constant, "number": f"{use.number:.4g}", "op": node.op_type, "shown": shown}
                yield HazardLocation(view=view, position=use.position, values=values), node.op_type in _PICKS


def _uses(view: GraphView) -> Iterator[_Use]:
    known = constants(view)
    magnitudes: dict[str, float] = {}
    for index, node in enumerate(view.nodes):
        if not is_onnx(node) or not node.output or node.output[0] in known:
            continue
        if node.op_type == "ConstantOfShape":
            number = _filled(node)
            if abs(number) > LARGEST:
                yield _Use(index, node.output[0], number)
        for position in _OPERANDS.get(node.op_type, ()):
            name = node.input[position] if position < len(node.input) else ""
            if name not in known:
                continue
            if name not in magnitudes:
                magnitudes[name] = _largest(view, name)
            if abs(magnitudes[name]) > LARGEST:
                yield _Use(index, name, magnitudes[name])
                break


def _filled(node: NodeProto) -> float:
    value = attribute(node, "value")
    if not isinstance(value, TensorProto) or value.data_type not in _FLOATS:
        return 0.0

    return float(tensor_array(value).reshape(-1)[0])


def _largest(view: GraphView, name: str) -> float:
    """The element of the largest magnitude; 0 for a constant that holds no floats, or none beyond float16."""
    if view.dtype(name) not in _FLOATS:
        return 0.0
    node = view.producer(name)
    if node is not None and node.op_type in CASTS:  # CastLike of a constant has none where its pattern is computed
        return _largest(view, node.input[0])
    value = constant_value(view, name)
    if value is None or value.dtype.kind != "f" or not value.size:
        return 0.0
    low, high = float(np.nanmin(value, initial=0.0)), float(np.nanmax(value, initial=0.0))
    return low if -low > high else high


def _shown(view: GraphView, name: str, *, as_number: bool) -> str:
    """What shows the large elements of a value: an output of the model, or an operator; empty for nothing.

    Args:
        view: The graph; in a body or branch nothing is said of what its outputs become.
        name: The value.
        as_number: Any operator counts that does not bound its operand: all of the value is off, not some elements.
    """
    waiting, known = [name], {name}
    while waiting:
        each = waiting.pop()
        if each in view.outputs and view.parent is None and not view.is_function:
            return f"the output '{each}'"
        for index in view.consumers.get(each, ()):
            node = view.nodes[index]
            if not is_onnx(node) or node.op_type in _BOUNDED:
                continue
            kept = [node.input[n] for n in _OPERANDS.get(node.op_type, ()) if n < len(node.input)]
            if each in kept:
                following = {*node.output[: 1 if node.op_type == "TopK" else None]} - known
                waiting += following
                known |= following
            elif as_number:
                return node.op_type
    return ""
